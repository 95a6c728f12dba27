package record

import (
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"

	"github.com/riffletrace/riffle/core/sampling"
)

// thin decides about the oldest spans that have ended, but for the local root,
// errors and their ancestors, until the segment is well below its bound.
func (g *segment) thin(out *handOver) {
	spared := map[*span]bool{&g.root: true}
	for s := g.waiting.first; s != nil; s = s.next {
		if s.failed() {
			for up := s; up != nil && !spared[up]; up = up.parent {
				spared[up] = true
			}
		}
	}
	target := g.rules().bounds.MaxSegmentBytes - g.rules().bounds.MaxSegmentBytes/4
	var thinned spans
	left := g.bytes
	for s := g.waiting.first; s != nil && left > target; {
		next := s.next
		if !spared[s] {
			g.waiting.remove(s)
			thinned.add(s)
			left -= s.size()
		}
		s = next
	}
	// What is spared may be all there is: to look again at each end would cost too much.
	g.rarely().thinAgain = left + g.rules().bounds.MaxSegmentBytes/4
	if thinned.isEmpty() {
		return
	}
	g.bits |= isEarly
	g.counts().thinned.Add(1)
	g.absorb(g.live())
	g.decide(out, thinned, sampling.Always)
}

// abandon lets go of a segment for lack of room: of what has ended, and
// of what its open spans hold. Nothing that ends or starts in it later is recorded.
func (g *segment) abandon(out *handOver) {
	if !g.has(isCountedLost) { // it is among those that were not kept once
		g.counts().abandoned.Add(1)
	}
	g.bits |= isGone
	g.unanswered.Store(0)
	g.letGo(out, g.waiting.take())
	g.withdraw(func(l spans) { g.letGo(out, l) })
	l := g.live()
	processed := len(g.root.provider.spanProcessors()) > 0 // which see every span
	for s := g.open; s != nil; s = s.next {
		size, emptied := s.abandon(!processed)
		l.account(g.shard, -size)
		if emptied {
			g.counts().spansLost.Add(1)
			if s == &g.root {
				g.counts().unrecorded.Add(1)
			}
		}
	}
	if m := g.more; m != nil { // nobody asks for it any more
		m.context, m.baggage = nil, baggage.Baggage{}
	}
	l.remove(g)
	g.account(-g.bytes)
}

// abandon returns with what an open span counted. It empties the span if asked to,
// and if it has not ended: nothing more of it is recorded.
func (s *span) abandon(empty bool) (size int64, emptied bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if emptied = empty && !s.state.hasEnded(); emptied {
		s.attrs, s.late = nil, nil
		if r := s.rare; r != nil { // what does not change of it is read without a lock
			r.status.Description, r.events, r.links = "", nil, nil
			if r.endTask != nil {
				r.endTask()
				r.endTask = nil
			}
		}
		s.state.Or(hasEnded)
	}
	size = s.size()
	s.countNothing()
	return size, emptied
}

// failed reports whether the status of a span that has ended is an error.
func (s *recorded) failed() bool { return s.code() == codes.Error }
