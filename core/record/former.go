package record

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riffletrace/riffle/core/sampling"
)

// former are rules that others have taken the place of, while segments are open that
// began under them. doc.go draws what becomes of them.
type former struct {
	mu     sync.Mutex
	list   []formerRules
	closed bool
	n      atomic.Int32 // len(list), or one more
	wait   sync.WaitGroup
	life   context.Context //nolint:containedctx // of what releases
	cancel context.CancelFunc
}

// releaseTime bounds what the release of rules may take.
const releaseTime = time.Minute

type formerRules struct {
	*rules
	release func(context.Context)
}

func (f *former) init() { f.life, f.cancel = context.WithCancel(context.Background()) }

// Reconfigure puts other rules into force: what of c are rules. IDs, span processors,
// randomness, Deliver, Flush and Close stay. Segments end under the rules that they
// began with; when none is open any more, or the provider shuts down, release is called,
// once, on a goroutine of its own. Samplers that are in the former list too are taken
// from it with [Samplers.AddSame].
//
// It reports whether it did so: after Shutdown it does not.
func (p *TracerProvider) Reconfigure(c Config, release func(context.Context)) bool {
	l := p.live
	l.former.mu.Lock()
	defer l.former.mu.Unlock()
	if l.former.closed {
		return false
	}
	c.Randomness = l.rules().startRules.random
	next := l.newRules(&c)
	l.startFor(next)
	l.startSweeper()
	l.bound(&next.bounds)
	l.former.n.Add(1) // before, so that no segment is under rules that are neither in force nor former
	last := l.current.Swap(next)
	l.former.list = append(l.former.list, formerRules{last, release})
	return true
}

// sweepFormer releases what no segment needs.
func (l *live) sweepFormer() {
	f := &l.former
	if f.n.Load() == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	closing := map[*rules]bool{} // before it was looked for segments
	for _, r := range f.list {
		closing[r.rules] = r.closing.Load()
	}
	used := map[*rules]bool{}
	l.list(func(s slot) bool {
		used[s.segment.rules()] = true
		return false
	})
	f.list = slices.DeleteFunc(f.list, func(r formerRules) bool {
		if used[r.rules] {
			return false
		}
		if !closing[r.rules] {
			r.closing.Store(true)
			return false
		}
		f.release(r)
		return true
	})
	f.n.Store(int32(len(f.list)))
}

// goOnUnder puts a segment under rules that it did not begin with: it was complete, and is
// opened again. What was said of it stands, and samplers that have answered are not asked
// again.
func (g *segment) goOnUnder(r *rules) {
	last, unanswered := g.rules(), r.allEnd
	for i, e := range last.end {
		if g.unanswered.Load()&(1<<i) == 0 {
			unanswered &^= r.same(e)
		}
	}
	if g.has(isSure|isFollowing) || g.isSelected() && !g.pressure.Selects(g.randomness) {
		unanswered = 0
	}
	g.unanswered.Store(unanswered)
	if r.budget != last.budget {
		g.bits &^= isSpent
	}
	if g.least != sampling.Never {
		g.place = r.placeOf(g.leastBy)
	}
	if m := g.more; m != nil {
		m.later = 0 // bits of the last rules; nothing waits
		if m.unknown != sampling.Never {
			m.unknownPlace = r.placeOf(m.unknownBy)
		}
		capped := m.capped
		m.capped = 0
		for place, limit := range last.limited {
			if capped&(1<<(place&63)) == 0 {
				continue
			}
			for now, same := range r.limited {
				if same == limit {
					m.capped |= 1 << (now & 63)
				}
			}
		}
	}
	g.under.Store(r)
}

// same is the bit of the end sampler of another list.
func (r *rules) same(e *EndEntry) uint64 {
	for i, own := range r.end {
		if own.guard == e.guard {
			return 1 << i
		}
	}
	return 0
}

// close ends it: no rules come any more.
func (f *former) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

// releaseAll releases what is left, when no segment is open any more.
func (f *former) releaseAll() {
	for _, r := range f.list {
		f.release(r)
	}
	f.list = nil
}

func (f *former) release(r formerRules) {
	f.wait.Go(func() {
		ctx, cancel := context.WithTimeout(f.life, releaseTime)
		defer cancel()
		r.release(ctx)
	})
}

// end waits until all are released, bounded by ctx.
func (f *former) end(ctx context.Context) {
	defer context.AfterFunc(ctx, f.cancel)()
	f.wait.Wait()
	f.cancel()
}
