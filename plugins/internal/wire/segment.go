package wire

import (
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/bound"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// EncodeSegment turns a segment into a message with what the instance asks for, and
// its spans only if they fit into room, which it takes them from.
func EncodeSegment(s *sampling.Segment, wants *pluginpb.SegmentSampling, room *int) *pluginpb.Segment {
	m := &pluginpb.Segment{TraceId: s.TraceID[:], Spans: uint32(len(s.Spans)), Complete: s.Complete, Threshold: uint64(s.Threshold)}
	for _, span := range s.Spans {
		if span.Status().Code == otelcodes.Error {
			m.Errors++
		}
	}
	if s.Root != nil {
		m.Root = encodeRoot(s.Root, wants.GetAttributes())
	}
	if wants.GetSpans() {
		if spans := otlp.AppendRequest(nil, s.Spans); len(spans) <= *room {
			m.Otlp = spans
			*room -= len(spans)
		}
	}
	return m
}

// maxRoot bounds what the attributes of a local root hold that a plugin gets.
const maxRoot = 64 << 10

func encodeRoot(root sdktrace.ReadOnlySpan, keys []string) *pluginpb.LocalRoot {
	id := root.SpanContext().SpanID()
	var attrs []attribute.KeyValue
	room := maxRoot
	for _, key := range keys {
		for _, kv := range root.Attributes() {
			if string(kv.Key) == key {
				kv.Value = bound.Limit(max(room, 1)).Value(kv.Value)
				room -= int(bound.ValueBytes(kv.Value))
				attrs = append(attrs, kv)
			}
		}
	}
	return &pluginpb.LocalRoot{
		Name:       ValidText(root.Name()),
		Kind:       otlp.FromSpanKind(root.SpanKind()),
		DurationNs: uint64(max(root.EndTime().Sub(root.StartTime()), 0)),
		Status:     otlp.FromStatus(root.Status()),
		Attributes: otlp.KeyValues(attrs),
		SpanId:     id[:],
	}
}

// DecodeSegment is the reverse. The root is one of the spans, if they are there.
func DecodeSegment(m *pluginpb.Segment) (sampling.Segment, error) {
	s := sampling.Segment{Complete: m.GetComplete(), Threshold: sampling.Threshold(m.GetThreshold())}
	copy(s.TraceID[:], m.GetTraceId())
	if len(m.GetOtlp()) > 0 {
		var err error
		if s.Spans, err = otlp.Decode(m.GetOtlp()); err != nil {
			return s, err
		}
	}
	if m.GetRoot() == nil {
		return s, nil
	}
	var id trace.SpanID
	copy(id[:], m.GetRoot().GetSpanId())
	if i := slices.IndexFunc(s.Spans, func(span sdktrace.ReadOnlySpan) bool { return span.SpanContext().SpanID() == id }); i >= 0 {
		s.Root = s.Spans[i]
	} else {
		s.Root = decodeRoot(trace.NewSpanContext(trace.SpanContextConfig{TraceID: s.TraceID, SpanID: id}), m.GetRoot())
	}
	return s, nil
}

func decodeRoot(sc trace.SpanContext, m *pluginpb.LocalRoot) sdktrace.ReadOnlySpan {
	start := time.Unix(0, 0)
	return tracetest.SpanStub{
		Name:        m.GetName(),
		SpanContext: sc,
		SpanKind:    otlp.ToSpanKind(m.GetKind()),
		StartTime:   start,
		EndTime:     start.Add(time.Duration(m.GetDurationNs())),
		Attributes:  otlp.Attributes(m.GetAttributes()),
		Status:      otlp.ToStatus(m.GetStatus()),
	}.Snapshot()
}
