package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// ErrGaveUp is the cause of the contexts of exports that a shutdown had no time
// for.
var ErrGaveUp = errors.New("gave up: the deadline of the shutdown has passed")

// exitGrace is how long Shutdown waits, past its context, for an exporter
// that has been told to give up.
const exitGrace = time.Second

// Line is the way of spans to one exporter. [Lines.Add] starts it.
//
// An error of the exporter that is no [ExportError] means another attempt if it is
// one of the network, of a name that is not found, or of a deadline. Any other
// one drops the batch: an exporter of the SDK has made its own attempts by then.
// An exporter that is no [RequestExporter] has one call at a time.
type Line struct {
	config      Config
	exporter    sdktrace.SpanExporter
	requests    RequestExporter // the exporter, if it is one
	compression Compression
	traits      Traits // zero, if the exporter has not said
	batcher     *batcher
	counts      counts
	reporter    *reporter
	metrics     *metrics

	// ctx ends when the line has given up.
	ctx     context.Context //nolint:containedctx // it is the line's life, not a call's
	giveUp  context.CancelCauseFunc
	workers sync.WaitGroup

	// queuedBytes is what the queue holds, full tells that it had no room for the
	// last batch. They are changed with mu held, and read without.
	queuedBytes atomic.Int64
	full        atomic.Bool

	accepted   atomic.Uint64 // batches
	warnedFull atomic.Uint64 // spans dropped for want of room when it was last looked at

	// writer is nil unless the queue is on a disk. It ends after the workers.
	writer     *diskWriter
	writing    sync.WaitGroup
	stopWriter chan struct{}

	mu      sync.Mutex
	ready   bool      // the queue has what was on the disk
	changed sync.Cond // the queue or the breaker changed
	timer   *time.Timer
	queue   queue
	breaker breaker
	seq     uint64 // of the last batch
	pending int    // batches that are not done
	waiters []*waiter
	closed  bool // takes no more batches, starts no more attempts

	stop    sync.Once
	stopped chan struct{}
	err     error
}

func newLine(exporter sdktrace.SpanExporter, c Config, s Settings) *Line {
	l := &Line{config: c, exporter: exporter, stopped: make(chan struct{}), stopWriter: make(chan struct{})}
	l.reporter = &reporter{logger: s.Logger, lost: l.counts.lost}
	l.changed.L = &l.mu
	l.breaker.backoff = c.Send.Backoff
	l.ctx, l.giveUp = context.WithCancelCause(context.Background())
	l.timer = time.AfterFunc(time.Hour, func() {
		l.mu.Lock() // not between a worker's look and its wait
		defer l.mu.Unlock()
		l.changed.Broadcast()
	})
	l.timer.Stop()
	workers := 1
	if e, ok := exporter.(Exporter); ok {
		l.traits = e.Traits()
		l.config.Batch = l.traits.Limits.narrow(c.Batch)
	}
	if r, ok := exporter.(RequestExporter); ok {
		l.requests, l.compression, workers = r, cmp.Or(l.traits.Compression, None), c.Send.Workers
	}
	if c.Queue.Storage == StorageDisk {
		q := newDiskQueue(c.Queue)
		l.queue = q
		l.writer = newDiskWriter(l, q, s)
	} else {
		l.queue, l.ready = newMemoryQueue(c.Queue), true
	}
	l.metrics = newMetrics(l, s)
	// Everything is in its place before anybody works with it.
	for range workers {
		l.workers.Go(l.work)
	}
	if l.writer != nil {
		l.writing.Go(func() { l.writer.run(l.stopWriter) })
	}
	return l
}

// Endpoint is where the exporter sends to, for people; "" if it does not say.
func (l *Line) Endpoint() string { return l.traits.Endpoint }

// ForceFlush sends what was handed over before the call. If ctx has a deadline,
// it tries until then, else until the first attempt that fails. The error
// counts what has not arrived; what is not lost stays queued.
func (l *Line) ForceFlush(ctx context.Context) error {
	w := l.newWaiter(ctx)
	<-l.batcher.flush() // encoding takes no time to speak of
	return l.wait(ctx, w)
}

// Shutdown sends what was handed over, like ForceFlush, shuts the exporter down
// and ends all goroutines, also when ctx is done. The error counts the spans
// that were left behind. A second call waits for the first.
func (l *Line) Shutdown(ctx context.Context) error {
	l.stop.Do(func() {
		go func() {
			defer close(l.stopped)
			l.err = l.shutdown(ctx)
		}()
	})
	select {
	case <-l.stopped:
		return l.err
	case <-ctx.Done():
	}
	grace := time.NewTimer(2 * exitGrace)
	defer grace.Stop()
	select {
	case <-l.stopped:
		return l.err
	case <-grace.C:
		return fmt.Errorf("shutting down the exporter: it ignores its context: %w", ctx.Err())
	}
}

