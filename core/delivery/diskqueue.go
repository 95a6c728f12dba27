package delivery

import (
	"time"

	"github.com/riffletrace/riffle/core/delivery/disk"
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
		if b.state != sending { // a piece of one
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

// storedSpans counts what has a file. Of a batch whose pieces took its place, the file has
// them until they are stored themselves.
func (q *diskQueue) storedSpans() (n int64) {
	for _, b := range q.all() {
		if b.file != nil || b.original != nil {
			n += int64(b.count)
		}
	}
	return n
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
	if b.state != sending {
		b.unload()
	}
}

// takeOver queues what another process has left.
func (q *diskQueue) takeOver(b *batch) {
	q.bytes += b.size
	q.fresh = append(q.fresh, b)
}

// Interface guard.
var _ queue = (*diskQueue)(nil)
