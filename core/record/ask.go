package record

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/sampling"
)

// What bounds a call of a segment sampler.
const (
	askBatch    = 128
	askDeadline = time.Second
	// askGrace is how long past its deadline a segment sampler may take to return.
	askGrace = 100 * time.Millisecond
)

// asker asks segment samplers about segments, on a goroutine of its own. What it
// asks about stays the segment's, inside the memory bound. There is one for all rules,
// so that a sampler that is in two lists is called from one goroutine.
type asker struct {
	mu       sync.Mutex
	queue    []*request
	closed   bool
	added    uint64        // requests
	answered uint64        // all up to that number
	progress chan struct{} // closed, and replaced, after every batch

	// Held where several segments are decided one after another: what samplers have said
	// of others meanwhile would reach those that come last.
	concluding sync.Mutex

	runs   bool // guarded by who calls start
	signal chan struct{}
	life   context.Context //nolint:containedctx // ends with the asker
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// request is about spans of a segment that have ended. It is the segment's until it
// is concluded; a segment that is let go, or decided meanwhile, takes its spans.
type request struct {
	segment atomic.Pointer[segment] // nil if its spans are taken: the queue must hold nothing
	number  uint64                  // of the request
	rules   *rules                  // of the segment
	spans   spans
	// What samplers are told is as it was when the spans came here: how long they wait
	// depends on how many others are kept so far.
	root      *span // nil if it was open
	threshold sampling.Threshold
	complete  bool
	next      *request // of the segment
}

// requestBytes is what a request takes, with its place in the queue, and one that was
// withdrawn and is still there.
const requestBytes = 2*int64(unsafe.Sizeof(request{})) + 4*int64(unsafe.Sizeof(uintptr(0)))

// question is a request before the samplers.
type question struct {
	*request
	segment *segment
	about   sampling.Segment
	raise   sampling.Threshold
	said    []answer
	subject match.Subject
}

func (a *asker) init() {
	a.progress, a.signal = make(chan struct{}), make(chan struct{}, 1)
	a.life, a.stop = context.WithCancel(context.Background())
}

// start starts the goroutine, once.
func (a *asker) start() {
	if !a.runs {
		a.runs = true
		a.done.Go(func() { a.run(a.life) })
	}
}

// ask lets segment samplers be asked about what has ended of a segment, and reports
// whether they are: what is settled need not be, and after Shutdown nobody is.
func (g *segment) ask(complete bool) bool {
	if len(g.rules().segment) == 0 || g.isSettled() {
		return false
	}
	a := &g.live().asker
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	m := g.rarely()
	a.added++
	q := &request{number: a.added, rules: g.rules(), spans: g.waiting.take(), threshold: g.said(), complete: complete, next: m.requests}
	q.segment.Store(g)
	if !g.root.IsRecording() {
		q.root = &g.root
	}
	m.requests = q
	g.account(requestBytes)
	if len(a.queue) == cap(a.queue) {
		a.queue = slices.DeleteFunc(a.queue, (*request).isWithdrawn)
		a.queue = slices.Grow(a.queue, len(a.queue)+1) // so that it is not looked through each time
	}
	a.queue = append(a.queue, q)
	select {
	case a.signal <- struct{}{}:
	default:
	}
	return true
}

func (a *asker) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.signal:
		}
		for ctx.Err() == nil && a.next(ctx, true) {
		}
	}
}

// next asks samplers about one batch, or only decides about it, and tells whether there
// was one.
func (a *asker) next(ctx context.Context, ask bool) bool {
	batch, last := a.take()
	if last == 0 {
		return false
	}
	batch = opened(batch)
	if ask && len(batch) > 0 {
		for _, e := range batch[0].rules.segment {
			e.askBatch(ctx, batch)
		}
	}
	var decided handOvers
	a.concluding.Lock()
	for i := range batch {
		var out handOver
		batch[i].conclude(&out)
		decided.add(&out)
	}
	a.concluding.Unlock()
	decided.deliver()
	a.mu.Lock()
	a.answered = last
	close(a.progress)
	a.progress = make(chan struct{})
	a.mu.Unlock()
	return true
}

// take takes a batch off the queue, about segments under the same rules. last is the
// number of its last request, 0 if the queue is empty.
func (a *asker) take() (batch []question, last uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, r := range a.queue[:min(len(a.queue), askBatch)] {
		g := r.segment.Load()
		if g != nil && len(batch) > 0 && r.rules != batch[0].rules {
			break
		}
		if g != nil {
			batch = append(batch, question{request: r, segment: g})
		}
		last = r.number
		n++
	}
	a.queue = slices.Delete(a.queue, 0, n)
	return batch, last
}

// opened opens those that are still to be asked.
func opened(batch []question) []question {
	still := batch[:0]
	for i := range batch {
		if q := &batch[i]; q.open() {
			still = append(still, *q)
		}
	}
	return still
}

