package delivery

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/core/otlp"
)

// diskQueue is a memoryQueue whose batches are written to a disk unless they
// are sent before, and leave memory then. What it does with the disk it does on
// a goroutine of its own, the [diskWriter]'s, and never with the line's lock held.
type diskQueue struct {
	*memoryQueue
	inMemory int64         // bound of unstoredBytes
	wake     chan struct{} // of capacity 1

	unstored      []*batch // are in memory only, in the order they came
	unstoredBytes int64
	remove        []disk.Entry // are sent, or dropped
}

func newDiskQueue(c QueueConfig) *diskQueue {
	return &diskQueue{memoryQueue: newMemoryQueue(c), inMemory: c.inMemory(), wake: make(chan struct{}, 1)}
}

func (q *diskQueue) enqueue(b *batch, reserve int64) (evicted []*batch, ok bool) {
	if q.unstoredBytes+b.size > q.inMemory {
		return nil, false // the disk is full, or does not keep up
	}
	evicted, ok = q.memoryQueue.enqueue(b, reserve)
	for _, old := range evicted {
		q.release(old)
	}
	if ok {
		q.store(b)
	}
	return evicted, ok
}

// store wants a batch on the disk.
func (q *diskQueue) store(b *batch) {
	b.unstored, b.unstoredSince = true, time.Now()
	q.unstored = append(q.unstored, b)
	q.unstoredBytes += b.size
	q.signal()
}

func (q *diskQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *diskQueue) requeue(batches ...*batch) {
	for _, b := range batches {
		if _, ok := q.out[b]; !ok { // a piece of one
			q.store(b)
		}
	}
	q.memoryQueue.requeue(batches...)
	for _, b := range batches {
		b.unload()
	}
}

func (q *diskQueue) done(b *batch) {
	q.memoryQueue.done(b)
	q.release(b)
}

// original is a stored batch whose pieces took its place. Its file stays until
// they are stored, sent or dropped.
type original struct {
	file   disk.Entry
	pieces int
}

// divide makes batches pieces of another.
func (b *batch) divide(pieces []*batch) {
	if len(pieces) == 0 { // it ends as a whole
		return
	}
	o := b.original
	if b.file != nil {
		o, b.file = &original{file: *b.file}, nil
	}
	if o == nil {
		return
	}
	o.pieces += len(pieces)
	for _, piece := range pieces {
		piece.original = o
	}
}

// releaseOriginal lets go of what a batch is a piece of.
func (q *diskQueue) releaseOriginal(b *batch) {
	o := b.original
	if o == nil {
		return
	}
	b.original = nil
	if o.pieces--; o.pieces == 0 {
		q.remove = append(q.remove, o.file)
		q.signal()
	}
}

// release lets go of what the disk has of a batch.
func (q *diskQueue) release(b *batch) {
	q.releaseOriginal(b)
	if b.unstored {
		b.unstored = false
		q.unstoredBytes -= b.size
	}
	if b.file != nil {
		q.remove = append(q.remove, *b.file)
		q.signal()
	}
}

// drain leaves on the disk what is there.
func (q *diskQueue) drain() []*batch {
	return slices.DeleteFunc(q.memoryQueue.drain(), func(b *batch) bool { return b.file != nil })
}

// stored notes that a batch is on the disk.
func (q *diskQueue) stored(b *batch, e disk.Entry) {
	q.releaseOriginal(b)
	b.file = &e
	if !b.unstored { // it was sent, or dropped, meanwhile
		q.remove = append(q.remove, e)
		return
	}
	b.unstored = false
	q.unstoredBytes -= b.size
	q.bytes += e.Size - b.size
	b.size = e.Size
	if _, ok := q.out[b]; !ok {
		b.unload()
	}
}

// takeOver queues what another process has left.
func (q *diskQueue) takeOver(b *batch) {
	q.bytes += b.size
	q.fresh = append(q.fresh, b)
}

// unload lets go of what can be read from the disk.
func (b *batch) unload() {
	if b.file != nil {
		b.spans, b.body = nil, nil
	}
}

// diskWriter does what a line has to do with its disk.
type diskWriter struct {
	line     *Line
	queue    *diskQueue
	dir      string
	identity disk.Identity
	sync     bool
	interval time.Duration

	store     *disk.Store
	failing   atomic.Bool // the last attempt to write has failed
	looked    time.Time
	trouble   time.Time // the last attempt that failed
	undeleted []disk.Entry
}

const (
	takeOverEvery = time.Minute
	retryEvery    = time.Second // after the disk has failed
	// Batches of a group are encoded and written together.
	groupBytes = 8 << 20
)

