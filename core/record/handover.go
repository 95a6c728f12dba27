package record

import (
	"context"
	"sync"

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
	measure func(context.Context, Measured) // nil is nobody
	lost    spans                           // spans that are let go, and are to be measured
	size    int64                           // that those hold until then
}

// part is spans of one decision.
type part struct {
	spans    spans
	decision *decision
	size     int64 // held until the spans are delivered
}

// take gives spans away.
func (h *handOver) take(g *segment, l spans, size int64, t sampling.Threshold, by giver) {
	d := decision{
		threshold: t, sampler: g.live().names.name(by.by), rule: by.rule, root: &g.root.recorded,
		lost: g.lost, partial: g.has(isEarly) || g.lost > 0, missing: g.isParentMissing(),
	}
	if d.partial && !g.has(isMarked) {
		d.first = &l.first.recorded
		g.bits |= isMarked
	}
	// Where T = 0 is sure each span is handed over alone, and all by the same decision.
	if g.kept == nil || !g.kept.covers(&d) {
		d.state, d.resource = g.stateWith(t), g.rules().resource
		g.kept = &d
	}
	p := part{spans: l, size: size, decision: g.kept}
	h.segment, h.measure = g, g.rules().measure
	if h.first.decision == nil {
		h.first = p
	} else {
		h.others = append(h.others, p)
	}
}

// covers reports whether a decision says the same as another.
func (d *decision) covers(o *decision) bool {
	return d.threshold == o.threshold && d.sampler == o.sampler && d.rule == o.rule &&
		d.lost == o.lost && d.partial == o.partial && d.missing == o.missing && o.first == nil
}

// isParentMissing reports whether the parent of the local root is in another process,
// and nobody said that it is kept.
func (g *segment) isParentMissing() bool {
	return g.more != nil && g.more.parent.IsValid() && g.more.parent.IsRemote() && !g.more.parent.IsSampled() && !g.has(wasTold)
}

// letGo gives away spans that are not kept, for who measures all.
func (h *handOver) letGo(g *segment, l spans, size int64) {
	h.segment, h.measure = g, g.rules().measure
	h.lost.append(&l)
	h.size += size
}

// handOvers are those of several segments that are decided together.
type handOvers []handOver

func (l *handOvers) add(h *handOver) {
	if h.segment != nil {
		*l = append(*l, *h)
	}
}

func (l handOvers) deliver() {
	for i := range l {
		l[i].deliver()
	}
}

// deliver hands over what was given away.
func (h *handOver) deliver() {
	if h.segment == nil {
		return
	}
	if h.first.decision != nil {
		h.deliverPart(&h.first)
	}
	for i := range h.others {
		h.deliverPart(&h.others[i])
	}
	if h.lost.isEmpty() {
		return
	}
	for s := h.lost.first; s != nil; s = s.next {
		h.measure(context.Background(), Measured{&s.recorded})
	}
	h.segment.live().account(h.segment.shard, -h.size)
	h.lost.part()
}

// spanLists are used again: receivers keep the spans, but no list.
var spanLists = sync.Pool{New: func() any { return new([]sdktrace.ReadOnlySpan) }}

// maxSpareSpans is how long a list may be to be used again.
const maxSpareSpans = 1 << 10

func (h *handOver) deliverPart(p *part) {
	g, d := h.segment, p.decision
	list := spanLists.Get().(*[]sdktrace.ReadOnlySpan)
	for s := p.spans.first; s != nil; {
		next := s.next
		s.prev, s.next = nil, nil // who holds one of them holds no other
		s.kept = d
		*list = append(*list, (*view)(&s.recorded))
		if h.measure != nil {
			h.measure((*exemplar)(s), Measured{&s.recorded})
		}
		s = next
	}
	if deliver := g.live().deliver; deliver != nil {
		deliver(Kept{Spans: *list, Threshold: d.threshold, Sampler: d.sampler, Partial: d.partial})
	}
	g.live().account(g.shard, -p.size)
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
