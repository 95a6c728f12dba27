package core

import (
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Attributes that riffle sets on spans it hands over.
const (
	// SamplerKey names, on a local root, the sampler with the least threshold.
	SamplerKey = attribute.Key("sampling.sampler")
	// PartialKey tells, on a local root and on the first span handed over, that
	// the trace was decided before it was complete.
	PartialKey = attribute.Key("sampling.partial")
	// SpansForgottenKey counts, beside PartialKey, spans of the trace that are
	// gone.
	SpansForgottenKey = attribute.Key("sampling.spans_forgotten")
	// ParentMissingKey tells, on a local root, that its remote parent was not
	// sampled.
	ParentMissingKey = attribute.Key("sampling.parent_missing")
)

// handOver is what a shard gives away with its lock held, to be wrapped and
// delivered without it.
type handOver struct {
	spans     []sdktrace.ReadOnlySpan
	threshold Threshold
	sampler   string
	partial   bool
	mark      bool // the first span carries partial
	forgotten int32
}

// keptSpan is a span as it is handed over: it embeds the SDK's snapshot and
// has the sampled flag, the threshold, and riffle's attributes.
type keptSpan struct {
	sdktrace.ReadOnlySpan
	context trace.SpanContext
	attrs   []attribute.KeyValue
}

func (s *keptSpan) SpanContext() trace.SpanContext   { return s.context }
func (s *keptSpan) Attributes() []attribute.KeyValue { return s.attrs }

// handOver delivers what a shard gave away.
func (b *buffer) handOver(h handOver) {
	if len(h.spans) == 0 {
		return
	}
	wrapped := make([]keptSpan, len(h.spans))
	var states stateMemo
	for i, s := range h.spans {
		sc := s.SpanContext()
		state := states.with(sc.TraceState(), h.threshold)
		w := &wrapped[i]
		w.ReadOnlySpan = s
		w.context = sc.WithTraceFlags(sc.TraceFlags().WithSampled(true)).WithTraceState(state)
		w.attrs = h.attributes(s, i == 0)
		h.spans[i] = w
	}
	b.deliver(Kept{Spans: h.spans, Threshold: h.threshold, Sampler: h.sampler, Partial: h.partial})
}

// attributes are those of s and what riffle has to say.
func (h *handOver) attributes(s sdktrace.ReadOnlySpan, first bool) []attribute.KeyValue {
	attrs := s.Attributes()
	root := isLocalRoot(s)
	partial := h.partial && root || h.mark && first
	if !root && !partial {
		return attrs
	}
	all := make([]attribute.KeyValue, len(attrs), len(attrs)+4)
	copy(all, attrs)
	if partial {
		all = append(all, PartialKey.Bool(true))
		if h.forgotten > 0 {
			all = append(all, SpansForgottenKey.Int(int(h.forgotten)))
		}
	}
	if !root {
		return all
	}
	if h.sampler != "" {
		all = append(all, SamplerKey.String(h.sampler))
	}
	if p := s.Parent(); p.IsRemote() && !p.IsSampled() {
		all = append(all, ParentMissingKey.Bool(true))
	}
	return all
}

// stateMemo remembers the last tracestate it made: the spans of a trace mostly
// have the same.
type stateMemo struct {
	from, to trace.TraceState
	ot       string
	made     bool
}

func (m *stateMemo) with(ts trace.TraceState, t Threshold) trace.TraceState {
	if ts.Len() > 1 {
		return withThreshold(ts, t)
	}
	ot := ts.Get(otKey)
	if m.made && ot == m.ot && ts.Len() == m.from.Len() && (ts.Len() == 0 || ot != "") {
		return m.to
	}
	*m = stateMemo{from: ts, to: withThreshold(ts, t), ot: ot, made: true}
	return m.to
}

// What a span takes, by its parts, besides the bytes of its strings.
const (
	spanBytes  = 512
	attrBytes  = 72
	eventBytes = 88
	linkBytes  = 120
)

// sizeOf estimates how many bytes a span holds. It leaves out what spans share:
// names and keys, the resource, the scope.
func sizeOf(s sdktrace.ReadOnlySpan) int64 {
	n := spanBytes + sizeOfAttributes(s.Attributes())
	for _, e := range s.Events() {
		n += eventBytes + sizeOfAttributes(e.Attributes)
	}
	for _, l := range s.Links() {
		n += linkBytes + sizeOfAttributes(l.Attributes)
	}
	return n + int64(len(s.Status().Description))
}

func sizeOfAttributes(attrs []attribute.KeyValue) int64 {
	n := int64(len(attrs)) * attrBytes
	for i := range attrs {
		n += sizeOfValue(attrs[i].Value)
	}
	return n
}

func sizeOfValue(v attribute.Value) int64 {
	switch v.Type() {
	case attribute.BOOL, attribute.INT64, attribute.FLOAT64, attribute.EMPTY:
		return 0
	case attribute.STRING:
		return int64(len(v.AsString()))
	case attribute.BOOLSLICE:
		return int64(len(v.AsBoolSlice()))
	case attribute.INT64SLICE:
		return 8 * int64(len(v.AsInt64Slice()))
	case attribute.FLOAT64SLICE:
		return 8 * int64(len(v.AsFloat64Slice()))
	case attribute.STRINGSLICE:
		var n int64
		for _, s := range v.AsStringSlice() {
			n += 16 + int64(len(s))
		}
		return n
	case attribute.BYTESLICE:
		return int64(len(v.AsByteSlice()))
	case attribute.SLICE:
		var n int64
		for _, e := range v.AsSlice() {
			n += attrBytes + sizeOfValue(e)
		}
		return n
	case attribute.MAP:
		return sizeOfAttributes(v.AsMap())
	default:
		return attrBytes
	}
}