func newDiskWriter(l *Line, q *diskQueue, s Settings) *diskWriter {
	c := l.config.Queue
	interval, _ := c.Fsync.interval() // it is valid
	return &diskWriter{
		line: l, queue: q, dir: c.Dir, sync: c.Fsync != FsyncNever, interval: interval,
		identity: disk.Identity{Name: s.Name, Type: s.Type, Endpoint: l.traits.Endpoint},
	}
}

// run stores batches until stop is closed, and those that are left then.
func (w *diskWriter) run(stop <-chan struct{}) {
	w.open()
	w.line.begin()
	timer := time.NewTimer(takeOverEvery)
	defer timer.Stop()
	for {
		select {
		case <-w.queue.wake:
		case <-timer.C:
		case <-stop:
			w.write(0)
			w.clean()
			if w.store != nil {
				_ = w.store.Close() // the end of the process does it, too
			}
			return
		}
		if w.store == nil && time.Since(w.trouble) >= retryEvery {
			w.open()
		}
		wait := w.write(w.interval)
		w.clean()
		w.takeOver()
		timer.Reset(wait)
	}
}

func (w *diskWriter) open() {
	store, entries, err := disk.Open(disk.OS{}, w.dir, w.identity)
	if err != nil {
		w.failed(err)
		return
	}
	w.store, w.looked = store, time.Now()
	w.line.takeOver(entries)
}

// failed logs once, until the disk works again.
func (w *diskWriter) failed(err error) {
	w.trouble = time.Now()
	if !w.failing.Swap(true) {
		w.line.reporter.logger.Warn("the disk queue cannot store: batches wait in memory until it can", "error", err)
	}
}

func (w *diskWriter) takeOver() {
	if w.store == nil || time.Since(w.looked) < takeOverEvery {
		return
	}
	w.looked = time.Now()
	entries, err := w.store.TakeOver()
	w.line.takeOver(entries)
	if err != nil {
		w.line.reporter.warn("the disk queue cannot take over what another process has left", "error", err)
	}
}

// write stores batches that have waited for as long as interval. It returns
// how long the next can wait.
func (w *diskWriter) write(interval time.Duration) time.Duration {
	for {
		group, wait := w.group(interval)
		if len(group) == 0 {
			return wait
		}
		entries, err := w.store.Write(w.encode(group), w.sync)
		w.line.stored(group[:len(entries)], entries)
		if err != nil {
			w.requeue(group[len(entries):])
			w.failed(err)
			if interval == 0 && w.interval > 0 { // the last attempt
				return retryEvery
			}
			return max(retryEvery, w.interval)
		}
		if w.failing.Swap(false) {
			w.line.reporter.logger.Info("the disk queue stores again")
		}
	}
}

// group returns batches that are due.
func (w *diskWriter) group(interval time.Duration) (group []*batch, wait time.Duration) {
	l, q := w.line, w.queue
	l.mu.Lock()
	defer l.mu.Unlock()
	q.unstored = slices.DeleteFunc(q.unstored, func(b *batch) bool { return !b.unstored })
	if len(q.unstored) == 0 {
		return nil, takeOverEvery
	}
	if w.store == nil || w.failing.Load() && !l.closed {
		if wait = retryEvery - time.Since(w.trouble); wait > 0 || w.store == nil {
			return nil, max(wait, time.Millisecond)
		}
	}
	crowded := q.unstoredBytes > q.inMemory/4
	if wait = interval - time.Since(q.unstored[0].unstoredSince); wait > 0 && !crowded {
		return nil, wait
	}
	var size int64
	for i, b := range q.unstored {
		// Those that have come lately may still be sent before their time.
		if size += b.size; i > 0 && (size > groupBytes || !crowded && time.Since(b.unstoredSince) < interval/2) {
			break
		}
		group = append(group, b)
	}
	q.unstored = slices.Clone(q.unstored[len(group):])
	return group, 0
}

// requeue puts back what was not stored.
func (w *diskWriter) requeue(group []*batch) {
	w.line.mu.Lock()
	defer w.line.mu.Unlock()
	w.queue.unstored = slices.Concat(group, w.queue.unstored)
}

// encode makes what is stored: it is compressed in any case.
func (w *diskWriter) encode(group []*batch) []disk.Batch {
	files := make([]disk.Batch, len(group))
	for i, b := range group {
		body, compression := b.body, w.line.compression
		if w.line.requests == nil {
			body, compression = otlp.AppendRequest(nil, b.spans), None
		}
		if compression == None {
			body, compression = Zstd.Compress(body), Zstd
		}
		files[i] = disk.Batch{
			Meta:    disk.Meta{Spans: b.count, FirstEnd: b.firstEnd, Encoding: uint8(slices.Index(encodings, compression))},
			Payload: body,
		}
	}
	return files
}