func (l *Line) shutdown(ctx context.Context) error {
	before := l.counts.lost()
	w := l.newWaiter(ctx)
	if l.writer != nil && !l.writer.failing.Load() {
		l.mu.Lock()
		w.patient = false // what is not sent now is not lost
		l.mu.Unlock()
	}
	<-l.batcher.leave(l)
	failure := l.wait(ctx, w)

	l.mu.Lock()
	l.closed = true
	l.changed.Broadcast()
	l.mu.Unlock()
	l.giveUp(ErrGaveUp)
	l.workers.Wait()
	l.timer.Stop()
	close(l.stopWriter)
	l.writing.Wait()

	l.mu.Lock()
	var left int
	for _, b := range l.queue.drain() {
		left += b.count
		l.dropQueued(b, leftBehind)
	}
	l.mu.Unlock()
	if left > 0 {
		failure = fmt.Errorf("%s left behind: %w", spansWere(left), joinCauses(ctx.Err(), l.reporter.lastFailure()))
	}
	if waiting := l.counts.waiting(); l.writer != nil && waiting > 0 {
		l.reporter.logger.Info("spans wait in the disk queue for the next process", "spans", waiting)
		if l.counts.lost() == before {
			failure = nil
		}
	}
	l.metrics.close()

	if ctx.Err() != nil { // to close connections takes no time to speak of
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), exitGrace)
		defer cancel()
	}
	return errors.Join(failure, l.exporter.Shutdown(ctx))
}

// waiter waits until batches are done: those there when it is made, and those
// that are put before it knows its seq.
type waiter struct {
	seq     uint64 // of the last batch, once it is known
	pending int    // batches that are not done
	patient bool   // attempts that fail do not end it
	lost    int    // spans
	failure error
	done    chan struct{} // closed when there is nothing to wait for
}

const unknownSeq = math.MaxUint64

func (w *waiter) end() {
	select {
	case <-w.done:
	default:
		close(w.done)
	}
}

func (l *Line) newWaiter(ctx context.Context) *waiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &waiter{seq: unknownSeq, pending: l.pending, done: make(chan struct{})}
	_, w.patient = ctx.Deadline()
	l.waiters = append(l.waiters, w)
	return w
}

// wait lets every batch be tried at once, and waits.
func (l *Line) wait(ctx context.Context, w *waiter) error {
	l.mu.Lock()
	w.seq = l.seq
	if w.pending == 0 {
		w.end()
	}
	l.breaker.probeNow()
	l.queue.makeDue()
	l.changed.Broadcast()
	l.mu.Unlock()

	var ended error
	select {
	case <-w.done:
	case <-ctx.Done():
		ended = ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters = slices.DeleteFunc(l.waiters, func(o *waiter) bool { return o == w })
	switch {
	case w.lost > 0:
		return fmt.Errorf("%s lost: %w", spansWere(w.lost), w.failure)
	case w.pending > 0:
		return fmt.Errorf("%d spans still wait: %w", l.counts.waiting(), joinCauses(ended, w.failure))
	default:
		return nil
	}
}

// joinCauses joins what ended a wait with why it took so long; either may be nil.
func joinCauses(ended, failure error) error {
	switch {
	case ended == nil:
		return failure
	case failure == nil:
		return ended
	default:
		return fmt.Errorf("%w: %w", ended, failure)
	}
}

func spansWere(n int) string {
	if n == 1 {
		return "1 span was"
	}
	return fmt.Sprintf("%d spans were", n)
}

// room is how much more may wait, told without a lock. A queue that drops the
// oldest has all of its room for what is new.
func (l *Line) room() int64 {
	q := &l.config.Queue
	switch {
	case q.WhenFull == DropOldest:
		return q.inMemory()
	case l.full.Load():
		return 0
	default:
		return min(int64(q.maxBytes())-l.queuedBytes.Load(), q.inMemory())
	}
}

// enqueue takes a batch in, or drops it.
func (l *Line) enqueue(b *batch, reserve int64) {
	l.mu.Lock()
	l.admit(b, reserve)
	l.mu.Unlock()
	l.warnFull()
}

func (l *Line) admit(b *batch, reserve int64) {
	l.seq++
	b.seq = l.seq
	if l.closed {
		l.count(b.count, leftBehind)
		return
	}
	evicted, ok := l.queue.enqueue(b, reserve)
	for _, old := range evicted {
		l.dropQueued(old, queueFull)
	}
	l.queuedBytes.Store(l.queue.size())
	if !ok {
		l.count(b.count, queueFull)
		l.noteLoss(b, b.count, errDropped[queueFull])
		l.full.Store(l.queue.size() > 0)
		return
	}
	l.pending++
	for _, w := range l.waiters {
		if w.seq == unknownSeq {
			w.pending++
		}
	}
	l.changed.Signal()
}

// next waits for a batch that may be tried, nil if there will be none.
func (l *Line) next() *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed {
		now := time.Now()
		wait := l.breaker.wait(now)
		if wait == 0 && l.ready {
			var b *batch
			if b, wait = l.queue.dequeue(now); b != nil {
				b.probe = l.breaker.open()
				l.breaker.probing = b.probe
				return b
			}
		}
		if wait > 0 {
			l.timer.Reset(wait)
		}
		l.changed.Wait()
	}
	return nil
}

