package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/internal/untrusted"
)

// ErrGaveUp is the cause of the contexts of exports that a shutdown had no time
// for.
var ErrGaveUp = errors.New("gave up: the deadline of the shutdown has passed")

// exitGrace is how long Shutdown waits, past its context, for what has been told to
// give up.
const exitGrace = 100 * time.Millisecond

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
	traits      Traits                     // zero, if the exporter has not said
	batchers    atomic.Pointer[[]*batcher] // one, and those that it had and that have not ended
	counts      counts
	reporter    *reporter
	metrics     *metrics

	// ctx ends when the line has given up.
	ctx     context.Context //nolint:containedctx // it is the line's life, not a call's
	giveUp  context.CancelCauseFunc
	workers sync.WaitGroup

	workerCount int

	// queuedBytes is what the queue holds, full tells that it had no room for the
	// last batch. They are changed with mu held, and read without.
	queuedBytes atomic.Int64
	full        atomic.Bool

	// writer is nil unless the queue is on a disk. It ends after the workers.
	writer     *diskWriter
	writing    sync.WaitGroup
	stopWriter chan struct{}

	futile atomic.Bool // the backend refused whatever it was sent of the last batch

	mu       sync.Mutex
	ready    bool      // the queue has what was on the disk
	changed  sync.Cond // the queue or the breaker changed
	timer    *time.Timer
	queue    queue
	breaker  breaker
	seq      uint64 // of the last batch
	pending  int    // batches that are not done
	waiters  waiters
	health   health
	closed   bool      // takes no more batches, starts no more attempts
	leaving  bool      // is being shut down
	settled  bool      // each span that was handed over is counted for good
	deadline time.Time // of the shutdown; zero: none is known

	// Attempts, by what they came to, and how those of batches that failed before
	// share the workers with new ones.
	accepted, failures uint64
	newSending         int       // batches that are tried for the first time
	again              int       // batches that failed before and are being tried
	lastAgain          bool      // the last one was such
	newUntil           time.Time // until then new ones go first
	doubtUntil         time.Time // until then a batch is blamed first

	stop    sync.Once
	stopped chan struct{}
	stage   atomic.Pointer[string] // what a shutdown waits for
	err     error
}

func newLine(exporter sdktrace.SpanExporter, c Config, s Settings) *Line {
	l := &Line{config: c, exporter: exporter, stopped: make(chan struct{}), stopWriter: make(chan struct{})}
	l.config.Batch = c.batch()
	l.batchers.Store(new([]*batcher)) // until it has one
	l.reporter = newReporter(s.Logger, &l.counts)
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
		l.traits.Endpoint = untrusted.Text(l.traits.Endpoint, untrusted.Line)
		l.config.Batch = l.traits.Limits.narrow(l.config.Batch)
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
	l.workerCount = workers
	return l
}

// begin starts a line that has its batcher and its metrics.
func (l *Line) begin() {
	// Everything is in its place before anybody works with it.
	for range l.workerCount {
		l.workers.Go(l.work)
	}
	if l.writer != nil {
		l.writing.Go(func() { l.writer.run(l.stopWriter) })
	}
}

// Endpoint is where the exporter sends to, for people; "" if it does not say.
func (l *Line) Endpoint() string { return l.traits.Endpoint }

// Exporter is the one that the line leads to.
func (l *Line) Exporter() sdktrace.SpanExporter { return l.exporter }

// ForceFlush sends what was handed over before the call. If ctx has a deadline,
// it tries until then, else until the first attempt that fails. The error
// counts what has not arrived; what is not lost stays queued.
func (l *Line) ForceFlush(ctx context.Context) error {
	w := l.newWaiter(ctx)
	if !waitWithGrace(ctx, l.eachBatcher((*batcher).flush)) {
		return errors.Join(l.wait(ctx, w), fmt.Errorf("%d spans still wait to become a batch: %w", l.counts.waiting(), ctx.Err()))
	}
	return l.wait(ctx, w)
}