// open fills in what samplers are told, and reports whether they are to be asked.
func (q *question) open() bool {
	g := q.segment
	g.mu.Lock()
	defer g.mu.Unlock()
	if q.isWithdrawn() {
		return false
	}
	q.about = sampling.Segment{TraceID: g.traceID, Complete: q.complete, Threshold: q.threshold}
	if q.root != nil {
		q.about.Root = &q.root.recorded
	}
	for s := q.spans.first; s != nil; s = s.next {
		q.about.Spans = append(q.about.Spans, &s.recorded)
	}
	q.subject = match.Subject{
		Span: match.Span{Recorded: &g.root.recorded}, IsRoot: true, Spans: int(g.ended.Load()), Ended: q.about.Spans,
		Baggage: g.more.baggage, Resource: q.rules.resource,
	}
	if parent := g.more.parent; parent.IsValid() {
		q.subject.RemoteParent, q.subject.TraceState = parent.IsRemote(), parent.TraceState()
	}
	if q.root == nil {
		q.subject.RootDuration = time.Since(g.root.start)
	}
	return true
}

// askBatch asks the sampler about those that its match selects.
func (e *SegmentEntry) askBatch(ctx context.Context, batch []question) {
	var segments []sampling.Segment
	var places []int
	for i := range batch {
		if e.matches(&batch[i].subject) != match.Yes {
			continue
		}
		segments = append(segments, batch[i].about)
		places = append(places, i)
	}
	if len(segments) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askDeadline)
	defer cancel()
	for i, a := range e.ask(ctx, segments) {
		q := &batch[places[i]]
		a = e.said(a, 0)
		t, _ := a.Threshold()
		switch {
		case a.IsAtMost():
			q.raise = max(q.raise, t)
		case a.IsThreshold():
			q.said = append(q.said, answer{threshold: t, from: e.from(t), place: e.place, by: e.number, rule: a.Rule()})
		default:
		}
	}
}

// ask asks about a batch. It returns when ctx is done, also if the sampler does
// not; until that does, it is not asked again.
func (e *SegmentEntry) ask(ctx context.Context, segments []sampling.Segment) []sampling.Answer {
	if e.isSuspended() || !e.asking.CompareAndSwap(false, true) {
		return nil
	}
	e.asked(0, len(segments))
	answers := make([]sampling.Answer, len(segments))
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		defer e.asking.Store(false)
		defer func() {
			if r := recover(); r != nil {
				clear(answers)
				e.panicked(r)
			}
		}()
		e.sampler.SampleSegments(ctx, segments, answers)
	}()
	select {
	case <-answered:
		return answers
	case <-ctx.Done():
	}
	// One that returns because ctx is done may have answered for some.
	grace := time.NewTimer(askGrace)
	defer grace.Stop()
	select {
	case <-answered:
		return answers
	case <-grace.C:
		e.suspend("it ignores its deadline", ctx.Err())
		return nil
	}
}

// conclude files the answers, and decides.
func (q *question) conclude(out *handOver) {
	g := q.segment
	g.mu.Lock()
	defer g.mu.Unlock()
	if !q.isWithdrawn() {
		for _, a := range q.said {
			g.file(a)
			g.share(a)
		}
		g.absorb(g.live())
		if q.raise == sampling.Never && !g.has(isCountedLost) {
			g.counts().discarded.Add(1)
		}
		g.decide(out, q.spans.take(), q.raise)
		g.removeRequest(q.request)
		g.makeSure(out)
		g.rest()
	}
}

// waiting counts what is asked about and not concluded.
func (a *asker) waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return int(a.added - a.answered)
}

func (q *request) isWithdrawn() bool { return q.segment.Load() == nil }

// withdraw calls f with the spans that segment samplers have not answered about:
// they are decided, or let go, to make room.
func (g *segment) withdraw(f func(spans)) {
	if g.more == nil {
		return
	}
	for q := g.more.requests; q != nil; q = q.next {
		f(q.spans.take())
		q.root = nil
		q.segment.Store(nil)
		g.account(-requestBytes)
	}
	g.more.requests = nil
}

func (g *segment) removeRequest(q *request) {
	for at := &g.more.requests; *at != nil; at = &(*at).next {
		if *at == q {
			*at = q.next
			g.account(-requestBytes)
			return
		}
	}
}

// flush waits until what was added before the call has been concluded.
func (a *asker) flush(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for upTo := a.added; a.answered < upTo; {
		progress := a.progress
		a.mu.Unlock()
		var err error
		select {
		case <-progress:
		case <-ctx.Done():
			err = ctx.Err()
		}
		a.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// shutdown asks about what is left, and decides it.
func (a *asker) shutdown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, shutdownShare(ctx))
	defer cancel()
	_ = a.flush(ctx) // what it has not answered is decided below
	a.stop()
	a.done.Wait()
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	for a.next(ctx, ctx.Err() == nil) {
	}
}
