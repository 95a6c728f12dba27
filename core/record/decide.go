package record

import "github.com/riffletrace/riffle/core/sampling"

// answer files what an end sampler answers, and tells others of the trace. It
// reports whether nothing else can matter. An answer under other rules than the segment is
// under by now is none.
func (g *segment) answer(r *rules, by int, a sampling.Answer) (sure bool) {
	g.mu.Lock()
	if r != g.rules() {
		g.mu.Unlock()
		return true
	}
	bit := uint64(1) << by
	if g.unanswered.And(^bit)&bit == 0 || g.has(isGone) {
		sure = g.unanswered.Load() == 0
		g.mu.Unlock()
		return sure
	}
	e := r.end[by]
	t, _ := a.Threshold()
	said := answer{threshold: t, from: e.from(t), place: e.place, by: e.number, rule: a.Rule()}
	var out handOver
	g.absorb(g.live()) // before, so that it does not matter when the memory was swept
	if e.limit != nil {
		g.limited(e.limit, &said)
	}
	g.file(said)
	g.share(said)
	g.makeSure(&out)
	sure = g.has(isSure)
	g.mu.Unlock()
	out.deliver()
	return sure
}

// answer is what somebody said of a segment: a threshold, that counts only from
// another on.
type answer struct {
	threshold sampling.Threshold // may be Unknown
	from      sampling.Threshold // what limits it: a limit, or the pressure on who gave it
	place     int16              // of who gave it, in the list
	by        int16              // the number of its name
	rule      *string            // nil if it has none
}

// keepsFrom is the threshold from which on the answer keeps a segment, known or not.
func (a *answer) keepsFrom() sampling.Threshold {
	if a.threshold == sampling.Unknown {
		return a.from
	}
	return max(a.threshold, a.from)
}

// file takes an answer into the least of what was said. On a tie the one that comes
// first in the list has said it; but where T = 0 is sure it is who made it so, whenever
// the segment hears of others.
func (g *segment) file(a answer) {
	if g.has(isFollowing | isSure) {
		return
	}
	if a.threshold == sampling.Unknown {
		if m := g.rarely(); a.from < m.unknown || a.from == m.unknown && a.place < m.unknownPlace {
			if a.from < m.unknown {
				g.bits &^= isSpent
			}
			m.unknown, m.unknownBy, m.unknownPlace, m.unknownRule = a.from, a.by, a.place, a.rule
		}
		return
	}
	t := a.keepsFrom()
	g.fileByClass(&a, t)
	if t < g.least {
		g.bits &^= isSpent
	}
	if t < g.least || t == g.least && a.place < g.place {
		g.least, g.leastBy, g.place, g.leastRule = t, a.by, a.place, a.rule
	}
}

// improves reports whether filing an answer would change what keeps the segment.
func (g *segment) improves(a *answer) bool {
	if a.threshold != sampling.Unknown {
		return a.keepsFrom() < g.least
	}
	return g.more == nil || a.from < g.more.unknown
}

// isSettled reports whether nothing that is said can change a decision any more, so
// that spans need not wait.
func (g *segment) isSettled() bool {
	return g.has(isSure) || !g.rules().WaitForEnd() || g.has(isFollowing) && (!g.rules().mayRaise || !g.isSelected())
}

// makeSure makes T = 0 sure if it is, for what waits and for what comes.
func (g *segment) makeSure(out *handOver) {
	if g.has(isSure) || g.rules().mayRaise || min(g.start, max(g.pressure, g.least)) != sampling.Always {
		return
	}
	g.bits |= isSure
	g.unanswered.Store(0)
	if g.start != sampling.Always {
		g.rarely().always = always(g.state)
	}
	if out != nil {
		g.decide(out, g.waiting.take(), sampling.Always)
	}
}

// giver is who has said a threshold.
type giver struct {
	by   int16 // the number of the name
	rule *string
}

