package valid_test

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core/delivery/valid"
)

// texts is what of a span is text, and what is a number that is not finite.
func texts(s sdktrace.ReadOnlySpan) string {
	var b strings.Builder
	add := func(kvs []attribute.KeyValue) {
		for _, kv := range kvs {
			b.WriteString(string(kv.Key) + "=" + kv.Value.Type().String() + ":" + kv.Value.String() + ";")
		}
	}
	b.WriteString(s.Name() + ";" + s.Status().Description + ";" + s.InstrumentationScope().Name + ";")
	add(s.Attributes())
	add(s.Resource().Attributes())
	scope := s.InstrumentationScope()
	add(scope.Attributes.ToSlice())
	for _, e := range s.Events() {
		b.WriteString(e.Name + ";")
		add(e.Attributes)
	}
	for _, l := range s.Links() {
		add(l.Attributes)
	}
	return b.String()
}

func TestSpans(t *testing.T) {
	const bad = "a\xff\xfeb"
	nan := []attribute.KeyValue{attribute.Float64("f", math.NaN())}
	tests := map[string]struct {
		change func(*tracetest.SpanStub)
		want   string
	}{
		"name":   {func(s *tracetest.SpanStub) { s.Name = bad }, "a\uFFFDb;"},
		"status": {func(s *tracetest.SpanStub) { s.Status = sdktrace.Status{Code: codes.Error, Description: bad} }, "a\uFFFDb;"},
		"scope":  {func(s *tracetest.SpanStub) { s.InstrumentationScope = instrumentation.Scope{Name: bad} }, "a\uFFFDb;"},
		"scope's set": {func(s *tracetest.SpanStub) {
			s.InstrumentationScope = instrumentation.Scope{Name: "scope", Attributes: attribute.NewSet(nan...)}
		}, "f=STRING:NaN"},
		"resource": {func(s *tracetest.SpanStub) { s.Resource = resource.NewSchemaless(nan...) }, "f=STRING:NaN"},
		"key":      {func(s *tracetest.SpanStub) { s.Attributes = []attribute.KeyValue{attribute.Int(bad, 1)} }, "a\uFFFDb=INT64:1"},
		"text":     {func(s *tracetest.SpanStub) { s.Attributes = []attribute.KeyValue{attribute.String("k", bad)} }, "k=STRING:a\uFFFDb"},
		"texts": {func(s *tracetest.SpanStub) {
			s.Attributes = []attribute.KeyValue{attribute.StringSlice("k", []string{"x", bad})}
		}, "k=STRINGSLICE:[\"x\",\"a\uFFFDb\"]"},
		"infinite":      {func(s *tracetest.SpanStub) { s.Attributes = []attribute.KeyValue{attribute.Float64("k", math.Inf(1))} }, "k=STRING:Infinity"},
		"infinite, too": {func(s *tracetest.SpanStub) { s.Attributes = []attribute.KeyValue{attribute.Float64("k", math.Inf(-1))} }, "k=STRING:-Infinity"},
		"numbers": {func(s *tracetest.SpanStub) {
			s.Attributes = []attribute.KeyValue{attribute.Float64Slice("k", []float64{1.5, math.NaN()})}
		}, `k=STRINGSLICE:["1.5","NaN"]`},
		"slice": {func(s *tracetest.SpanStub) {
			s.Attributes = []attribute.KeyValue{{Key: "k", Value: attribute.SliceValue(attribute.IntValue(1), attribute.Float64Value(math.NaN()))}}
		}, `k=SLICE:[1,"NaN"]`},
		"map": {func(s *tracetest.SpanStub) {
			s.Attributes = []attribute.KeyValue{{Key: "k", Value: attribute.MapValue(attribute.Float64("f", math.NaN()))}}
		}, `k=MAP:{"f":"NaN"}`},
		"event": {func(s *tracetest.SpanStub) { s.Events = []sdktrace.Event{{Name: bad, Attributes: nan}} }, "a\uFFFDb;f=STRING:NaN"},
		"link":  {func(s *tracetest.SpanStub) { s.Links = []sdktrace.Link{{Attributes: nan}} }, "f=STRING:NaN"},
	}
	stub := func() tracetest.SpanStub {
		return tracetest.SpanStub{
			Name: "good", StartTime: time.Unix(1, 0), Resource: resource.NewSchemaless(attribute.String("service.name", "s")),
			Attributes: []attribute.KeyValue{attribute.Float64("f", 1.5), attribute.String("s", "ü")},
		}
	}
	good := stub().Snapshot()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := stub()
			tt.change(&s)
			spans := []sdktrace.ReadOnlySpan{good, s.Snapshot(), good}
			before := texts(spans[1])
			got := valid.Spans(spans)
			if text := texts(got[1]); !strings.Contains(text, tt.want) || !utf8.ValidString(text) {
				t.Errorf("got %q, want %q in it", text, tt.want)
			}
			if texts(got[0]) != texts(good) || texts(got[2]) != texts(good) || &got[0] == &spans[0] || texts(spans[1]) != before {
				t.Error("other spans, or the spans that were given, have changed")
			}
		})
	}
	same := []sdktrace.ReadOnlySpan{good}
	if got := valid.Spans(same); &got[0] != &same[0] {
		t.Error("spans that are valid were copied")
	}
}
