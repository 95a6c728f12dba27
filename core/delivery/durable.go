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
// a goroutine of its own, run by [Line.keep], and never with the line's lock
// held.
type diskQueue struct {
	*memoryQueue
	inMemory int64         // bound of unsavedBytes
	wake     chan struct{} // of capacity 1

	unsaved      []*batch // are in memory only, in the order they came
	unsavedBytes int64
	remove       []disk.Entry // are sent, or dropped
}

func newDiskQueue(c Queue) *diskQueue {
	return &diskQueue{memoryQueue: newMemoryQueue(c), inMemory: c.inMemory(), wake: make(chan struct{}, 1)}
}

func (q *diskQueue) put(b *batch, reserve int64) (evicted []*batch, ok bool) {
	if q.unsavedBytes+b.size > q.inMemory {
		return nil, false // the disk is full, or does not keep up
	}
	evicted, ok = q.memoryQueue.put(b, reserve)
	for _, old := range evicted {
		q.drop(old)
	}
	if ok {
		q.save(b)
	}
	return evicted, ok
}

// save wants a batch on the disk.
func (q *diskQueue) save(b *batch) {
	b.unsaved, b.came = true, time.Now()
	q.unsaved = append(q.unsaved, b)
	q.unsavedBytes += b.size
	q.signal()
}

func (q *diskQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *diskQueue) again(batches ...*batch) {
	for _, b := range batches {
		if _, ok := q.out[b]; !ok { // a part of one
			q.save(b)
		}
	}
	q.memoryQueue.again(batches...)
	for _, b := range batches {
		b.unload()
	}
}

func (q *diskQueue) done(b *batch) {
	q.memoryQueue.done(b)
	q.drop(b)
}

// whole is a stored batch whose parts took its place. Its file stays until they
// are stored, sent or dropped.
type whole struct {
	file  disk.Entry
	parts int
}

// divide makes batches parts of another.
func (b *batch) divide(parts []*batch) {
	if len(parts) == 0 { // it ends as a whole
		return
	}
	w := b.whole
	if b.file != nil {
		w, b.file = &whole{file: *b.file}, nil
	}
	if w == nil {
		return
	}
	w.parts += len(parts)
	for _, part := range parts {
		part.whole = w
	}
}

// release lets go of what a batch is a part of.
func (q *diskQueue) release(b *batch) {
	w := b.whole
	if w == nil {
		return
	}
	b.whole = nil
	if w.parts--; w.parts == 0 {
		q.remove = append(q.remove, w.file)
		q.signal()
	}
}