// threshold is T of the segment by what was said until now, who has said it, and
// whether it keeps the segment. raise is what a segment sampler raises it to, c what the
// budget then makes of it.
//
// Nothing else compares the randomness of a segment, but what lets go of segments
// below the pressure threshold.
func (g *segment) threshold(raise sampling.Threshold, c factors) (t sampling.Threshold, by giver, kept bool) {
	said := max(g.pressure, g.least)
	if g.has(isSure) {
		said, raise, c = g.least, sampling.Always, unlowered
	}
	if t, by = g.start, (giver{g.startBy, g.startRule}); said < t {
		t, by = said, giver{g.leastBy, g.leastRule}
	}
	if t.Selects(g.randomness) {
		t = max(t, raise)
		if g.rules().budget != nil && !g.has(isSure) {
			_, first, rest := g.byClass()
			t, by = max(rest.threshold, raise).Scaled(c.base), rest.giver
			if of := max(first.threshold, raise).Scaled(c.class); of <= t {
				t, by = of, first.giver
			}
		}
		return t, by, t.Selects(g.randomness)
	}
	from := g.startFrom()
	by, kept = giver{g.startBy, g.startRule}, g.has(startUnknown)
	if m := g.more; !kept && m != nil && m.unknown != sampling.Never {
		from = max(m.unknown, g.pressure)
		by, kept = giver{m.unknownBy, m.unknownRule}, true
	}
	return sampling.Unknown, by, kept && from.Selects(g.randomness) && max(from, raise).Scaled(c.base).Selects(g.randomness)
}

// startFrom is the threshold from which on the start keeps the segment, where it speaks of
// a probability that nobody knows.
func (g *segment) startFrom() sampling.Threshold {
	if g.more == nil {
		return sampling.Always
	}
	return g.more.startFrom
}

// said is the least threshold that was said until now, whether or not it keeps the
// segment: who is told it, and acts by it, must not learn the randomness.
func (g *segment) said() sampling.Threshold {
	t := min(g.start, max(g.pressure, g.least))
	if t == sampling.Never && (g.has(startSpeaks) || g.more != nil && g.more.unknown != sampling.Never) {
		return sampling.Unknown
	}
	return t
}

// isSelected reports whether the start alone keeps the segment, whatever the
// pressure is.
func (g *segment) isSelected() bool {
	return g.has(isSure|startUnknown) || g.start.Selects(g.randomness)
}

// complete decides a segment of which no span is open, or lets segment samplers
// be asked.
func (g *segment) complete(out *handOver) {
	if g.has(isFinishing) {
		return
	}
	if !g.waiting.isEmpty() && !g.ask(true) {
		g.absorb(g.live())
		g.decide(out, g.waiting.take(), sampling.Always)
	}
	g.rest()
}

// rest takes a segment off the list if nothing of it is open or waits.
func (g *segment) rest() {
	if g.slot == unlisted || g.opens > 0 || !g.waiting.isEmpty() || g.more != nil && g.more.requests != nil {
		return
	}
	g.live().remove(g)
	g.account(-g.bytes)
}

// early decides what has ended of a segment that is not complete.
func (g *segment) early(out *handOver) {
	g.absorb(g.live()) // what is too old for one that waits anew
	g.live().touch(g)
	if g.waiting.isEmpty() {
		return
	}
	g.bits |= isEarly
	if g.ask(false) {
		return
	}
	g.decide(out, g.waiting.take(), sampling.Always)
}

// decide decides about spans that have ended.
func (g *segment) decide(out *handOver, l spans, raise sampling.Threshold) {
	if l.isEmpty() {
		return
	}
	c := g.spend(l, raise)
	t, by, kept := g.threshold(raise, c)
	if !kept {
		if c != unlowered && !g.has(isCountedLost) {
			if _, _, kept := g.threshold(raise, unlowered); kept {
				g.counts().overBudget.Add(1)
			}
		}
		g.letGo(out, l)
		return
	}
	var size int64
	var n uint64
	for s := l.first; s != nil; s = s.next {
		size += s.size()
		n++
	}
	g.bytes -= size
	g.spare = nil // which would keep them alive
	out.take(g, l, size, t, by)
	g.counts().spansKept.Add(n)
	if !g.has(isCounted) {
		g.bits |= isCounted
		g.live().countKept(by)
	}
}

// letGo lets go of spans that have ended.
func (g *segment) letGo(out *handOver, l spans) {
	var size int64
	var n int32
	for s := l.first; s != nil; s = s.next {
		size += s.size()
		n++
	}
	if g.rules().measure != nil {
		g.bytes -= size
		out.letGo(g, l, size)
	} else {
		g.account(-size)
		l.part()
	}
	g.spare = nil // which would keep them alive
	g.lost += n
	c := g.counts()
	c.spansLost.Add(uint64(n))
	if !g.has(isCountedLost) {
		g.bits |= isCountedLost
		c.notKept.Add(1)
	}
}
