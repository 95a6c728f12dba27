package observability_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/codes"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/core/observability/internal/spantest"
	errorsampler "github.com/riffletrace/riffle/samplers/error"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// leaves is a way to fail of a request whose client goes away, or stays.
type leaves struct {
	name   string
	stays  bool
	serve  func(w http.ResponseWriter, r *http.Request, gone func())
	failed bool // whether it is an error although what was canceled is none
}

var ways = []leaves{
	{"500", false, func(w http.ResponseWriter, _ *http.Request, gone func()) {
		gone()
		http.Error(w, "no orders", http.StatusInternalServerError)
	}, false},
	{"500 to a client that stays", true, func(w http.ResponseWriter, _ *http.Request, gone func()) {
		gone()
		http.Error(w, "no orders", http.StatusInternalServerError)
	}, true},
	{"a span below", false, func(_ http.ResponseWriter, r *http.Request, gone func()) {
		_, span := observability.StartSpan(r.Context(), "query")
		defer span.End()
		gone()
		span.SetStatus(codes.Error, "conn closed")
	}, false},
	{"a span below that says so", false, func(_ http.ResponseWriter, r *http.Request, gone func()) {
		ctx, span := observability.StartSpan(r.Context(), "query")
		defer span.End()
		gone()
		observability.RecordError(ctx, ctx.Err())
	}, false},
	{"a span below, before", false, func(_ http.ResponseWriter, r *http.Request, gone func()) {
		ctx, span := observability.StartSpan(r.Context(), "query")
		observability.RecordError(ctx, errors.New("disk full"))
		span.End()
		gone()
	}, true},
	{"a deadline", false, func(w http.ResponseWriter, r *http.Request, gone func()) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Nanosecond)
		defer cancel()
		<-ctx.Done()
		gone()
		observability.RecordError(r.Context(), ctx.Err())
		w.WriteHeader(http.StatusInternalServerError)
	}, true},
	{"a panic", false, func(_ http.ResponseWriter, _ *http.Request, gone func()) {
		gone()
		panic(http.ErrAbortHandler) // which net/http does not log
	}, true},
	// The server cancels a context when it is done with the request, too.
	{"a span that outlives its request", true, func(_ http.ResponseWriter, r *http.Request, gone func()) {
		gone()
		ctx, span := observability.StartSpan(r.Context(), "later")
		outlives <- func() {
			<-ctx.Done()
			span.SetStatus(codes.Error, "disk full")
			span.End()
		}
	}, true},
}

// outlives takes what goes on after a request.
var outlives = make(chan func(), 1)

func TestClientGoesAway(t *testing.T) {
	servers := map[string]func(http.Handler) http.Handler{
		"Middleware": func(h http.Handler) http.Handler { return observability.Middleware(h) },
		"otelhttp":   func(h http.Handler) http.Handler { return otelhttp.NewHandler(h, "") },
	}
	for name, traced := range servers {
		for _, way := range ways {
			for _, ignore := range []bool{true, false} {
				t.Run(name+"/"+way.name, func(t *testing.T) {
					out := spantest.Install(t, core.Spec{Samplers: []core.SamplerEntry{
						core.UseSampler(errorsampler.Factory, "", errorsampler.Config{IgnoreCanceled: ignore}),
						core.UseSampler(ratio.Factory, "", ratio.Config{}),
					}})
					request(t, traced, way)
					if kept, want := len(out()) > 0, way.failed || !ignore; kept != want {
						t.Errorf("ignore_canceled %v: kept %v, want %v", ignore, kept, want)
					}
				})
			}
		}
	}
}

// request makes a request in that way, and returns when it is over.
func request(t *testing.T, traced func(http.Handler) http.Handler, way leaves) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	over := make(chan struct{})
	inner := traced(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		way.serve(w, r, func() {
			if !way.stays {
				leave()
				<-r.Context().Done()
			}
		})
	}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(over)
		inner.ServeHTTP(w, r)
	}))
	defer server.Close()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/orders", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := server.Client().Do(r)
	if err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		err = res.Body.Close()
	}
	if (err == nil) != way.stays {
		t.Errorf("the client: %v", err)
	}
	<-over
	select {
	case goOn := <-outlives:
		goOn()
	default:
	}
}
