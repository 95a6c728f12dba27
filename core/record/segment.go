package record

import (
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// segment is a local root and everything below it in this process. It waits, is
// decided and is handed over as one; doc.go draws its states.
//
// Its spans point to it, and it to those that are open or wait: what nobody can
// start a span below any more is collected with its spans.
type segment struct {
	mu      sync.Mutex
	rules   *rules
	traceID trace.TraceID
	state   trace.TraceState // of its spans' contexts, as the root started
	more    *segmentMore     // nil if the segment has nothing of it

	randomness uint64
	// The thresholds that were said: at the start, and since, the least of each. Never
	// if none was. An unknown one is not among them: see unknown.
	start, least sampling.Threshold
	// pressure is the highest pressure threshold while the segment was listed.
	pressure sampling.Threshold

	unanswered atomic.Uint64 // end samplers that may still be asked, as bits
	ended      atomic.Int32  // spans that ended

	open    *span  // the open spans, in any order
	waiting spans  // those that have ended and wait for a decision
	bytes   int64  // what it holds
	spare   []span // room for further spans
	opens   int32  // open spans
	lost    int32  // ended spans that were let go
	slot    int32  // its place among the live ones; -1 if it is not listed
	since   int32  // the tick at which it was listed, or decided early
	startBy int16  // number of the name of who said start
	leastBy int16  // likewise
	place   int16  // of who said least, in the list of samplers
	shard   uint8
	bits    segmentBits

	root span
}

// segmentMore is what most segments do not have.
type segmentMore struct {
	parent trace.SpanContext // of the local root
	always trace.TraceState  // of spans that start once T = 0 is sure
	// unknown is the threshold from which on an answer without a threshold of its own
	// keeps the segment; Never if there was none.
	unknown      sampling.Threshold
	unknownBy    int16
	unknownPlace int16
	requests     *request // to segment samplers, not yet concluded
	thinAgain    int64    // from how many bytes on it is looked at again
}

type segmentBits uint16

const (
	isPrivate     segmentBits = 1 << iota // its randomness is its own: no answer is shared
	isFollowing                           // its parent decided for good
	isSure                                // T = 0, whoever says what
	isGone                                // let go for lack of room: nothing more is recorded
	isFinished                            // by Shutdown: no span starts any more
	startUnknown                          // the start keeps it with an unknown threshold
	isEarly                               // a part was decided before it was complete
	isMarked                              // a span that was handed over says so
	isCounted                             // among the kept ones
	isCountedLost                         // among those that were let go
	wasTold                               // by another segment, or Keep, that the trace is kept
)

// spans is a list of spans that have ended, in that order.
type spans struct {
	first, last *span
}

func (l *spans) add(s *span) {
	s.prev, s.next = l.last, nil
	if l.last == nil {
		l.first = s
	} else {
		l.last.next = s
	}
	l.last = s
}

func (l *spans) remove(s *span) {
	if s.prev == nil {
		l.first = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		l.last = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
}

func (l *spans) isEmpty() bool { return l.first == nil }

func (l *spans) take() spans {
	all := *l
	*l = spans{}
	return all
}

func (g *segment) live() *live { return g.root.provider.live }

func (g *segment) counts() *counts { return &g.live().shards[g.shard].counts }

func (g *segment) has(b segmentBits) bool { return g.bits&b != 0 }

func (g *segment) rarely() *segmentMore {
	if g.more == nil {
		g.more = &segmentMore{unknown: sampling.Never}
	}
	return g.more
}

// begin makes the segment of a local root, with the root open and locked until
// started. It is nil if the root is not to be recorded.
func (l *live) begin(d *startDecision, q *rootRequest) *segment {
	r := l.rules
	if d.dropped || !d.selected && !r.WaitForEnd() {
		return nil
	}
	pressure := l.pressure()
	if pressure != sampling.Always && !d.selected && !pressure.Selects(d.randomness) {
		r.startRules.count(q).noRoom.Add(1)
		return nil
	}
	g := &segment{
		rules: r, traceID: q.TraceID, state: d.state, randomness: d.randomness,
		start: d.threshold, least: sampling.Never, pressure: pressure, slot: unlisted, opens: 1,
	}
	g.open = &g.root
	g.root.segment = g
	g.root.mu.Lock()
	if !q.parent.Equal(trace.SpanContext{}) {
		g.rarely().parent = q.parent
	}
	if d.by != nil {
		g.startBy = d.by.number
	}
	g.unanswered.Store(r.allEnd)
	if d.forced {
		g.startBy = r.forced
	}
	if d.private {
		g.bits |= isPrivate
	}
	if d.follow {
		g.bits |= isFollowing
		g.unanswered.Store(0)
	}
	if d.unknown {
		g.bits |= startUnknown
	}
	if d.forced || !r.mayRaise && d.threshold == sampling.Always {
		g.bits |= isSure
		g.unanswered.Store(0)
	} else if q.parent.IsValid() {
		g.since = l.clock.Load()
		g.absorb(l)
		g.makeSure(nil)
	}
	return g
}

// newSpan makes room for a span that starts, and counts it as open. It is locked
// until started. It is nil if the span is not to be recorded. promoted tells that
// T = 0 has become sure since the segment began.
func (g *segment) newSpan() (s *span, promoted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.has(isGone|isFinished) || g.slot == unlisted && !g.reopen() {
		return nil, false
	}
	switch {
	case g.isSettled(): // a span that is handed over must keep no other alive
		s = new(span)
	case len(g.spare) == 0:
		g.spare = make([]span, chunkLen(g.opens+g.ended.Load()))
		fallthrough
	default:
		s, g.spare = &g.spare[0], g.spare[1:]
	}
	s.mu.Lock()
	g.linkOpen(s)
	return s, g.isPromoted()
}

// isPromoted tells that T = 0 has become sure after the segment began with another
// tracestate.
func (g *segment) isPromoted() bool { return g.has(isSure) && g.start != sampling.Always }

// reopen lists a segment again, of which no span was open or waited.
func (g *segment) reopen() bool {
	l := g.live()
	if !g.has(isSure) {
		g.pressure = max(g.pressure, l.pressure())
		if !g.isSelected() && !g.pressure.Selects(g.randomness) {
			g.bits |= isGone
			return false
		}
	}
	if !l.add(g) {
		return false
	}
	g.account(segmentBytes)
	return true
}

// chunkLen is for how many spans room is made at once, by how many there are:
// most segments have few.
func chunkLen(spans int32) int32 {
	const least, most = 2, 8
	return max(least, min(spans, most))
}

func (g *segment) linkOpen(s *span) {
	g.opens++
	s.prev, s.next = nil, g.open
	if g.open != nil {
		g.open.prev = s
	}
	g.open = s
}

func (g *segment) unlinkOpen(s *span) {
	g.opens--
	if s.prev == nil {
		g.open = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
}

// started gives a span free that has its content. size is what it holds, without
// itself if it is the root.
func (g *segment) started(s *span, size int64) {
	if s != &g.root {
		size += spanBytes
	}
	g.live().account(g.shard, s.counts(size))
	s.mu.Unlock()
}

// sizeUnit is in what a span remembers with what it counts.
const sizeUnit = 64

// counts makes a span count with n bytes more, and returns with how many it does.
func (s *recorded) counts(n int64) int64 {
	units := min((n+sizeUnit-1)/sizeUnit, int64(1<<16-1-s.units))
	s.units += uint16(units)
	return units * sizeUnit
}

func (s *recorded) size() int64 { return int64(s.units) * sizeUnit }

// account counts bytes taken or given by what is no open span.
func (g *segment) account(n int64) {
	g.bytes += n
	g.live().account(g.shard, n)
}

// spanEnded takes a span that has ended: end samplers are asked about it, and it
// waits, is handed over, or is let go.
func (g *segment) spanEnded(s *span, size int64) {
	n := int(g.ended.Add(1))
	if mask := g.unanswered.Load(); mask != 0 {
		g.askEnd(mask, &sampling.EndParameters{
			Span: &s.recorded, LocalRoot: s == &g.root, Duration: s.endTime().Sub(s.start), Spans: n,
			Root: &g.root.recorded, Resource: s.provider.resource,
		})
	}
	var out handOver
	g.mu.Lock()
	g.unlinkOpen(s)
	if g.has(isGone) {
		g.counts().spansLost.Add(1)
		g.mu.Unlock()
		return
	}
	g.bytes += s.size() // counted since it started
	g.account(s.counts(size))
	g.waiting.add(s)
	switch {
	case g.isSettled():
		g.decide(&out, g.waiting.take(), sampling.Always)
	case g.bytes > g.rules.bounds.MaxSegmentBytes && g.opens > 0 && (g.more == nil || g.bytes > g.more.thinAgain):
		g.thin(&out)
	}
	if g.opens == 0 {
		g.complete(&out)
	}
	g.mu.Unlock()
	out.deliver()
}

// askEnd asks the end samplers in mask about a span, without a lock, and files what
// they answer.
func (g *segment) askEnd(mask uint64, p *sampling.EndParameters) {
	for mask != 0 {
		by, a, rest := firstAnswer(g.rules.end, mask, p)
		if mask = rest; by >= 0 && g.answer(by, a) {
			return
		}
	}
}

// answer files what an end sampler answers, and tells others of the trace. It
// reports whether nothing else can matter.
func (g *segment) answer(by int, a sampling.Answer) (sure bool) {
	g.mu.Lock()
	bit := uint64(1) << by
	if g.unanswered.And(^bit)&bit == 0 || g.has(isGone) {
		sure = g.unanswered.Load() == 0
		g.mu.Unlock()
		return sure
	}
	e := g.rules.end[by]
	t, _ := a.Threshold()
	said := answer{threshold: t, from: e.limited(t, g.pressure), place: e.place, by: e.number}
	var out handOver
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
}

// file takes an answer into the least of what was said. On a tie the one that comes
// first in the list has said it.
func (g *segment) file(a answer) {
	if g.has(isFollowing) {
		return
	}
	if a.threshold == sampling.Unknown {
		if m := g.rarely(); a.from < m.unknown || a.from == m.unknown && a.place < m.unknownPlace {
			m.unknown, m.unknownBy, m.unknownPlace = a.from, a.by, a.place
		}
		return
	}
	t := max(a.threshold, a.from)
	if t < g.least || t == g.least && a.place < g.place {
		g.least, g.leastBy, g.place = t, a.by, a.place
	}
}

// isSettled reports whether nothing that is said can change a decision any more, so
// that spans need not wait.
func (g *segment) isSettled() bool {
	return g.has(isSure) || !g.rules.WaitForEnd() || g.has(isFollowing) && !g.rules.mayRaise
}

// makeSure makes T = 0 sure if it is, for what waits and for what comes.
func (g *segment) makeSure(out *handOver) {
	if g.has(isSure) || g.rules.mayRaise || min(g.start, max(g.pressure, g.least)) != sampling.Always {
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

// threshold is T of the segment by what was said until now, who has said it, and
// whether it keeps the segment. raise is what a segment sampler raises it to.
//
// Nothing else compares the randomness of a segment, but what lets go of segments
// below the pressure threshold.
func (g *segment) threshold(raise sampling.Threshold) (t sampling.Threshold, by int16, kept bool) {
	said := max(g.pressure, g.least)
	if g.has(isSure) {
		said, raise = g.least, sampling.Always
	}
	if t, by = g.start, g.startBy; said < t {
		t, by = said, g.leastBy
	}
	if t.Selects(g.randomness) {
		t = max(t, raise)
		return t, by, t.Selects(g.randomness)
	}
	by, kept = g.startBy, g.has(startUnknown)
	if m := g.more; !kept && m != nil && max(m.unknown, g.pressure).Selects(g.randomness) {
		by, kept = m.unknownBy, true
	}
	return sampling.Unknown, by, kept && raise.Selects(g.randomness)
}

// said is the least threshold that was said until now, whether or not it keeps the
// segment: who is told it, and acts by it, must not learn the randomness.
func (g *segment) said() sampling.Threshold {
	t := min(g.start, max(g.pressure, g.least))
	if t == sampling.Never && (g.has(startUnknown) || g.more != nil && g.more.unknown != sampling.Never) {
		return sampling.Unknown
	}
	return t
}

// isSelected reports whether the start alone keeps the segment, whatever the
// pressure is.
func (g *segment) isSelected() bool {
	return g.has(isSure|startUnknown|isFollowing) || g.start.Selects(g.randomness)
}

// complete decides a segment of which no span is open, or lets segment samplers
// be asked.
func (g *segment) complete(out *handOver) {
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
	g.live().touch(g)
	if g.waiting.isEmpty() {
		return
	}
	g.bits |= isEarly
	if g.ask(false) {
		return
	}
	g.absorb(g.live())
	g.decide(out, g.waiting.take(), sampling.Always)
}

// decide decides about spans that have ended.
func (g *segment) decide(out *handOver, l spans, raise sampling.Threshold) {
	if l.isEmpty() {
		return
	}
	t, by, kept := g.threshold(raise)
	if !kept {
		g.letGo(l)
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
		g.live().kept[by].Add(1)
	}
}

// letGo lets go of spans that have ended.
func (g *segment) letGo(l spans) {
	var size int64
	var n int32
	for s := l.first; s != nil; { // who holds one of them holds no other
		next := s.next
		size += s.size()
		n++
		s.prev, s.next = nil, nil
		s = next
	}
	g.account(-size)
	g.spare = nil // which would keep them alive
	g.lost += n
	c := g.counts()
	c.spansLost.Add(uint64(n))
	if !g.has(isCountedLost) {
		g.bits |= isCountedLost
		c.notKept.Add(1)
	}
}

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
	target := g.rules.bounds.MaxSegmentBytes - g.rules.bounds.MaxSegmentBytes/4
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
	g.rarely().thinAgain = left + g.rules.bounds.MaxSegmentBytes/4
	if thinned.isEmpty() {
		return
	}
	g.bits |= isEarly
	g.counts().thinned.Add(1)
	g.absorb(g.live())
	g.decide(out, thinned, sampling.Always)
}

// abandon lets go of an unselected segment for lack of room: of what has ended, and
// of what its open spans hold. Nothing that ends or starts in it later is recorded.
func (g *segment) abandon() {
	g.bits |= isGone
	g.unanswered.Store(0)
	g.letGo(g.waiting.take())
	if g.more != nil {
		for q := g.more.requests; q != nil; q = q.next {
			g.letGo(q.spans.take())
		}
		g.more.requests = nil
	}
	l := g.live()
	processed := len(g.root.provider.spanProcessors()) > 0 // which see every span
	for s := g.open; s != nil; s = s.next {
		size, emptied := s.abandon(!processed)
		l.account(g.shard, -size)
		if emptied {
			g.counts().spansLost.Add(1)
		}
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
		s.state.Or(hasEnded)
		s.attrs, s.late = nil, nil
		if s.rare != nil {
			s.rare = &rare{parent: s.rare.parent, state: s.rare.state, endTask: s.rare.endTask}
		}
	}
	size = s.size()
	s.units = 0
	return size, emptied
}

// failed reports whether the status of a span that has ended is an error.
func (s *recorded) failed() bool { return s.code() == codes.Error }