// retryLater queues a batch again that failed for now.
func (l *Line) retryLater(b *batch, f *ExportError) {
	due := l.delayed(b, f)
	l.mu.Lock()
	defer l.mu.Unlock()
	b.failures++
	b.due = due
	l.queue.requeue(b)
	l.changed.Broadcast()
}

// delayed notes that a batch failed for now, and returns when to try again.
func (l *Line) delayed(b *batch, f *ExportError) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.breaker.failed(now, b.probe, f.RetryAfter)
	l.counts.retried.Add(1)
	for _, w := range l.waiters {
		if b.seq <= w.seq {
			w.failure = f.Err
			if !w.patient {
				w.end()
			}
		}
	}
	return now.Add(max(f.RetryAfter, l.config.Send.Backoff.delay(b.failures+1)))
}

// backendDown notes that the backend may not be there.
func (l *Line) backendDown(b *batch, f *ExportError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.breaker.failed(time.Now(), b.probe, f.RetryAfter)
	l.changed.Broadcast()
}

// backendUp notes that the backend is there.
func (l *Line) backendUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.breaker.close()
	l.changed.Broadcast()
}

// replace puts the pieces of a batch in its place, without those of its spans
// that are lost.
func (l *Line) replace(b *batch, pieces []*batch, lost int, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lost > 0 {
		l.noteLoss(b, lost, why)
	}
	b.divide(pieces)
	for _, piece := range pieces {
		piece.seq, piece.handedOverAt, piece.firstAttempt, piece.firstEnd, piece.takenOver = b.seq, b.handedOverAt, b.firstAttempt, b.firstEnd, b.takenOver
		if piece.takenOver {
			continue
		}
		l.pending++
		for _, w := range l.waiters {
			if b.seq <= w.seq {
				w.pending++
			}
		}
	}
	l.queue.requeue(pieces...)
	if len(pieces) > 1 {
		l.counts.split.Add(1)
	}
	l.remove(b)
	l.changed.Broadcast()
}

// done forgets a batch that was sent or, if any spans are, lost.
func (l *Line) done(b *batch, lost int, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lost > 0 {
		l.noteLoss(b, lost, why)
	}
	l.remove(b)
}

// noteLoss tells those who wait that spans of a batch are lost.
func (l *Line) noteLoss(b *batch, n int, why error) {
	for _, w := range l.waiters {
		if b.seq <= w.seq && !b.takenOver {
			w.lost += n
			w.failure = why
		}
	}
}

func (l *Line) remove(b *batch) {
	l.queue.done(b)
	l.notifyWaiters(b)
}

// dropQueued counts a batch as lost that the queue has given up.
func (l *Line) dropQueued(b *batch, why cause) {
	l.count(b.count, why)
	l.noteLoss(b, b.count, errDropped[why])
	l.notifyWaiters(b)
}

var errDropped = [causes]error{queueFull: errors.New("the queue is full"), leftBehind: ErrGaveUp}

// notifyWaiters tells those who wait that a batch is gone.
func (l *Line) notifyWaiters(b *batch) {
	l.queuedBytes.Store(l.queue.size())
	l.full.Store(false)
	if b.takenOver { // nobody waits for it
		return
	}
	l.pending--
	for _, w := range l.waiters {
		if b.seq <= w.seq {
			if w.pending--; w.pending == 0 && w.seq != unknownSeq {
				w.end()
			}
		}
	}
}

func (l *Line) count(n int, why cause) { l.counts.dropped[why].Add(uint64(n)) }

// warnFull logs that spans found no room.
func (l *Line) warnFull() {
	n := l.counts.dropped[queueFull].Load()
	if n == l.warnedFull.Swap(n) {
		return
	}
	l.reporter.warn("queue is full; spans are dropped: raise queue.max_bytes, or see why the backend does not keep up",
		"max_bytes", l.config.Queue.maxBytes().String(), "when_full", string(l.config.Queue.WhenFull), "spans_dropped", n)
}
