package record

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/riffletrace/riffle/core/sampling"
)

const (
	// maxHalvings bounds the pressure threshold: one segment in 2^30.
	maxHalvings = 30
	// calmTicks is how long memory must be half empty before the pressure falls by a
	// step.
	calmTicks = 10
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
	overdue := now - l.ticks(l.rules.bounds.MaxWait)
	for _, s := range l.oldest(func(s slot) bool { return s.since < overdue }) {
		l.decideOverdue(s.segment)
	}

	half := l.rules.bounds.MaxBytes / 2
	if l.held.Load() <= half {
		return
	}
	waited := now - l.ticks(l.rules.bounds.DecisionWait)
	for _, s := range l.oldest(func(s slot) bool { return s.since < waited }) {
		if l.exactly() <= half-half/4 {
			return
		}
		l.decideOverdue(s.segment)
	}
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
	if mask := g.unanswered.Load(); mask != 0 && g.root.IsRecording() {
		g.askEnd(mask, &sampling.EndParameters{
			Span: &g.root.recorded, LocalRoot: true, Open: true, Duration: time.Since(g.root.start), Spans: int(g.ended.Load()),
			Root: &g.root.recorded, Resource: g.root.provider.resource,
		})
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

// relieve makes room: it raises the pressure threshold while that lets something
// go, and decides the oldest segments and then the largest.
func (l *live) relieve() {
	for l.exactly() > l.high() && l.halvings.Load() < maxHalvings {
		l.halvings.Add(1)
		l.calm = 0
		if l.press() == 0 {
			l.halvings.Add(-1) // who started meanwhile keeps it
			break
		}
	}
	if l.exactly() > l.high() {
		l.decideToMakeRoom()
	}
	l.report()
}

// press raises the pressure on all live segments and lets go of those below it. It
// returns how many bytes that freed.
func (l *live) press() (freed int64) {
	pressure := l.pressure()
	for _, s := range l.list(all) {
		freed += s.segment.press(pressure)
	}
	return freed
}

// press raises the pressure on a segment, and lets go of it if it is below. It returns
// how many bytes that freed.
func (g *segment) press(pressure sampling.Threshold) (freed int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.slot == unlisted || g.has(isSure) {
		return 0
	}
	g.pressure = max(g.pressure, pressure)
	switch {
	case g.pressure.Selects(g.randomness):
	case g.isSelected():
		g.unanswered.Store(0) // the start's threshold is the least
	default:
		if !g.has(isCountedLost) { // it is among those that were not kept once
			g.counts().abandoned.Add(1)
		}
		held := &g.live().shards[g.shard].held
		before := held.Load()
		g.abandon()
		freed = max(0, before-held.Load())
	}
	return freed
}

// decideToMakeRoom decides segments that hold something, the oldest and then the
// largest first, whatever their randomness is.
func (l *live) decideToMakeRoom() {
	decide := func(list []slot) {
		for _, s := range list {
			if l.exactly() <= l.low() {
				return
			}
			var out handOver
			g := s.segment
			g.mu.Lock()
			if g.slot != unlisted && g.holds() > 0 {
				g.counts().crowded.Add(1)
				g.decideNow(&out)
			}
			g.mu.Unlock()
			out.deliver()
		}
	}
	waited := l.clock.Load() - l.ticks(l.rules.bounds.DecisionWait)
	decide(l.oldest(func(s slot) bool { return s.since < waited }))
	if l.exactly() <= l.high() {
		return
	}
	list := l.oldest(all)
	size := make(map[*segment]int64, len(list))
	for _, s := range list {
		s.segment.mu.Lock()
		size[s.segment] = s.segment.holds()
		s.segment.mu.Unlock()
	}
	slices.SortStableFunc(list, func(a, b slot) int { return cmp.Compare(size[b.segment], size[a.segment]) })
	decide(list)
}

// holds is what a decision gives back.
func (g *segment) holds() int64 {
	if g.waiting.isEmpty() && (g.more == nil || g.more.requests == nil) {
		return 0
	}
	return g.bytes
}

// decideNow decides what has ended, also what segment samplers have not answered
// about.
func (g *segment) decideNow(out *handOver) {
	g.bits |= isEarly
	g.absorb(g.live())
	g.withdraw(func(l spans) { g.decide(out, l, sampling.Always) })
	g.decide(out, g.waiting.take(), sampling.Always)
	if g.slot != unlisted {
		g.live().touch(g)
	}
	g.rest()
}

// ease lowers the pressure as room returns.
func (l *live) ease() {
	held := l.held.Load()
	switch {
	case held > l.high():
		l.relieve()
	case l.halvings.Load() == 0 || held > l.rules.bounds.MaxBytes/2:
		l.calm = 0
	default:
		if l.calm++; l.calm >= calmTicks {
			l.calm = 0
			l.halvings.Add(-1)
		}
	}
}

// report logs that segments are lost, at most once a minute.
func (l *live) report() {
	now := time.Now()
	if !l.reported.IsZero() && now.Sub(l.reported) < time.Minute {
		return
	}
	l.reported = now
	s := l.stats()
	l.logger.Warn("memory for segments is short: raise max_bytes, or lower the load; weights stay right",
		"max_bytes", l.rules.bounds.MaxBytes, "probability", s.Probability,
		"not_recorded", s.NotRecorded, "let_go", s.UnderPressure, "decided_early", s.Crowded)
}
