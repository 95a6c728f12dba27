package python_test

import (
	"context"
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// One that has no share of its own says so.
func TestNeedsSample(t *testing.T) {
	p := open(t)
	for name, want := range map[string]bool{"bound": true, "thin": false, "share": false} {
		s, err := p.Sampler(t.Context(), component.Settings{ID: name}, name, component.JSON(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Traits().NeedsSample; got != want {
			t.Errorf("%s: needs a sample: %v", name, got)
		}
		if err := s.(component.Shutdowner).Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// A segment sampler is told the local root and the spans, and its answers arrive.
func TestSegments(t *testing.T) {
	p := open(t)
	s, err := p.Sampler(t.Context(), component.Settings{ID: "thin"}, "thin", component.JSON(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.(component.Shutdowner).Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	segment := func(name string, attrs ...attribute.KeyValue) sampling.Segment {
		root := tracetest.SpanStub{
			Name: name, Attributes: attrs, Resource: resource.NewSchemaless(attribute.String("service.name", "shop")),
			SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}),
		}.Snapshot()
		return sampling.Segment{TraceID: trace.TraceID{1}, Root: root, Spans: []sdktrace.ReadOnlySpan{root}, Complete: true}
	}
	segments := []sampling.Segment{
		{},
		segment("GET /", attribute.String("tenant.id", "bot")),
		segment("GET /"),
		segment("GET /", attribute.String("tenant.id", "acme")),
		segment("payment", attribute.String("tenant.id", "bot")),
	}
	answers := make([]sampling.Answer, len(segments))
	s.(sampling.SegmentSampler).SampleSegments(t.Context(), segments, answers)
	if got, want := fmt.Sprint(answers), "[abstain discard abstain at most threshold 8 threshold 0: a payment]"; got != want {
		t.Errorf("the answers are %s, want %s", got, want)
	}
}
