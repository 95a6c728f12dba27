package record

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"github.com/riffletrace/riffle/core/sampling"
)

const (
	// maxHalvings bounds the pressure threshold: one segment in 2^30.
	maxHalvings = 30
	// largestShare is which part of max_bytes a segment may hold at the first level of
	// pressure. It halves with each level.
	largestShare = 4
	// leastFreed is which part of what levels halve they must free for another to be
	// tried. A half is to be expected, of leastHalved of what is held: less is too few
	// segments to tell.
	leastFreed  = 4
	leastHalved = 4
	// calmTime is how long memory must not be short before the pressure falls by a
	// level.
	calmTime = time.Second
)

// pressureOn is the pressure threshold for segments of that size: those below it that
// the start did not select are not recorded. A level halves the probability of those
// that are larger than its share, and once more for each time that they are twice as
// large. So what takes much goes before what takes little, and no number of large
// segments takes the room of small ones.
func (l *live) pressureOn(size int64) sampling.Threshold {
	level := int(l.level.Load())
	if level == 0 {
		return sampling.Always
	}
	n := level + bits.Len64(uint64(size)) - bits.Len64(uint64(l.bounds().MaxBytes/largestShare))
	if n <= 0 {
		return sampling.Always
	}
	return sampling.Never - sampling.Never>>min(n, maxHalvings)
}

// pressure is that for a segment that begins.
func (l *live) pressure() sampling.Threshold { return l.pressureOn(segmentBytes) }

// isHighest tells that the smallest segments are at the highest pressure.
func (l *live) isHighest() bool {
	return l.pressureOn(1) == sampling.Never-sampling.Never>>maxHalvings
}

func (l *live) isShort() bool { return l.exactly() > l.high() }

// relieve makes room. It raises the pressure while that frees what it should. Where it
// does not, what fills the memory is kept already, or has a randomness that a client
// chose: pressure would let go of all the others. Then the largest go.
func (l *live) relieve() {
	l.press() // on what has come, or grown
	var halved, freed int64
	for l.isShort() && !l.futile {
		if l.isHighest() {
			l.futile = true
			break
		}
		enough := l.exactly() / leastHalved
		l.level.Add(1)
		l.calm = 0
		h, f := l.press()
		halved, freed = halved+h, freed+f
		switch {
		case halved < enough:
		case freed < halved/leastFreed:
			l.level.Add(-1) // who started meanwhile keeps it
			l.futile = true
		default:
			halved, freed = 0, 0
		}
	}
	if l.isShort() {
		l.decideLargest()
	}
	l.report()
}

// press puts the pressure on all live segments and lets go of those below it. It
// returns how much those hold for which it rose, and how much of that it freed.
func (l *live) press() (halved, freed int64) {
	for _, s := range l.list(all) {
		var out handOver
		h, f := s.segment.press(&out)
		out.deliver()
		halved += h
		freed += f
	}
	return halved, freed
}

func (g *segment) press(out *handOver) (halved, freed int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.slot == unlisted {
		return 0, 0
	}
	size := g.size()
	pressure := g.live().pressureOn(size)
	if pressure <= g.pressure {
		return 0, 0
	}
	if g.has(isSure) {
		return size, 0
	}
	g.pressure = pressure
	switch {
	case pressure.Selects(g.randomness):
	case g.isSelected():
		g.unanswered.Store(0) // the start's threshold is the least
	default:
		g.abandon(out)
		freed = size
	}
	return size, freed
}

// size is what a segment holds, with its open spans.
func (g *segment) size() int64 {
	n := g.bytes
	for s := g.open; s != nil; s = s.next {
		s.mu.Lock()
		n += s.size()
		s.mu.Unlock()
	}
	return n
}

// decideLargest decides what has ended of the largest segments, whatever their
// randomness is. Where that is not enough, open spans hold the memory, and the largest
// segments are let go: no weight stands for those. Segments that hold less than an
// equal share come last: what is decided of them early would be missed.
func (l *live) decideLargest() {
	list := l.measured()
	var held int64
	for i := range list {
		held += list[i].size
	}
	few, _ := slices.BinarySearchFunc(list, held/int64(max(1, len(list))), func(s sized, share int64) int {
		if s.size >= share {
			return -1
		}
		return 1
	})
	for _, part := range [][]sized{list[:few], list[few:]} {
		l.each(part, (*segment).decideCrowded)
		if !l.isShort() {
			return
		}
		measure(part)
		l.each(part, (*segment).abandonLarge)
		if !l.isShort() {
			return
		}
	}
}

// each calls f for segments in turn, until there is room.
func (l *live) each(list []sized, f func(*segment, *handOver)) {
	for i := range list {
		if l.exactly() <= l.low() {
			return
		}
		var out handOver
		g := list[i].segment
		g.askLater(nil, true)
		g.mu.Lock()
		if g.slot != unlisted {
			f(g, &out)
		}
		g.mu.Unlock()
		out.deliver()
	}
}

func (g *segment) decideCrowded(out *handOver) {
	if !g.waiting.isEmpty() || g.more != nil && g.more.requests != nil {
		g.counts().crowded.Add(1)
		g.decideNow(out)
	}
}

func (g *segment) abandonLarge(out *handOver) {
	g.counts().tooLarge.Add(1)
	g.abandon(out)
}

// sized is a segment with what it holds.
type sized struct {
	*segment
	size int64
}

// measured returns the live segments, the largest first, and of equal ones the oldest.
func (l *live) measured() []sized {
	segments := l.oldest(all)
	list := make([]sized, len(segments))
	for i, g := range segments {
		list[i].segment = g
	}
	measure(list)
	return list
}

// measure measures segments, and puts the largest first.
func measure(list []sized) {
	for i := range list {
		s := &list[i]
		s.mu.Lock()
		s.size = s.segment.size()
		s.mu.Unlock()
	}
	slices.SortStableFunc(list, func(a, b sized) int { return cmp.Compare(b.size, a.size) })
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

// ease lowers the pressure while there is room, also where much of it is taken: else
// clients could fill it step by step, with a randomness for each, until none but their
// own passed the pressure, and hold it there with what they have. A level that is
// needed comes back at the next shortage, and nobody has lost by it.
func (l *live) ease() {
	held := l.held.Load()
	switch {
	case held > l.high():
		l.relieve()
	case l.level.Load() == 0 && !l.futile:
		l.calm = 0
	default:
		if l.calm++; l.calm < l.ticks(calmTime) {
			return
		}
		l.calm = 0
		l.level.Store(max(0, l.level.Load()-1))
		if held <= l.bounds().MaxBytes/2 {
			l.futile = false
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
	l.logger.Warn("memory for segments is short: raise max_bytes, or lower the load; weights stay right, but for what is too large",
		"max_bytes", l.bounds().MaxBytes, "probability", s.Probability,
		"unrecorded", s.Unrecorded, "let_go", s.UnderPressure, "decided_early", s.Crowded, "too_large", s.TooLarge)
}
