package wire_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// The local root arrives as the span that it is, also where its parent is in this
// process, or alone with the attributes that were asked for.
func TestSegments(t *testing.T) {
	id := trace.TraceID{7}
	at := func(n byte) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{n}})
	}
	now := time.Unix(100, 0)
	root := tracetest.SpanStub{
		Name: "GET /", SpanKind: trace.SpanKindServer, SpanContext: at(2), Parent: at(1), StartTime: now, EndTime: now.Add(time.Second),
		Attributes: []attribute.KeyValue{attribute.String("tenant", "acme"), attribute.Int("n", 1)},
		Status:     sdktrace.Status{Code: codes.Error, Description: "no"},
	}.Snapshot()
	child := tracetest.SpanStub{Name: "SELECT", SpanContext: at(3), Parent: at(2), StartTime: now, EndTime: now}.Snapshot()
	segment := sampling.Segment{TraceID: id, Root: root, Spans: []sdktrace.ReadOnlySpan{child, root}, Complete: true, Threshold: sampling.Never}

	for _, tt := range []struct {
		name  string
		wants *pluginpb.SegmentSampling
		room  int
		spans int
		attrs []attribute.KeyValue
	}{
		{"spans", &pluginpb.SegmentSampling{Spans: true}, math.MaxInt, 2, root.Attributes()},
		{"root", &pluginpb.SegmentSampling{Attributes: []string{"tenant", "none"}}, math.MaxInt, 0, root.Attributes()[:1]},
		{"no room", &pluginpb.SegmentSampling{Spans: true}, 10, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := wire.EncodeSegment(&segment, tt.wants, &tt.room)
			if m.GetSpans() != 2 || m.GetErrors() != 1 {
				t.Errorf("%d spans and %d errors, want 2 and 1", m.GetSpans(), m.GetErrors())
			}
			got, err := wire.DecodeSegment(m)
			if err != nil {
				t.Fatal(err)
			}
			if got.TraceID != id || !got.Complete || got.Threshold != sampling.Never || len(got.Spans) != tt.spans {
				t.Errorf("it arrives as %+v", got)
			}
			if got.Root == nil {
				t.Fatal("it arrives without its root")
			}
			if got.Root.Name() != "GET /" || got.Root.SpanContext().SpanID() != (trace.SpanID{2}) || got.Root.Status() != root.Status() ||
				got.Root.EndTime().Sub(got.Root.StartTime()) != time.Second || !slices.Equal(got.Root.Attributes(), tt.attrs) {
				t.Errorf("the root arrives as %+v", got.Root)
			}
		})
	}

	open := sampling.Segment{TraceID: id, Spans: []sdktrace.ReadOnlySpan{child}}
	room := math.MaxInt
	got, err := wire.DecodeSegment(wire.EncodeSegment(&open, &pluginpb.SegmentSampling{Spans: true}, &room))
	if err != nil || got.Root != nil || got.Complete || len(got.Spans) != 1 {
		t.Errorf("one with an open root arrives as %+v, %v", got, err)
	}
	if _, err := wire.DecodeSegment(&pluginpb.Segment{Otlp: []byte{0xff}}); err == nil {
		t.Error("spans that are none are no error")
	}
}

// What a plugin is told of a root is bounded, lists too.
func TestLongRoot(t *testing.T) {
	root := tracetest.SpanStub{Name: "a", Attributes: []attribute.KeyValue{
		attribute.StringSlice("texts", []string{strings.Repeat("x", 1<<20), "y"}),
		attribute.Int64Slice("numbers", make([]int64, 1<<20)),
		attribute.String("text", strings.Repeat("é", 1<<20)),
		attribute.Int("n", 7),
	}}.Snapshot()
	room := 1 << 30
	m := wire.EncodeSegment(&sampling.Segment{Root: root, Complete: true}, &pluginpb.SegmentSampling{Attributes: []string{"n", "texts", "numbers", "text"}}, &room)
	if n := proto.Size(m); n < 60<<10 || n > 100<<10 {
		t.Errorf("%d bytes", n)
	}
	back, err := wire.DecodeSegment(m)
	if err != nil || len(back.Root.Attributes()) != 4 || back.Root.Attributes()[0].Value.AsInt64() != 7 {
		t.Errorf("%v, %v", back.Root.Attributes(), err)
	}
}
