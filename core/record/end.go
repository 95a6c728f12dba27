package record

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/baggage"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/sampling"
)

// askEnd asks end samplers in mask about a span of the segment that has ended, or about
// the local root, without a lock, and files what they answer. m is what matches are about,
// nil where there are none. It returns those whose match is not known yet.
func (g *segment) askEnd(r *rules, mask uint64, s *span, m *match.Subject) (later uint64) {
	state := s.state.Load()
	p := sampling.EndParameters{
		Span: &s.recorded, LocalRoot: s == &g.root, Open: state&hasEnded == 0, Spans: int(g.ended.Load()),
		Panicked: state&hasPanicked != 0, Canceled: state&sawCancel != 0,
		Root: &g.root.recorded, Resource: r.resource,
	}
	if p.Open {
		p.Duration = time.Since(s.start)
	} else {
		p.Duration = s.endTime().Sub(s.start)
	}
	if m != nil {
		m.Span.Recorded, m.IsRoot, m.Spans = p.Span, p.LocalRoot, p.Spans
	}
	for mask != 0 {
		a := firstAnswer(r.end, mask, &p, m, g.shard)
		later |= a.later
		if mask = a.rest; a.by >= 0 && g.answer(r, a.by, a.says) {
			return 0
		}
	}
	return later
}

// askMatched does so where samplers have matches: at this moment of the segment, or for the
// last time before a decision, which takes the local root as it is, though it may be open.
//
//go:noinline
func (g *segment) askMatched(r *rules, mask uint64, s *span, last bool) (later uint64) {
	var m match.Subject
	ended := s
	if last {
		ended = nil
	}
	g.describe(&m, r, ended, last)
	return g.askEnd(r, mask, s, &m)
}

// describe tells of the segment what matches look at, at such a moment. ended is a span
// that is not among those that wait yet; nil if there is none.
func (g *segment) describe(m *match.Subject, r *rules, ended *span, last bool) {
	root := &g.root
	m.Root.Recorded, m.RootOpen, m.Resource = &root.recorded, !last && !root.state.hasEnded(), r.resource
	if !root.state.hasEnded() {
		m.RootDuration = time.Since(root.start)
	}
	if root.fixed&hasParent != 0 {
		m.RemoteParent, m.TraceState = g.more.parent.IsRemote() && g.more.parent.IsValid(), g.more.parent.TraceState()
	}
	if !r.needsBaggage && (!r.needsEnded || m.RootOpen) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.more != nil {
		m.Baggage = g.more.baggage
	}
	if r.needsEnded && !m.RootOpen {
		m.Ended = g.endedSpans(ended)
	}
}

// maxSeenLate is how many of those that wait a span sees that ends after the local root:
// else each of many would look at all the others.
const maxSeenLate = 1 << 12

// endedSpans are those that wait, the last first, and one more.
func (g *segment) endedSpans(and *span) (list []sdktrace.ReadOnlySpan) {
	late := and != nil
	if late {
		list = append(list, &and.recorded)
		late = and != &g.root
	}
	for s := g.waiting.last; s != nil && (!late || len(list) <= maxSeenLate); s = s.prev {
		list = append(list, &s.recorded)
	}
	return list
}

// askLater asks the end samplers whose match was not known when spans ended, about those
// that still wait. ended is the local root if it is what has ended now.
func (g *segment) askLater(ended *span, last bool) {
	g.mu.Lock()
	if g.more == nil || g.more.later == 0 {
		g.mu.Unlock()
		return
	}
	r, mask := g.rules(), g.more.later
	g.more.later = 0
	var list []*span
	for s := g.waiting.first; s != nil; s = s.next {
		list = append(list, s)
	}
	g.mu.Unlock()
	var m match.Subject
	g.describe(&m, r, ended, last)
	for _, s := range list {
		if mask &= g.unanswered.Load(); mask == 0 {
			return
		}
		g.askEnd(r, mask, s, &m)
	}
}

// postpone notes who is to be asked when the local root has ended, unless it has: then
// they are to be asked now. The segment is locked.
func (g *segment) postpone(later uint64) (now bool) {
	if later &= g.unanswered.Load(); later == 0 {
		return false
	}
	if g.root.state.hasEnded() {
		return true
	}
	g.rarely().later |= later
	return false
}

