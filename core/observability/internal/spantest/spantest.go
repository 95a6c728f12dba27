// Package spantest records spans in tests of the helpers.
package spantest

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// Spans are what a test has recorded.
type Spans struct {
	t testing.TB
	*tracetest.InMemoryExporter
}

// Record makes a stock provider that records everything the global one until
// the test ends.
func Record(t testing.TB) *Spans {
	t.Helper()
	out := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(out))
	tp, prop := otel.GetTracerProvider(), otel.GetTextMapPropagator()
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	t.Cleanup(func() {
		otel.SetTracerProvider(tp)
		otel.SetTextMapPropagator(prop)
		if err := provider.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &Spans{t, out}
}

// One returns the only span of a name.
func (s *Spans) One(name string) tracetest.SpanStub {
	s.t.Helper()
	var found []tracetest.SpanStub
	for _, span := range s.GetSpans() {
		if span.Name == name {
			found = append(found, span)
		}
	}
	if len(found) != 1 {
		s.t.Fatalf("there are %d spans %q, want one; all: %q", len(found), name, s.Names())
	}
	return found[0]
}

// Names are the names of the spans, in the order of their ends.
func (s *Spans) Names() []string {
	var names []string
	for _, span := range s.GetSpans() {
		names = append(names, span.Name)
	}
	return names
}

// Attributes are those of a span, as text.
func Attributes(s tracetest.SpanStub) map[string]string {
	m := map[string]string{}
	for _, kv := range s.Attributes {
		m[string(kv.Key)] = kv.Value.String()
	}
	return m
}

// Events are the events of a span, their attributes as text.
func Events(s tracetest.SpanStub) map[string]map[string]string {
	m := map[string]map[string]string{}
	for _, e := range s.Events {
		m[e.Name] = map[string]string{}
		for _, kv := range e.Attributes {
			m[e.Name][string(kv.Key)] = kv.Value.String()
		}
	}
	return m
}
