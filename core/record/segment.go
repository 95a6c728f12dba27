package record

import (
	"context"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/baggage"
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
	under   atomic.Pointer[rules] // others only while the segment is not listed
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
	bits       segmentBits
	shard      uint8

	open    *span     // the open spans, in any order
	waiting spans     // those that have ended and wait for a decision
	bytes   int64     // what it holds
	spare   *span     // room for further spans, each points to the next
	kept    *decision // the last by which spans were handed over
	// The rules of who said start and least, nil if that has none.
	startRule, leastRule *string
	opens                int32 // open spans
	lost                 int32 // ended spans that were let go
	slot                 int32 // its place among the live ones; -1 if it is not listed
	since                int32 // the tick at which it was listed, or decided early
	startBy              int16 // number of the name of who said start
	leastBy              int16 // likewise
	place                int16 // of who said least, in the list of samplers

	root span
}

// segmentMore is what most segments do not have.
type segmentMore struct {
	context context.Context   //nolint:containedctx // in which the local root started, until that has ended
	baggage baggage.Baggage   // of it
	parent  trace.SpanContext // of the local root
	always  trace.TraceState  // of spans that start once T = 0 is sure
	// startFrom is the threshold from which on the start keeps the segment if it speaks of a
	// probability that nobody knows.
	startFrom sampling.Threshold
	// unknown is the threshold from which on an answer without a threshold of its own
	// keeps the segment; Never if there was none.
	unknown      sampling.Threshold
	unknownBy    int16
	unknownPlace int16
	unknownRule  *string
	requests     *request // to segment samplers, not yet concluded
	later        uint64   // end samplers that are to be asked when the local root has ended, as bits
	thinAgain    int64    // from how many bytes on it is looked at again
	classed      classed  // what was said, by the budget's classes
	spent        factors  // what the budget made of it when it was counted; zero if that is nothing
	capped       uint64   // samplers whose limit's cap has spoken, as bits by their place
}

type segmentBits uint16

const (
	isPrivate     segmentBits = 1 << iota // its randomness is its own: no answer is shared
	isFollowing                           // the start, or its parent, decided for good
	isSure                                // T = 0, whoever says what
	isGone                                // let go for lack of room: nothing more is recorded
	isFinished                            // by Shutdown: no span starts any more
	isFinishing                           // likewise, and it is not decided before others have ended too
	startUnknown                          // the start keeps it with an unknown threshold
	startSpeaks                           // the start spoke of one, whether or not that keeps it
	isEarly                               // a part was decided before it was complete
	isMarked                              // a span that was handed over says so
	isCounted                             // among the kept ones
	isCountedLost                         // among those that were let go
	wasTold                               // by another segment, or Keep, that the trace is kept
	isGiven                               // start is the threshold of a parent that selected it, or greater
	isSpent                               // the budget has counted it with what was said until now
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

// append adds what another list has, which is then empty.
func (l *spans) append(more *spans) {
	switch {
	case more.first == nil:
	case l.last == nil:
		*l = *more
	default:
		l.last.next, more.first.prev = more.first, l.last
		l.last = more.last
	}
	*more = spans{}
}

// part parts the spans: who holds one of them holds no other.
func (l *spans) part() {
	for s := l.first; s != nil; {
		next := s.next
		s.prev, s.next = nil, nil
		s = next
	}
	*l = spans{}
}

func (l *spans) isEmpty() bool { return l.first == nil }

func (l *spans) take() spans {
	all := *l
	*l = spans{}
	return all
}

func (g *segment) provider() *TracerProvider { return g.root.provider }

func (g *segment) live() *live { return g.provider().live }

// rules are those that the segment began under, or was last opened again.
func (g *segment) rules() *rules { return g.under.Load() }

func (g *segment) counts() *counts { return &g.live().shards[g.shard].counts }

func (g *segment) has(b segmentBits) bool { return g.bits&b != 0 }

func (g *segment) rarely() *segmentMore {
	if g.more == nil {
		g.more = &segmentMore{unknown: sampling.Never, classed: classed{least: saidByNobody, others: saidByNobody}}
		if g.slot != unlisted { // else it counts with the root
			g.account(moreBytes)
		}
	}
	return g.more
}

// begin makes the segment of a local root, with the root open and locked until
// started. It is nil if the root is not to be recorded.
func (l *live) begin(r *rules, d *startDecision, q *rootRequest) *segment {
	if d.dropped || !d.selected && !r.WaitForEnd() && !r.alwaysRecord {
		return nil
	}
	pressure := l.pressure()
	if pressure != sampling.Always && !d.selected && !pressure.Selects(d.randomness) {
		r.startRules.count(q).noRoom.Add(1)
		return nil
	}
	g := &segment{
		traceID: q.TraceID, state: d.state, randomness: d.randomness,
		start: d.threshold, least: sampling.Never, pressure: pressure, slot: unlisted, opens: 1,
	}
	g.under.Store(r)
	g.open = &g.root
	g.root.segment = g
	g.root.mu.Lock()
	if !q.parent.Equal(trace.SpanContext{}) {
		g.rarely().parent = q.parent
		g.root.fixed |= hasParent
	}
	g.remember(q.ParentContext, r)
	if d.by != nil {
		g.startBy, g.startRule = d.by.number, d.rule
	}
	g.unanswered.Store(r.allEnd)
	if d.forced {
		g.startBy = r.forced
	}
	if d.private {
		g.bits |= isPrivate
	}
	if d.follow || !r.WaitForEnd() && !r.alwaysRecord {
		// Where only what the start selects is recorded, nobody may speak for that alone, also
		// not under other rules.
		g.bits |= isFollowing
		g.unanswered.Store(0)
	}
	if d.given {
		g.bits |= isGiven
	}
	if d.unknown {
		g.bits |= startUnknown
	}
	if d.speaks {
		g.bits |= startSpeaks
		if d.from != sampling.Always {
			g.rarely().startFrom = d.from
		}
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
	case g.spare == nil:
		g.spare = chunk(g.opens + g.ended.Load())
		fallthrough
	default:
		s = g.spare
		g.spare, s.next = s.next, nil
	}
	s.mu.Lock()
	g.linkOpen(s)
	return s, g.isPromoted()
}

// isPromoted tells that T = 0 has become sure after the segment began with another
// tracestate.
func (g *segment) isPromoted() bool { return g.has(isSure) && g.start != sampling.Always }

// reopen lists a segment again, of which no span was open or waited, under the rules in
// force.
func (g *segment) reopen() bool {
	l := g.live()
	if !g.has(isSure) {
		g.pressure = max(g.pressure, l.pressure())
		if !g.isSelected() && !g.pressure.Selects(g.randomness) {
			g.bits |= isGone
			return false
		}
	}
	for {
		if r := l.rules(); r != g.rules() {
			g.goOnUnder(r)
		}
		if l.add(g) {
			break
		}
		if g.provider().stopped.Load() {
			return false
		}
	}
	g.account(segmentBytes)
	if g.more != nil {
		g.account(moreBytes + g.sizeOfBaggage())
	}
	return true
}

// chunk makes room for further spans, by how many there are: most segments have few.
func chunk(spans int32) *span {
	const least, most = 2, 8
	room := make([]span, max(least, min(spans, most)))
	for i := range room[1:] {
		room[i].next = &room[i+1]
	}
	return &room[0]
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
	s.count(size)
	s.mu.Unlock()
}

// account counts bytes taken or given by what is no open span.
func (g *segment) account(n int64) {
	if n == 0 {
		return
	}
	g.bytes += n
	g.live().account(g.shard, n)
}