// Shutdown sends what was handed over, like ForceFlush, shuts the exporter down
// and ends all goroutines. It returns within a quarter of a second of the end of ctx;
// what still hangs then, which the error names, ends when it can. The error counts
// every span that did not arrive, also those that were lost before. A second call
// waits for the first.
func (l *Line) Shutdown(ctx context.Context) error {
	l.stop.Do(func() {
		l.stageIs("sending")
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
		return l.hangs(ctx)
	}
}

// hangs says what does not return, and what that leaves behind.
func (l *Line) hangs(ctx context.Context) error {
	err := fmt.Errorf("%s: it hangs: %w", *l.stage.Load(), ctx.Err())
	l.mu.Lock()
	left := int64(l.counts.waiting()) - l.queue.storedSpans()
	l.mu.Unlock()
	if left > 0 {
		err = fmt.Errorf("%s left behind: %w", spansWere(uint64(left)), err)
	}
	if lost := l.counts.lost(); lost > 0 {
		err = errors.Join(fmt.Errorf("%s lost: %w", spansWere(lost), l.reporter.lastLoss()), err)
	}
	return err
}

// waitWithGrace waits for something that takes no time to speak of: for exitGrace even
// if ctx is done.
func waitWithGrace(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	grace := time.NewTimer(exitGrace)
	defer grace.Stop()
	select {
	case <-done:
		return true
	case <-grace.C:
		return false
	}
}

func (l *Line) stageIs(s string) { l.stage.Store(&s) }

func (l *Line) shutdown(ctx context.Context) error {
	l.mu.Lock()
	l.leaving = true
	l.deadline, _ = ctx.Deadline()
	w := newWaiter(ctx, l.pending)
	if l.writer != nil && !l.writer.failing.Load() {
		w.patient = false // what is not sent now is not lost
	}
	l.waiters = append(l.waiters, w)
	l.mu.Unlock()
	waitWithGrace(ctx, l.leaveBatchers())
	failure := l.wait(ctx, w)

	l.mu.Lock()
	l.closed = true
	l.waiters.end()
	l.changed.Broadcast()
	l.mu.Unlock()
	l.giveUp(ErrGaveUp)
	l.stageIs("ending a call of the exporter")
	l.workers.Wait()
	l.timer.Stop()
	close(l.stopWriter)
	if l.writer != nil {
		l.stageIs("writing to the disk queue in " + l.config.Queue.Dir)
		l.writing.Wait()
	}

	lost := l.counts.lost()
	l.mu.Lock()
	// Also what is no batch yet, if there was no time for that.
	left := int64(l.counts.waiting()) - l.queue.storedSpans()
	l.queue.drain()
	l.count(int(left), leftBehind)
	l.settled = true
	l.mu.Unlock()
	l.reporter.close()
	var errs []error
	if lost > 0 {
		errs = append(errs, fmt.Errorf("%s lost: %w", spansWere(lost), l.reporter.lastLoss()))
	}
	if left > 0 {
		why := l.reporter.lastFailure()
		if why == nil {
			why = w.failure
		}
		why = joinCauses(ctx.Err(), why)
		l.reporter.logger.Warn("exporter is shut down; spans are left behind, and lost", "spans", left, "error", why)
		errs = append(errs, fmt.Errorf("%s left behind: %w", spansWere(uint64(left)), why))
	}
	if waiting := l.counts.waiting(); l.writer != nil && waiting > 0 {
		l.reporter.logger.Info("spans wait in the disk queue for the next process", "spans", waiting)
	} else if len(errs) == 0 {
		errs = append(errs, failure)
	}
	l.metrics.end()

	l.stageIs("shutting down the exporter")
	if ctx.Err() != nil { // to close connections takes no time to speak of
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), exitGrace)
		defer cancel()
	}
	return errors.Join(append(errs, untrusted.Error(l.exporter.Shutdown(ctx), untrusted.Line))...)
}

func (l *Line) newWaiter(ctx context.Context) *waiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := newWaiter(ctx, l.pending)
	l.waiters = append(l.waiters, w)
	return w
}