// drop forgets what is kept of a batch.
func (q *diskQueue) drop(b *batch) {
	q.release(b)
	if b.unsaved {
		b.unsaved = false
		q.unsavedBytes -= b.size
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

// saved notes that a batch is on the disk.
func (q *diskQueue) saved(b *batch, e disk.Entry) {
	q.release(b)
	b.file = &e
	if !b.unsaved { // it was sent, or dropped, meanwhile
		q.remove = append(q.remove, e)
		return
	}
	b.unsaved = false
	q.unsavedBytes -= b.size
	q.bytes += e.Size - b.size
	b.size = e.Size
	if _, ok := q.out[b]; !ok {
		b.unload()
	}
}

// restore takes in what another process has left.
func (q *diskQueue) restore(b *batch) {
	q.bytes += b.size
	q.fresh = append(q.fresh, b)
}

// unload lets go of what can be read from the disk.
func (b *batch) unload() {
	if b.file != nil {
		b.spans, b.body = nil, nil
	}
}

// keeper does what a line has to do with its disk.
type keeper struct {
	line     *Line
	queue    *diskQueue
	dir      string
	identity disk.Identity
	sync     bool
	interval time.Duration

	store   *disk.Store
	failing atomic.Bool // the last attempt to write has failed
	looked  time.Time
	trouble time.Time // the last attempt that failed
	refused []disk.Entry
}

const (
	adoptEvery = time.Minute
	retryEvery = time.Second // after the disk has failed
	// Batches of a group are encoded and written together.
	groupBytes = 8 << 20
)

func newKeeper(l *Line, q *diskQueue, s Settings) *keeper {
	c := l.config.Queue
	interval, _ := c.Fsync.interval() // it is valid
	return &keeper{
		line: l, queue: q, dir: c.Dir, sync: c.Fsync != Never, interval: interval,
		identity: disk.Identity{Name: s.Name, Type: s.Type, Endpoint: l.traits.Endpoint},
	}
}

// run keeps batches until stop is closed, and those that are left then.
func (k *keeper) run(stop <-chan struct{}) {
	k.open()
	k.line.begin()
	timer := time.NewTimer(adoptEvery)
	defer timer.Stop()
	for {
		select {
		case <-k.queue.wake:
		case <-timer.C:
		case <-stop:
			k.write(0)
			k.clean()
			if k.store != nil {
				_ = k.store.Close() // the end of the process does it, too
			}
			return
		}
		if k.store == nil && time.Since(k.trouble) >= retryEvery {
			k.open()
		}
		wait := k.write(k.interval)
		k.clean()
		k.adopt()
		timer.Reset(wait)
	}
}

func (k *keeper) open() {
	store, entries, err := disk.Open(disk.OS{}, k.dir, k.identity)
	if err != nil {
		k.failed(err)
		return
	}
	k.store, k.looked = store, time.Now()
	k.line.restore(entries)
}

// failed speaks once, until the disk works again.
func (k *keeper) failed(err error) {
	k.trouble = time.Now()
	if !k.failing.Swap(true) {
		k.line.report.logger.Warn("the disk queue cannot store: batches wait in memory until it can", "error", err)
	}
}

func (k *keeper) adopt() {
	if k.store == nil || time.Since(k.looked) < adoptEvery {
		return
	}
	k.looked = time.Now()
	entries, err := k.store.Adopt()
	k.line.restore(entries)
	if err != nil {
		k.line.report.warn("the disk queue cannot take over what another process has left", "error", err)
	}
}

// write stores batches that have waited for as long as interval. It returns
// how long the next can wait.
func (k *keeper) write(interval time.Duration) time.Duration {
	for {
		group, wait := k.group(interval)
		if len(group) == 0 {
			return wait
		}
		entries, err := k.store.Write(k.encode(group), k.sync)
		k.line.stored(group[:len(entries)], entries)
		if err != nil {
			k.queueAgain(group[len(entries):])
			k.failed(err)
			if interval == 0 && k.interval > 0 { // the last attempt
				return retryEvery
			}
			return max(retryEvery, k.interval)
		}
		if k.failing.Swap(false) {
			k.line.report.logger.Info("the disk queue stores again")
		}
	}
}

// group takes batches that are due.
func (k *keeper) group(interval time.Duration) (group []*batch, wait time.Duration) {
	l, q := k.line, k.queue
	l.mu.Lock()
	defer l.mu.Unlock()
	q.unsaved = slices.DeleteFunc(q.unsaved, func(b *batch) bool { return !b.unsaved })
	if len(q.unsaved) == 0 {
		return nil, adoptEvery
	}
	if k.store == nil || k.failing.Load() && !l.closed {
		if wait = retryEvery - time.Since(k.trouble); wait > 0 || k.store == nil {
			return nil, max(wait, time.Millisecond)
		}
	}
	hurry := q.unsavedBytes > q.inMemory/4
	if wait = interval - time.Since(q.unsaved[0].came); wait > 0 && !hurry {
		return nil, wait
	}
	var size int64
	for i, b := range q.unsaved {
		// Those that have come lately may still be sent before their time.
		if size += b.size; i > 0 && (size > groupBytes || !hurry && time.Since(b.came) < interval/2) {
			break
		}
		group = append(group, b)
	}
	q.unsaved = slices.Clone(q.unsaved[len(group):])
	return group, 0
}

// queueAgain puts back what was not stored.
func (k *keeper) queueAgain(group []*batch) {
	k.line.mu.Lock()
	defer k.line.mu.Unlock()
	k.queue.unsaved = slices.Concat(group, k.queue.unsaved)
}

// encode makes what is stored: it is compressed in any case.
func (k *keeper) encode(group []*batch) []disk.Batch {
	files := make([]disk.Batch, len(group))
	for i, b := range group {
		body, compression := b.body, k.line.compression
		if k.line.requests == nil {
			body, compression = otlp.AppendRequest(nil, b.spans), None
		}
		if compression == None {
			body, compression = Zstd.Compress(body), Zstd
		}
		files[i] = disk.Batch{
			Meta:    disk.Meta{Spans: b.count, Oldest: b.oldest, Encoding: uint8(slices.Index(encodings, compression))},
			Payload: body,
		}
	}
	return files
}

// clean deletes files that nobody needs any more. What cannot be deleted is
// tried again.
func (k *keeper) clean() {
	k.line.mu.Lock()
	remove := append(k.refused, k.queue.remove...)
	k.refused, k.queue.remove = nil, nil
	k.line.mu.Unlock()
	for _, e := range remove {
		if err := k.store.Remove(e); err != nil {
			k.refused = append(k.refused, e)
			k.line.report.warn("the disk queue cannot delete what was sent: it may be sent again after a restart", "error", err)
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
	file, err := l.keeper.store.Read(*b.file)
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
	if age := time.Duration(l.config.Queue.MaxAge); age > 0 && time.Since(b.oldest) > age {
		err := fmt.Errorf("the batch has spans of %s, older than max_age (%s)", b.oldest.UTC().Format(time.RFC3339), l.config.Queue.MaxAge)
		l.probed(b)
		l.discard(b, tooOld, err)
		l.report.warn("batch is older than max_age; it is dropped", "spans", b.count, "oldest", b.oldest)
		return false
	}
	err := l.load(b)
	switch {
	case err == nil:
		return true
	case errors.Is(err, disk.ErrDamaged):
		l.report.logger.Warn("file of the disk queue is damaged; its batch is lost", "spans", b.count, "error", err)
		l.probed(b)
		l.discard(b, damaged, err)
	default:
		l.report.warn("the disk queue cannot read a batch: it is tried again", "error", err)
		l.postpone(b)
	}
	return false
}

// postpone takes back a batch that could not be read.
func (l *Line) postpone(b *batch) {
	l.probed(b)
	l.mu.Lock()
	defer l.mu.Unlock()
	b.due = time.Now().Add(retryEvery)
	l.queue.again(b)
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

// discard drops a batch for a reason that is not the backend's.
func (l *Line) discard(b *batch, why cause, err error) {
	l.count(b.count, why)
	l.done(b, b.count, err)
}

// stored notes which batches are on the disk.
func (l *Line) stored(group []*batch, entries []disk.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.keeper.queue
	for i, e := range entries {
		q.saved(group[i], e)
		l.counts.stored.Add(uint64(e.Spans))
	}
	l.taken.Store(q.size())
	l.full.Store(false)
}

// restore takes in what other processes have left.
func (l *Line) restore(entries []disk.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		l.counts.recovered.Add(uint64(e.Spans))
		l.counts.handed.Add(uint64(e.Spans))
		l.keeper.queue.restore(&batch{count: e.Spans, size: e.Size, born: e.Oldest, oldest: e.Oldest, file: &e, restored: true})
	}
	if len(entries) > 0 {
		l.report.logger.Info("the disk queue has batches of an earlier process", "batches", len(entries))
	}
	l.taken.Store(l.keeper.queue.size())
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
