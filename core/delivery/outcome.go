package delivery

import (
	"fmt"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// outcome is what became of a batch that a worker had. [Line.apply] is the one place
// where it takes effect.
type outcome struct {
	// sent, rejected and dropped count spans that are done with.
	sent, rejected int
	dropped        [causes]int
	// Of several requests, those that were accepted are counted as they are.
	sentCounted, rejectedCounted int

	// again tells that the batch waits on, rest what takes its place, from due on. Zero is
	// at once, as if it had never been tried.
	again bool
	rest  []*batch
	due   time.Time

	// failed tells that an attempt failed for now: what is left backs off, for at least
	// as long as the backend asked for.
	failed     bool
	ended      bool // although others of the batch were accepted: it is the backend
	retryAfter time.Duration
	throttled  bool

	// next is when the backend wants the next attempt. endsWaits tells that those who are not
	// patient wait no longer.
	next      time.Time
	endsWaits bool

	backend backendState
	futile  bool // the backend refused whatever of the batch it was sent

	err     error  // why spans wait
	loss    error  // why spans are lost
	message string // the backend's, about what it accepted
	example string // names a span that is lost
}

// backendState is what an outcome tells of the backend.
type backendState int

const (
	unknown     backendState = iota
	reachable                // it answered
	unreachable              // it did not, or is busy
)

// drop counts spans as lost. They are named if they are given.
func (o *outcome) drop(n int, why cause, err error, spans []sdktrace.ReadOnlySpan) {
	if n == 0 {
		return
	}
	o.dropped[why] += n
	o.loss = err
	if o.example == "" && len(spans) > 0 {
		o.example = describe(spans)
	}
}

func (o *outcome) lost() int {
	n := o.rejected
	for _, d := range o.dropped {
		n += d
	}
	return n
}

// apply makes an outcome take effect: on the counters, on those who wait, on what
// is known of the backend, and on the queue.
func (l *Line) apply(b *batch, o outcome) {
	before := l.counts.lost() - uint64(o.rejectedCounted)
	l.mu.Lock()
	now := time.Now()
	l.finish(b, now, o.failed)
	if o.sent > 0 {
		l.accepted++
	}
	if o.failed {
		l.applyFailure(b, &o, now)
	}
	b.probe = false
	if o.backend == reachable {
		l.breaker.close()
	}
	if o.sent > 0 || o.futile {
		l.futile.Store(o.futile)
	}
	l.counts.sent.Add(uint64(o.sent - o.sentCounted))
	l.counts.rejected.Add(uint64(o.rejected - o.rejectedCounted))
	for why, n := range o.dropped {
		l.count(n, cause(why))
	}
	gaveUp := o.failed && l.ctx.Err() != nil
	l.health.note(&o, now, gaveUp)
	if !gaveUp && (o.failed || o.lost() > 0 || o.message != "" || l.reporter.failing()) {
		l.mu.Unlock() // who logs may take long
		l.reporter.report(&o, before)
		l.mu.Lock() // the batch is still the worker's
	}
	if n := o.lost(); n > 0 {
		l.waiters.lost(b, n, o.loss)
	}
	if o.err != nil && (o.failed || o.again) {
		l.waiters.failed(b, o.err, o.next, o.endsWaits)
	}
	if o.again {
		b.due = o.due
		l.queue.requeue(b)
	} else {
		l.replace(b, &o)
	}
	l.changed.Broadcast()
	l.mu.Unlock()
	l.reporter.full(&l.config.Queue)
}

// applyFailure says how long what is left of a batch backs off, or drops it, and what
// the failure tells of the backend.
func (l *Line) applyFailure(b *batch, o *outcome, now time.Time) {
	b.busy = o.throttled || o.retryAfter > 0
	alone := b.history.fail(b.failures > 0 && o.sent == 0, b.busy, l.accepted, l.failures)
	if !alone && !b.suspect {
		l.failures++
		b.history.failed = l.failures
	}
	b.failures++
	b.alone = alone
	others := alone || b.suspect || l.isDoubted(b, now) || l.accepted > b.history.began || o.sent > 0
	if o.retryAfter > 0 || o.ended || !others {
		o.backend = unreachable
		l.breaker.failed(now, b.probe, o.retryAfter)
	} else {
		o.backend = unknown // others were accepted meanwhile
		if o.sent > 0 {
			o.backend = reachable
		}
	}

	left := b.count - o.sent - o.lost()
	switch {
	case b.history.alone >= maxAlone && b.count == 1 && !b.busy:
		err := fmt.Errorf("it failed %d times, while others were accepted: %w", b.failures, o.err)
		o.drop(left, poisoned, err, l.spansOf(b))
	case l.config.Send.MaxElapsed > 0 && now.Sub(b.firstAttempt) >= time.Duration(l.config.Send.MaxElapsed):
		o.drop(left, expired, o.err, nil)
	default:
		l.counts.retried.Add(1)
		o.due = l.dueAfter(b, o, now)
		for _, rest := range o.rest {
			rest.failures, rest.history, rest.busy = b.failures, b.history, b.busy
			switch { // what is wrong is known better now
			case b.busy || o.sent == 0:
			case o.ended:
				rest.failures = min(b.failures, 2)
			default:
				rest.failures = 1
			}
			if rest.suspect {
				l.doubtUntil = now.Add(doubtFor)
			}
		}
		// While others are accepted, only what is left when all were tried ends a wait.
		o.next, o.endsWaits = now.Add(o.retryAfter), o.backend == unreachable || !l.queue.hasNew() && l.newSending == 0
		return
	}
	o.again, o.rest, o.failed = false, nil, false
}

// doubtFor is how long after single spans were found to blame a batch that fails for the
// first time is to blame itself, rather than the backend.
const doubtFor = time.Minute

func (l *Line) isDoubted(b *batch, now time.Time) bool {
	return b.failures == 1 && b.count > 1 && !b.busy && now.Before(l.doubtUntil)
}

// dueAfter is when what is left of a batch that failed may be tried again.
func (l *Line) dueAfter(b *batch, o *outcome, now time.Time) time.Time {
	if l.isDoubted(b, now) {
		return now
	}
	delay := l.config.Send.Backoff.delay(b.failures)
	if !l.deadline.IsZero() { // there may be no other time
		const least = 50 * time.Millisecond
		delay = min(delay, max(least, l.deadline.Sub(now)/2))
		if o.retryAfter == 0 && !l.breaker.asked {
			l.breaker.until = earlier(l.breaker.until, now.Add(delay))
		}
	}
	return now.Add(max(delay, o.retryAfter))
}

// replace puts what is left of a batch in its place.
func (l *Line) replace(b *batch, o *outcome) {
	b.divide(o.rest)
	for _, piece := range o.rest {
		piece.inherit(b)
		piece.due = o.due
		l.expect(piece)
	}
	if len(o.rest) > 1 {
		l.counts.split.Add(1)
	}
	l.queue.requeue(o.rest...)
	l.queue.done(b)
	l.forget(b)
}
