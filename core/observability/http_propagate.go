package observability

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/internal/outside"
	"github.com/riffletrace/riffle/core/sampling"
)

// publicKey marks the context of a request of a client that nobody trusts.
type publicKey struct{}

func isPublic(ctx context.Context) bool { return ctx.Value(publicKey{}) != nil }

// propagator is the global one, which takes less from public requests.
type propagator struct{}

func (propagator) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	p := otel.GetTextMapPropagator()
	if !isPublic(ctx) {
		return p.Extract(ctx, carrier)
	}
	ctx = outside.Propagator(p).Extract(ctx, carrier)
	if sc := trace.SpanContextFromContext(ctx); sc.IsRemote() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, sc.WithTraceState(trace.TraceState{}))
	}
	return ctx
}

func (propagator) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	otel.GetTextMapPropagator().Inject(ctx, carrier)
}

func (propagator) Fields() []string { return otel.GetTextMapPropagator().Fields() }

// carrier is the header of a request, in which what the W3C's propagators ask for is found
// without an allocation.
type carrier http.Header

func (c carrier) Get(key string) string {
	if values := c.Values(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

func (c carrier) Values(key string) []string {
	switch key {
	case "traceparent":
		return c["Traceparent"]
	case "tracestate":
		return c["Tracestate"]
	case "baggage":
		return c["Baggage"]
	default:
		return http.Header(c).Values(key)
	}
}

func (c carrier) Set(key, value string) { http.Header(c).Set(key, value) }
func (c carrier) Keys() []string        { return propagation.HeaderCarrier(c).Keys() }

// untraced is a context in which no span is recorded: by riffle since it says so, and
// by other providers since it has a parent that is not sampled, of the trace that the
// request belongs to, or of one that nobody has.
func untraced(r *http.Request) context.Context {
	ctx := propagator{}.Extract(r.Context(), carrier(r.Header))
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() || isPublic(ctx) {
		var id trace.TraceID
		binary.BigEndian.PutUint64(id[:8], rand.Uint64())
		binary.BigEndian.PutUint64(id[8:], rand.Uint64()|1)
		sc = trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID(id[8:])})
	}
	return trace.ContextWithSpanContext(sampling.ContextWithDrop(ctx), sc.WithRemote(false).WithTraceFlags(sc.TraceFlags().WithSampled(false)))
}

// Interface guards.
var (
	_ propagation.TextMapPropagator = propagator{}
	_ propagation.TextMapCarrier    = carrier(nil)
	_ propagation.ValuesGetter      = carrier(nil)
)
