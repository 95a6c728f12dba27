package record

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

// run is the goroutine that decides what is open for too long, forgets what is
// remembered long enough, and makes room.
func (l *live) run() {
	ticker := time.NewTicker(l.tick)
	defer ticker.Stop()
	start := time.Now()
	for {
		select {
		case <-l.stop:
			return
		case <-l.signal:
			l.relieve()
		case now := <-ticker.C:
			l.clock.Store(int32(now.Sub(start) / l.tick))
			l.sweep()
			l.ease()
			l.sweepFormer()
			for _, e := range l.rules().end {
				if e.limit != nil {
					e.limit.report()
				}
			}
		}
	}
}

// sweep decides the segments that are open for too long, and forgets answers.
func (l *live) sweep() {
	now := l.clock.Load()
	l.memory.sweep(now, func() {
		for _, s := range l.list(all) {
			s.segment.hear(l)
		}
	})
	// Not at the tick itself: a younger one could still turn out slow.
	for _, s := range l.oldest(l.waitsLonger(now, func(b *Bounds) time.Duration { return b.MaxWait })) {
		l.decideOverdue(s.segment)
	}

	half := l.bounds().MaxBytes / 2
	if l.held.Load() <= half {
		return
	}
	for _, s := range l.oldest(l.waitsLonger(now, func(b *Bounds) time.Duration { return b.DecisionWait })) {
		if l.exactly() <= half-half/4 {
			return
		}
		l.decideOverdue(s.segment)
	}
}

// waitsLonger picks segments that are listed for longer than the rules allow under which
// they began.
func (l *live) waitsLonger(now int32, than func(*Bounds) time.Duration) func(slot) bool {
	if l.former.n.Load() == 0 { // no need to look into segments
		since := now - l.ticks(than(l.bounds()))
		return func(s slot) bool { return s.since < since }
	}
	return func(s slot) bool { return s.since < now-l.ticks(than(&s.segment.rules().bounds)) }
}

// hear takes what others have said of the trace, before it is forgotten.
func (g *segment) hear(l *live) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.absorb(l)
}

// oldest returns the live segments that a test picks, the oldest first. They can be of
// one trace, and hear what was said of the ones before; so their order must not depend
// on their places, which are those that others left.
func (l *live) oldest(pick func(slot) bool) []slot {
	list := l.list(pick)
	slices.SortFunc(list, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.since, b.since), bytes.Compare(a.segment.root.id[:], b.segment.root.id[:]))
	})
	return list
}

// decideOverdue decides what has ended of a segment, though it is not complete. End
// samplers are asked once more, about the open local root.
func (*live) decideOverdue(g *segment) {
	g.forgetContext()
	g.askLater(nil, true)
	g.mu.Lock() // it may be opened again under other rules
	r, mask := g.rules(), g.unanswered.Load()
	g.mu.Unlock()
	if mask != 0 && g.root.IsRecording() {
		g.askMatched(r, mask, &g.root, true)
	}
	var out handOver
	g.mu.Lock()
	if g.slot != unlisted {
		if !g.waiting.isEmpty() {
			g.counts().overdue.Add(1)
		}
		g.early(&out)
	}
	g.mu.Unlock()
	out.deliver()
}
