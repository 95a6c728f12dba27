package record

import (
	"sync"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// handOver is what a segment gives away while it is locked, to be delivered when it
// is not. The zero value is nothing.
type handOver struct {
	segment *segment
	first   part
	others  []part
}

// part is spans of one decision.
type part struct {
	spans     spans
	threshold sampling.Threshold
	by        int16
	partial   bool // the segment was not complete
	mark      bool // the first span says so
	missing   bool // the local root's parent is nowhere
	lost      int32
}

// take gives spans away.
func (h *handOver) take(g *segment, l spans, t sampling.Threshold, by int16) {
	p := part{spans: l, threshold: t, by: by, partial: g.has(isEarly) || g.lost > 0, lost: g.lost, missing: g.isParentMissing()}
	if p.partial && !g.has(isMarked) {
		p.mark = true
		g.bits |= isMarked
	}
	if h.segment == nil {
		h.segment, h.first = g, p
	} else {
		h.others = append(h.others, p)
	}
}

// isParentMissing reports whether the parent of the local root is in another process,
// and nobody said that it is kept.
func (g *segment) isParentMissing() bool {
	return g.more != nil && g.more.parent.IsValid() && g.more.parent.IsRemote() && !g.more.parent.IsSampled() && !g.has(wasTold)
}

// deliver hands over what was given away.
func (h *handOver) deliver() {
	if h.segment == nil {
		return
	}
	h.segment.deliver(&h.first)
	for i := range h.others {
		h.segment.deliver(&h.others[i])
	}
}

// spanLists are used again: receivers keep the spans, but no list.
var spanLists = sync.Pool{New: func() any { return new([]sdktrace.ReadOnlySpan) }}

// maxSpareSpans is how long a list may be to be used again.
const maxSpareSpans = 1 << 10

func (g *segment) deliver(p *part) {
	sampler := g.rules.names.name(p.by)
	d := &decision{threshold: p.threshold, state: g.stateWith(p.threshold)}
	list := spanLists.Get().(*[]sdktrace.ReadOnlySpan)
	for s := p.spans.first; s != nil; {
		next := s.next
		s.prev, s.next = nil, nil // who holds one of them holds no other
		s.kept = d
		*list = append(*list, (*view)(&s.recorded))
		switch {
		case s == &g.root:
			d.root = &s.recorded
			d.rootAttrs = withAttributes(s, p.rootAttributes(sampler, p.mark && len(*list) == 1))
		case p.mark && len(*list) == 1:
			d.first = &s.recorded
			d.firstAttrs = withAttributes(s, p.partialAttributes())
		}
		s = next
	}
	if g.rules.deliver != nil {
		g.rules.deliver(Kept{Spans: *list, Threshold: p.threshold, Sampler: sampler, Partial: p.partial})
	}
	if cap(*list) <= maxSpareSpans {
		clear(*list)
		*list = (*list)[:0]
		spanLists.Put(list)
	}
}

// stateWith is the tracestate of the segment's spans with a threshold.
func (g *segment) stateWith(t sampling.Threshold) trace.TraceState {
	switch {
	case t == g.start && g.start.Selects(g.randomness): // it has it
		return g.state
	case t == sampling.Always && g.more != nil && g.more.always.Len() > 0:
		return g.more.always
	default:
		return sampling.WithThreshold(g.state, t)
	}
}

// rootAttributes are what riffle has to say on a local root.
func (p *part) rootAttributes(sampler string, first bool) []attribute.KeyValue {
	var attrs []attribute.KeyValue
	if p.partial || first {
		attrs = p.partialAttributes()
	}
	if sampler != "" {
		attrs = append(attrs, sampling.SamplerKey.String(sampler))
	}
	if p.missing {
		attrs = append(attrs, sampling.ParentMissingKey.Bool(true))
	}
	return attrs
}

func (p *part) partialAttributes() []attribute.KeyValue {
	attrs := []attribute.KeyValue{sampling.PartialKey.Bool(true)}
	if p.lost > 0 {
		attrs = append(attrs, sampling.SpansForgottenKey.Int(int(p.lost)))
	}
	return attrs
}

// withAttributes returns the attributes of a span that has ended, and those of
// riffle.
func withAttributes(s *span, more []attribute.KeyValue) []attribute.KeyValue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.orderWith(more)
}
