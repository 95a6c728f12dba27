package core

import (
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// handOver is what a shard gives away with its lock held, to be wrapped and
// delivered without it.
type handOver struct {
	spans     []sdktrace.ReadOnlySpan
	threshold sampling.Threshold
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

// handOver delivers what a shard gave away. A span that says already what is to be
// said is handed over as it is.
func (b *buffer) handOver(h *handOver) {
	if len(h.spans) == 0 {
		return
	}
	var wrapped []keptSpan
	var states stateMemo
	for i, s := range h.spans {
		sc := s.SpanContext()
		state, sameState := states.with(sc.TraceState(), h.threshold)
		attrs, sameAttrs := h.attributes(s, i == 0)
		if sameState && sameAttrs && sc.IsSampled() {
			continue
		}
		if wrapped == nil {
			wrapped = make([]keptSpan, 0, len(h.spans)-i)
		}
		wrapped = append(wrapped, keptSpan{
			ReadOnlySpan: s,
			context:      sc.WithTraceFlags(sc.TraceFlags().WithSampled(true)).WithTraceState(state),
			attrs:        attrs,
		})
		h.spans[i] = &wrapped[len(wrapped)-1]
	}
	b.deliver(Kept{Spans: h.spans, Threshold: h.threshold, Sampler: h.sampler, Partial: h.partial})
}

// attributes are those of s and what riffle has to say, or those of s alone if
// they say it already.
func (h *handOver) attributes(s sdktrace.ReadOnlySpan, first bool) (_ []attribute.KeyValue, same bool) {
	attrs := s.Attributes()
	root := isLocalRoot(s)
	partial := h.partial && root || h.mark && first
	named := !root || h.sampler == "" || namesSampler(attrs, h.sampler)
	missing := root && parentMissing(s)
	if named && !partial && !missing {
		return attrs, true
	}
	all := make([]attribute.KeyValue, len(attrs), len(attrs)+4)
	copy(all, attrs)
	if partial {
		all = append(all, sampling.PartialKey.Bool(true))
		if h.forgotten > 0 {
			all = append(all, sampling.SpansForgottenKey.Int(int(h.forgotten)))
		}
	}
	if !named {
		all = append(all, sampling.SamplerKey.String(h.sampler))
	}
	if missing {
		all = append(all, sampling.ParentMissingKey.Bool(true))
	}
	return all, false
}

// namesSampler reports whether the attributes of a local root tell the sampler:
// one that kept the trace for certain is set at the start.
func namesSampler(attrs []attribute.KeyValue, sampler string) bool {
	for i := range attrs {
		if attrs[i].Key == sampling.SamplerKey {
			return attrs[i].Value.AsString() == sampler
		}
	}
	return false
}

func parentMissing(s sdktrace.ReadOnlySpan) bool {
	p := s.Parent()
	return p.IsRemote() && !p.IsSampled()
}

// stateMemo remembers the last tracestate it made: the spans of a trace mostly
// have the same.
type stateMemo struct {
	from, to trace.TraceState
	ot       string
	made     bool
}

// with returns ts with th set to t, and whether it was so before.
func (m *stateMemo) with(ts trace.TraceState, t sampling.Threshold) (_ trace.TraceState, same bool) {
	ot := ts.Get("ot")
	if th := sampling.ThresholdIn(ts); th == t && t < sampling.Never || ot == "" && t >= sampling.Never {
		return ts, true
	}
	if ts.Len() > 1 {
		return sampling.WithThreshold(ts, t), false
	}
	if m.made && ot == m.ot && ts.Len() == m.from.Len() && (ts.Len() == 0 || ot != "") {
		return m.to, false
	}
	*m = stateMemo{from: ts, to: sampling.WithThreshold(ts, t), ot: ot, made: true}
	return m.to, false
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
		switch v := &attrs[i].Value; v.Type() {
		case attribute.STRING:
			n += int64(len(v.AsString()))
		case attribute.BOOL, attribute.INT64, attribute.FLOAT64:
		default:
			n += sizeOfValue(*v)
		}
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
