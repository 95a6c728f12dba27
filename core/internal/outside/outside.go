// Package outside reads the trace context of clients that nobody trusts.
package outside

import (
	"context"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Propagator is p, but for what a client can make it pass on to other services beside
// the span context and baggage: the debug flags of b3 and jaeger, which there mean
// that everything is kept. Propagators put such into the context under keys of their
// own, so that nothing but the known is taken over.
func Propagator(p propagation.TextMapPropagator) propagation.TextMapPropagator {
	return propagator{p}
}

type propagator struct{ propagation.TextMapPropagator }

// Extract takes nothing where there is no valid span context, as from its tracestate.
func (p propagator) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	read := p.TextMapPropagator.Extract(context.Background(), carrier)
	if sc := trace.SpanContextFromContext(read); sc.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, sc)
	}
	if b := baggage.FromContext(read); b.Len() > 0 {
		ctx = baggage.ContextWithBaggage(ctx, b)
	}
	return ctx
}