// clean deletes files that nobody needs any more. What cannot be deleted is
// retried.
func (w *diskWriter) clean() {
	w.line.mu.Lock()
	remove := append(w.undeleted, w.queue.remove...)
	w.undeleted, w.queue.remove = nil, nil
	w.line.mu.Unlock()
	for _, e := range remove {
		if err := w.store.Remove(e); err != nil {
			w.undeleted = append(w.undeleted, e)
			w.line.reporter.warn("the disk queue cannot delete what was sent: it may be sent again after a restart", "error", err)
		}
	}
}

// encodings are by their numbers in files.
var encodings = []Compression{None, Gzip, Zstd, Snappy}

// Body returns the request in a file of a disk queue, not compressed.
func Body(b disk.Batch) ([]byte, error) {
	if int(b.Encoding) >= len(encodings) {
		return nil, fmt.Errorf("%w: unknown encoding %d", disk.ErrDamaged, b.Encoding)
	}
	body, err := encodings[b.Encoding].Decompress(b.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", disk.ErrDamaged, err)
	}
	return body, nil
}

// load gets a batch that was taken from the disk if it is there. It returns what
// is wrong with it.
func (l *Line) load(b *batch) error {
	if b.body != nil || b.spans != nil || b.file == nil {
		return nil
	}
	file, err := l.writer.store.Read(*b.file)
	if err != nil {
		return err
	}
	if l.requests != nil && int(file.Encoding) < len(encodings) && encodings[file.Encoding] == l.compression {
		b.body = file.Payload
		return nil
	}
	body, err := Body(file)
	if err != nil {
		return err
	}
	if l.requests != nil {
		b.body = l.compression.Compress(body)
		return nil
	}
	if b.spans, err = otlp.Decode(body); err != nil {
		return fmt.Errorf("%w: %w", disk.ErrDamaged, err)
	}
	return nil
}

// fetch loads a batch that is about to be sent. It reports false if it cannot be
// sent, for now or for good.
func (l *Line) fetch(b *batch) bool {
	if age := time.Duration(l.config.Queue.MaxAge); age > 0 && time.Since(b.firstEnd) > age {
		err := fmt.Errorf("the batch has spans of %s, older than max_age (%s)", b.firstEnd.UTC().Format(time.RFC3339), l.config.Queue.MaxAge)
		l.probed(b)
		l.dropUnsent(b, tooOld, err)
		l.reporter.warn("batch is older than max_age; it is dropped", "spans", b.count, "oldest", b.firstEnd)
		return false
	}
	err := l.load(b)
	switch {
	case err == nil:
		return true
	case errors.Is(err, disk.ErrDamaged):
		l.reporter.logger.Warn("file of the disk queue is damaged; its batch is lost", "spans", b.count, "error", err)
		l.probed(b)
		l.dropUnsent(b, damaged, err)
	default:
		l.reporter.warn("the disk queue cannot read a batch: it is tried again", "error", err)
		l.retryRead(b)
	}
	return false
}

// retryRead queues a batch again that could not be read.
func (l *Line) retryRead(b *batch) {
	l.probed(b)
	l.mu.Lock()
	defer l.mu.Unlock()
	b.due = time.Now().Add(retryEvery)
	l.queue.requeue(b)
	l.changed.Broadcast()
}

// probed takes a batch's turn back: it tells nothing about the backend.
func (l *Line) probed(b *batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.probe {
		l.breaker.probing = false
		l.changed.Broadcast()
	}
}

// dropUnsent drops a batch for a reason that is not the backend's.
func (l *Line) dropUnsent(b *batch, why cause, err error) {
	l.count(b.count, why)
	l.done(b, b.count, err)
}

// stored notes which batches are on the disk.
func (l *Line) stored(group []*batch, entries []disk.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.writer.queue
	for i, e := range entries {
		q.stored(group[i], e)
		l.counts.stored.Add(uint64(e.Spans))
	}
	l.queuedBytes.Store(q.size())
	l.full.Store(false)
}

// takeOver queues what other processes have left.
func (l *Line) takeOver(entries []disk.Entry) {
	if len(entries) > 0 {
		l.reporter.logger.Info("the disk queue has batches of an earlier process", "batches", len(entries))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		l.counts.takenOver.Add(uint64(e.Spans))
		l.counts.handedOver.Add(uint64(e.Spans))
		l.writer.queue.takeOver(&batch{count: e.Spans, size: e.Size, handedOverAt: e.FirstEnd, firstEnd: e.FirstEnd, file: &e, takenOver: true})
	}
	l.queuedBytes.Store(l.writer.queue.size())
	l.changed.Broadcast()
}

// begin lets the workers begin.
func (l *Line) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready = true
	l.changed.Broadcast()
}

// Interface guard.
var _ queue = (*diskQueue)(nil)
