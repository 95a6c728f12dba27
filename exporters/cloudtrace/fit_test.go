package cloudtrace_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/riffletrace/riffle/internal/googletest"
)

func many(n int) []attribute.KeyValue {
	all := make([]attribute.KeyValue, n)
	for i := range all {
		all[i] = attribute.Int(fmt.Sprint("key", i), i)
	}
	return all
}

// What is past a limit is cut off or dropped, and counted where it was.
func TestLimits(t *testing.T) {
	long := strings.Repeat("ü", 40<<10)
	tests := []struct {
		name string
		span tracetest.SpanStub
		want func(*tracepb.ResourceSpans) []any // got, want
	}{
		{"attributes", tracetest.SpanStub{Attributes: many(1030), DroppedAttributes: 2}, func(rs *tracepb.ResourceSpans) []any {
			s := rs.ScopeSpans[0].Spans[0]
			return []any{len(s.Attributes), 1024, s.DroppedAttributesCount, uint32(8)}
		}},
		{"name", tracetest.SpanStub{Name: long}, func(rs *tracepb.ResourceSpans) []any {
			name := rs.ScopeSpans[0].Spans[0].Name
			return []any{len(name), 1024, utf8.ValidString(name), true}
		}},
		{"value", tracetest.SpanStub{Attributes: []attribute.KeyValue{attribute.String("k", "x"+long)}}, func(rs *tracepb.ResourceSpans) []any {
			s := rs.ScopeSpans[0].Spans[0]
			return []any{len(s.Attributes[0].Value.GetStringValue()), 64<<10 - 1, s.DroppedAttributesCount, uint32(0)}
		}},
		{"list", tracetest.SpanStub{Attributes: []attribute.KeyValue{attribute.StringSlice("k", []string{long, "a"}), attribute.Bool("b", true)}}, func(rs *tracepb.ResourceSpans) []any {
			s := rs.ScopeSpans[0].Spans[0]
			return []any{len(s.Attributes), 1, s.DroppedAttributesCount, uint32(1)}
		}},
		{"key", tracetest.SpanStub{Attributes: []attribute.KeyValue{attribute.Int(long[:514], 1), attribute.Int(long[:512], 1)}}, func(rs *tracepb.ResourceSpans) []any {
			s := rs.ScopeSpans[0].Spans[0]
			return []any{len(s.Attributes), 1, s.DroppedAttributesCount, uint32(1)}
		}},
		{"events", tracetest.SpanStub{Events: make([]sdktrace.Event, 300), DroppedEvents: 1}, func(rs *tracepb.ResourceSpans) []any {
			s := rs.ScopeSpans[0].Spans[0]
			return []any{len(s.Events), 256, s.DroppedEventsCount, uint32(45)}
		}},
		{"event", tracetest.SpanStub{Events: []sdktrace.Event{{Name: long, Attributes: many(1025)}}}, func(rs *tracepb.ResourceSpans) []any {
			e := rs.ScopeSpans[0].Spans[0].Events[0]
			return []any{len(e.Name), 1024, len(e.Attributes), 1024, e.DroppedAttributesCount, uint32(1)}
		}},
		{"links", tracetest.SpanStub{Links: make([]sdktrace.Link, 130)}, func(rs *tracepb.ResourceSpans) []any {
			s := rs.ScopeSpans[0].Spans[0]
			return []any{len(s.Links), 128, s.DroppedLinksCount, uint32(2)}
		}},
		{"resource", tracetest.SpanStub{Resource: resource.NewSchemaless(many(1024)...)}, func(rs *tracepb.ResourceSpans) []any {
			return []any{len(rs.Resource.Attributes), 1024, rs.Resource.DroppedAttributesCount, uint32(1), googletest.ProjectOf(rs), googletest.OfKey}
		}},
		{"schema", tracetest.SpanStub{InstrumentationScope: instrumentation.Scope{Name: "s", SchemaURL: "https://" + long}}, func(rs *tracepb.ResourceSpans) []any {
			return []any{len(rs.ScopeSpans[0].SchemaUrl), 8192}
		}},
		{"all together", tracetest.SpanStub{Attributes: many(1000), Events: []sdktrace.Event{
			{Attributes: many(1000)},
			{Attributes: many(1000)},
			{Attributes: many(1000)},
			{Attributes: many(1000)},
			{Attributes: many(1000)},
			{Attributes: many(1000)},
			{Attributes: many(1000)},
			{Attributes: many(1000)},
		}}, func(rs *tracepb.ResourceSpans) []any {
			s := rs.ScopeSpans[0].Spans[0]
			return []any{
				len(s.Attributes), 1000, len(s.Events[6].Attributes), 1000, len(s.Events[7].Attributes), 191,
				s.Events[7].DroppedAttributesCount, uint32(809),
			}
		}},
	}
	f := googletest.New(t)
	file := f.KeyFile(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := to(f)
			c.CredentialsFile = file
			if err := build(t, c).ExportSpans(t.Context(), tracetest.SpanStubs{tt.span}.Snapshots()); err != nil {
				t.Fatal(err)
			}
			pairs := tt.want(f.Take()[0])
			for i := 0; i < len(pairs); i += 2 {
				if diff := cmp.Diff(pairs[i+1], pairs[i]); diff != "" {
					t.Errorf("%d: -want +got:\n%s", i/2, diff)
				}
			}
		})
	}
}

// A batch of ordinary spans has more attributes than a ResourceSpans may have:
// it is cut into several, and nothing is dropped.
func TestManySpans(t *testing.T) {
	f := googletest.New(t)
	c := to(f)
	c.CredentialsFile = f.KeyFile(t, nil)
	var stubs tracetest.SpanStubs
	for i := range 2000 {
		stubs = append(stubs, tracetest.SpanStub{
			Name: fmt.Sprintf("%04d", i), Attributes: many(10),
			InstrumentationScope: instrumentation.Scope{Name: fmt.Sprint(i % 3), Attributes: attribute.NewSet(many(5)...)},
		})
	}
	if err := build(t, c).ExportSpans(t.Context(), stubs.Snapshots()); err != nil {
		t.Fatal(err)
	}
	names, _, _ := f.Received()
	parts := f.Take()
	if len(names) != 2000 || len(parts) != 3 {
		t.Errorf("%d spans came, in %d parts", len(names), len(parts))
	}
	for _, rs := range parts {
		for _, ss := range rs.GetScopeSpans() {
			if len(ss.GetScope().GetAttributes()) != 5 {
				t.Errorf("scope %q has %d attributes", ss.GetScope().GetName(), len(ss.GetScope().GetAttributes()))
			}
			for _, s := range ss.GetSpans() {
				if len(s.GetAttributes()) != 10 || s.GetDroppedAttributesCount() != 0 {
					t.Errorf("span %s has %d attributes", s.GetName(), len(s.GetAttributes()))
				}
			}
		}
	}
}