// wait lets every batch be tried at once, and waits.
func (l *Line) wait(ctx context.Context, w *waiter) error {
	l.mu.Lock()
	w.seq = l.seq
	if w.pending == 0 || l.closed {
		w.end()
	}
	l.breaker.probeNow()
	l.queue.makeDue()
	l.newUntil = time.Time{}
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
	l.waiters = l.waiters.without(w)
	switch {
	case w.lost > 0:
		return fmt.Errorf("%s lost: %w", spansWere(uint64(w.lost)), w.failure)
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

func spansWere(n uint64) string {
	if n == 1 {
		return "1 span was"
	}
	return fmt.Sprintf("%d spans were", n)
}

// room is how much more may wait, told without a lock. A queue that drops the oldest
// has always some for what is new: when that is a batch, older ones go.
func (l *Line) room() int64 {
	q := &l.config.Queue
	left := min(int64(q.maxBytes())-l.queuedBytes.Load(), q.inMemory())
	switch {
	case q.WhenFull == DropOldest:
		return max(left, q.inMemory()/4)
	case l.full.Load():
		return 0
	default:
		return left
	}
}

// enqueue takes a batch in, or drops it.
func (l *Line) enqueue(b *batch, reserve int64) {
	l.mu.Lock()
	l.admit(b, reserve)
	l.mu.Unlock()
	l.reporter.full(&l.config.Queue)
}

func (l *Line) admit(b *batch, reserve int64) {
	l.seq++
	b.seq = l.seq
	if l.closed {
		return // the shutdown counts it
	}
	evicted, ok := l.queue.enqueue(b, reserve)
	for _, old := range evicted {
		l.count(old.count, queueFull)
		l.waiters.lost(old, old.count, errQueueFull)
		l.forget(old)
	}
	l.queuedBytes.Store(l.queue.size())
	if !ok {
		l.count(b.count, queueFull)
		l.waiters.lost(b, b.count, errQueueFull)
		l.full.Store(l.queue.size() > 0)
		return
	}
	l.expect(b)
	l.changed.Signal()
}

var errQueueFull = errors.New("the queue is full")

// next waits for a batch that may be tried, nil if there will be none.
func (l *Line) next() *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed {
		now := time.Now()
		wait := l.breaker.wait(now)
		if wait == 0 && l.ready {
			var b *batch
			if b, wait = l.queue.dequeue(now, l.order(now)); b != nil {
				l.start(b, now)
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

// start notes that a batch is under way, and finish that it is not any more.
func (l *Line) start(b *batch, now time.Time) {
	b.probe = l.breaker.open()
	l.breaker.probing = b.probe
	b.began, b.history.began = now, l.accepted
	b.doubted = b.doubted || now.Before(l.doubtUntil)
	b.searched = b.count > 1 && b.failures > 0 &&
		(b.doubted || !b.busy && (b.failures >= maxFailures || b.probe || l.leaving))
	b.fetch = nil
	if b.onDisk() {
		b.fetch = b.file
	}
	if l.lastAgain = b.failures > 0; l.lastAgain {
		l.again++
	} else {
		l.newSending++
	}
}

func (l *Line) finish(b *batch, now time.Time, failed bool) {
	if b.probe {
		l.breaker.probing = false
	}
	if b.failures == 0 {
		l.newSending--
		return
	}
	l.again--
	if failed && l.workerCount == 1 {
		l.newUntil = now.Add(3 * now.Sub(b.began))
	}
}

// order lets batches that failed before hold up no new ones: they alternate with
// them, have half of the workers at most, and where one took long, new ones have
// the only worker for longer.
func (l *Line) order(now time.Time) order {
	switch {
	case l.leaving && l.queue.hasNew():
		return newFirst
	case l.leaving:
		return failedFirst
	case l.again >= max(1, l.workerCount/2):
		return newOnly
	case l.lastAgain, now.Before(l.newUntil):
		return newFirst
	default:
		return failedFirst
	}
}

// expect makes a batch one that is waited for.
func (l *Line) expect(b *batch) {
	if b.takenOver {
		return
	}
	l.pending++
	l.waiters.expect(b)
}

// forget makes a batch one that is gone.
func (l *Line) forget(b *batch) {
	l.queuedBytes.Store(l.queue.size())
	l.full.Store(false)
	if b.takenOver { // nobody waits for it
		return
	}
	l.pending--
	l.waiters.forget(b)
}

func (l *Line) count(n int, why cause) { l.counts.dropped[why].Add(uint64(n)) }