// spanEnded takes a span that has ended: end samplers are asked about it, and it
// waits, is handed over, or is let go.
func (g *segment) spanEnded(s *span) {
	g.ended.Add(1)
	var later uint64
	r := g.rules() // it stays under them while the span is open
	if mask := g.unanswered.Load(); mask != 0 {
		if r.seesCancellation && g.isCanceled() {
			s.state.Or(sawCancel)
		}
		if !r.matchesEnds {
			g.askEnd(r, mask, s, nil)
		} else {
			if s == &g.root {
				g.askLater(s, false)
			}
			later = g.askMatched(r, g.unanswered.Load(), s, false)
		}
	}
	var out handOver
	g.mu.Lock()
	if g.postpone(later) {
		g.mu.Unlock()
		g.askMatched(r, later&g.unanswered.Load(), s, false)
		g.mu.Lock()
	}
	if m := g.more; m != nil && s == &g.root {
		m.context = nil
	}
	g.unlinkOpen(s)
	if g.has(isGone) {
		g.counts().spansLost.Add(1)
		g.mu.Unlock()
		if r.measure != nil { // it was recorded, for span processors
			r.measure(context.Background(), Measured{&s.recorded})
		}
		return
	}
	g.bytes += s.size() // which is accounted for already
	g.waiting.add(s)
	switch {
	case g.isSettled():
		g.decide(&out, g.waiting.take(), sampling.Always)
	case g.bytes > r.bounds.MaxSegmentBytes && g.opens > 0 && (g.more == nil || g.bytes > g.more.thinAgain):
		if g.more != nil && g.more.later != 0 {
			g.mu.Unlock()
			g.askLater(nil, true)
			g.mu.Lock()
		}
		g.thin(&out)
	}
	if g.opens == 0 {
		g.complete(&out)
	}
	g.mu.Unlock()
	out.deliver()
}

// isCanceled reports whether the context was canceled in which the local root started,
// and that root has not ended: the context of a request ends with it.
func (g *segment) isCanceled() bool {
	g.mu.Lock()
	var ctx context.Context
	if g.more != nil {
		ctx = g.more.context
	}
	g.mu.Unlock()
	return ctx != nil && wrapsCanceled(errOf(ctx))
}

// errOf is the error of a context of the application's, which is called without a lock.
// One that panics has none.
func errOf(ctx context.Context) (err error) {
	defer func() {
		if recover() != nil {
			err = nil
		}
	}()
	return ctx.Err()
}

// wrapsCanceled reports whether an error of the application's wraps [context.Canceled].
// One whose methods panic does not.
func wrapsCanceled(err error) (wraps bool) {
	defer func() {
		if recover() != nil {
			wraps = false
		}
	}()
	return errors.Is(err, context.Canceled)
}

// canceledContext stands for a context that was canceled.
var canceledContext = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// forgetContext lets go of the context of a local root that is open for long, if that has
// ended: a root that nobody ends must not keep its request.
func (g *segment) forgetContext() {
	g.mu.Lock()
	if g.more == nil || g.more.context == nil {
		g.mu.Unlock()
		return
	}
	ctx := g.more.context
	g.mu.Unlock()
	err := errOf(ctx)
	if err == nil {
		return
	}
	ctx = nil
	if wrapsCanceled(err) {
		ctx = canceledContext
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.more.context != nil { // the root has not ended meanwhile
		g.more.context = ctx
	}
}

// remember keeps what samplers want to know of the context in which a local root starts.
func (g *segment) remember(ctx context.Context, r *rules) {
	if r.seesCancellation {
		g.rarely().context = ctx
	}
	if r.needsBaggage {
		if b := baggage.FromContext(ctx); b.Len() > 0 {
			g.rarely().baggage = b
		}
	}
}

// sizeOfBaggage is about what a segment holds with it.
func (g *segment) sizeOfBaggage() int64 {
	if g.more == nil || g.more.baggage.Len() == 0 {
		return 0
	}
	return int64(len(g.more.baggage.String())) + int64(g.more.baggage.Len())*baggageBytes
}
