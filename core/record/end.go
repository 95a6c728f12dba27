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

// ending is a moment at which end samplers are asked about spans of a segment.
type ending struct {
	rules *rules // of the segment
	// last tells that they are asked for the last time before a decision: the local root
	// is taken as it is, though it may be open.
	last    bool
	subject match.Subject
}

// askEnd asks end samplers in mask about a span of the segment that has ended, or about
// the local root, without a lock, and files what they answer. It returns those whose
// match is not known yet.
func (g *segment) askEnd(e *ending, mask uint64, s *span) (later uint64) {
	open := !s.state.hasEnded()
	p := sampling.EndParameters{
		Span: &s.recorded, LocalRoot: s == &g.root, Open: open, Spans: int(g.ended.Load()),
		Panicked: s.state.Load()&hasPanicked != 0, Canceled: s.state.Load()&sawCancel != 0,
		Root: &g.root.recorded, Resource: e.rules.resource,
	}
	if p.Duration = time.Since(s.start); !open {
		p.Duration = s.endTime().Sub(s.start)
	}
	e.subject.Span.Recorded, e.subject.IsRoot, e.subject.Spans = p.Span, p.LocalRoot, p.Spans
	for mask != 0 {
		a := firstAnswer(e.rules.end, mask, &p, &e.subject)
		later |= a.later
		if mask = a.rest; a.by >= 0 && g.answer(e.rules, a.by, a.says) {
			return 0
		}
	}
	return later
}

// ending is this moment of the segment. ended is a span that is not among those that
// wait yet; nil if there is none.
func (g *segment) ending(r *rules, ended *span, last bool) (e ending) {
	e.rules, e.last = r, last
	if !r.matchesEnds {
		return e
	}
	root := &g.root
	s := &e.subject
	s.Root.Recorded, s.RootOpen, s.Resource = &root.recorded, !last && !root.state.hasEnded(), r.resource
	if !root.state.hasEnded() {
		s.RootDuration = time.Since(root.start)
	}
	if root.fixed&hasParent != 0 {
		s.RemoteParent, s.TraceState = g.more.parent.IsRemote() && g.more.parent.IsValid(), g.more.parent.TraceState()
	}
	if r.needsBaggage || r.needsEnded && !s.RootOpen {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.more != nil {
			s.Baggage = g.more.baggage
		}
		if r.needsEnded && !s.RootOpen {
			s.Ended = g.endedSpans(ended)
		}
	}
	return e
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
	e := g.ending(r, ended, last)
	for _, s := range list {
		if mask &= g.unanswered.Load(); mask == 0 {
			return
		}
		g.askEnd(&e, mask, s)
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
	if g.unanswered.Load() != 0 {
		if r.seesCancellation && g.isCanceled() {
			s.state.Or(sawCancel)
		}
		if s == &g.root {
			g.askLater(s, false)
		}
		e := g.ending(r, s, false)
		later = g.askEnd(&e, g.unanswered.Load(), s)
	}
	var out handOver
	g.mu.Lock()
	if g.postpone(later) {
		g.mu.Unlock()
		e := g.ending(r, s, false)
		g.askEnd(&e, later&g.unanswered.Load(), s)
		g.mu.Lock()
	}
	if m := g.more; m != nil && s == &g.root {
		m.context = nil
	}
	g.unlinkOpen(s)
	if g.has(isGone) {
		g.counts().spansLost.Add(1)
		g.mu.Unlock()
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
