package service

import (
	"context"
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"strconv"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

type numberKey struct{}

// numbered passes a request's number on to the [IDs], and the requests in turn to
// the handlers. It tells how long they took.
func numbered(handlers []http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next := handlers[0]
		if n, err := strconv.ParseUint(r.Header.Get(NumberHeader), 10, 64); err == nil {
			r = r.WithContext(context.WithValue(r.Context(), numberKey{}, n))
			next = handlers[n%uint64(len(handlers))]
		}
		w.Header().Set("Trailer", TookTrailer)
		start := time.Now()
		next.ServeHTTP(w, r)
		w.Header().Set(TookTrailer, time.Since(start).String())
	})
}

// IDs makes the trace ID of a request from a seed and the request's number,
// so that the same seed gives the same traces however requests overlap. Being
// a hash, it is as random as samplers need it. Span IDs are random.
type IDs struct{ Seed uint64 }

// NewIDs makes the IDs of a root span.
func (g IDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	var id trace.TraceID
	if n, ok := ctx.Value(numberKey{}).(uint64); ok {
		var in [16]byte
		binary.BigEndian.PutUint64(in[:8], g.Seed)
		binary.BigEndian.PutUint64(in[8:], n)
		sum := sha256.Sum256(in[:])
		copy(id[:], sum[:])
	} else {
		_, _ = crand.Read(id[:]) // it never fails
	}
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID makes the ID of a span below another.
func (IDs) NewSpanID(context.Context, trace.TraceID) trace.SpanID {
	var id trace.SpanID
	_, _ = crand.Read(id[:]) // it never fails
	return id
}

// Interface guard.
var _ sdktrace.IDGenerator = IDs{}
