package record

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"
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
	l.decideOverdue(l.oldest(l.waitsLonger(now, func(b *Bounds) time.Duration { return b.MaxWait }))...)

	half := l.bounds().MaxBytes / 2
	if l.held.Load() <= half {
		return
	}
	for _, list := range byTrace(l.oldest(l.waitsLonger(now, func(b *Bounds) time.Duration { return b.DecisionWait }))) {
		if l.exactly() <= half-half/4 {
			return
		}
		l.decideOverdue(list...)
	}
}

// byTrace puts segments of one trace together, at the place of the first.
func byTrace(list []*segment) (traces [][]*segment) {
	places := make(map[trace.TraceID]int, len(list))
	for _, g := range list {
		place, known := places[g.traceID]
		if !known {
			place = len(traces)
			places[g.traceID], traces = place, append(traces, nil)
		}
		traces[place] = append(traces[place], g)
	}
	return traces
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
func (l *live) oldest(pick func(slot) bool) []*segment {
	slots := l.list(pick)
	slices.SortFunc(slots, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.since, b.since), bytes.Compare(a.segment.root.id[:], b.segment.root.id[:]))
	})
	list := make([]*segment, len(slots))
	for i := range slots {
		list[i] = slots[i].segment
	}
	return list
}

// decideOverdue decides what has ended of segments, though they are not complete. End
// samplers are asked once more, about open local roots: about all of them before the first
// is decided, since what is said of one can keep another of its trace.
func (l *live) decideOverdue(list ...*segment) {
	for _, g := range list {
		g.askOverdue()
	}
	l.decideTogether(list, func(g *segment, out *handOver) {
		if g.slot == unlisted {
			return
		}
		if !g.waiting.isEmpty() {
			g.counts().overdue.Add(1)
		}
		g.early(out)
	})
}

// decideTogether calls f, which decides a segment that is locked, while nothing that
// samplers answer about others is concluded.
func (l *live) decideTogether(list []*segment, f func(*segment, *handOver)) {
	var decided handOvers
	l.asker.concluding.Lock()
	for _, g := range list {
		var out handOver
		g.mu.Lock()
		f(g, &out)
		g.mu.Unlock()
		decided.add(&out)
	}
	l.asker.concluding.Unlock()
	decided.deliver()
}

// askOverdue asks end samplers about what has ended, and about the local root as it is.
func (g *segment) askOverdue() {
	g.forgetContext()
	g.askLater(nil, true)
	g.mu.Lock() // it may be opened again under other rules
	r, mask := g.rules(), g.unanswered.Load()
	g.mu.Unlock()
	if mask != 0 && g.root.IsRecording() {
		g.askMatched(r, mask, &g.root, true)
	}
}
