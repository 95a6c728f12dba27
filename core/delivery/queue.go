package delivery

import (
	"slices"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery/disk"
)

// batch is what one attempt sends.
type batch struct {
	spans        []sdktrace.ReadOnlySpan // for an exporter that takes spans
	body         []byte                  // for one that takes requests
	count        int                     // of spans
	size         int64                   // what it takes of the queue
	handedOverAt time.Time               // when its first span was handed over
	seq          uint64                  // batches that were queued earlier have a lower one
	firstEnd     time.Time               // when the first of its spans ended
	extent       extent

	// Of a disk queue, guarded by the line's lock.
	unstored      bool        // is to be stored
	unstoredSince time.Time   // when that began
	file          *disk.Entry // where it is stored; nil: it is not
	takenOver     bool        // another process has stored it
	original      *original   // it is a piece of that; nil once it is stored itself

	firstAttempt time.Time // the first attempt
	failures     int       // attempts that failed
	due          time.Time // not to be tried before
	probe        bool      // is being tried while nothing else is

	// Those since whose predecessor other batches were accepted: what is wrong may
	// be the batch.
	suspectFailures int
	accepted        uint64 // batches that the line had sent at the last failure
}

// queue holds the batches of a line from enqueue until done. Its line's lock
// guards it. What dequeue has handed out still needs its room, until it is done or
// is requeued.
type queue interface {
	// enqueue takes a batch in, unless it finds no room for it. For the sake of
	// reserve, which is needed elsewhere, and of the batch it may evict others.
	enqueue(b *batch, reserve int64) (evicted []*batch, ok bool)
	// dequeue hands out a batch that is due, the oldest first. If there is none,
	// wait is when there will be, 0 for never.
	dequeue(now time.Time) (b *batch, wait time.Duration)
	// requeue takes back batches that were handed out. They find their room even
	// if they have grown.
	requeue(batches ...*batch)
	// done forgets a batch that was handed out.
	done(b *batch)
	// makeDue makes every batch due.
	makeDue()
	// drain hands out everything that is left.
	drain() []*batch
	// size is that of all batches, oldest when the first span of any was handed
	// over; the zero time if there is none.
	size() int64
	oldest() time.Time
}

// memoryQueue is a queue in memory.
type memoryQueue struct {
	limit    int64
	whenFull WhenFull

	bytes   int64
	fresh   []*batch            // never tried, in the order they came
	retries []*batch            // by when they are due
	out     map[*batch]struct{} // handed out
}

func newMemoryQueue(c QueueConfig) *memoryQueue {
	return &memoryQueue{limit: int64(c.maxBytes()), whenFull: c.WhenFull, out: make(map[*batch]struct{})}
}

func (q *memoryQueue) enqueue(b *batch, reserve int64) (evicted []*batch, ok bool) {
	if q.whenFull == DropOldest {
		for q.bytes+b.size+reserve > q.limit {
			old := q.evict()
			if old == nil {
				break
			}
			evicted = append(evicted, old)
		}
	}
	if q.bytes+b.size > q.limit {
		return evicted, false
	}
	q.bytes += b.size
	q.fresh = append(q.fresh, b)
	return evicted, true
}

// evict drops the oldest batch that nobody is trying.
func (q *memoryQueue) evict() *batch {
	list := &q.fresh
	i := -1
	for j, b := range q.retries {
		if i < 0 || b.seq < q.retries[i].seq {
			i = j
		}
	}
	if i >= 0 && (len(q.fresh) == 0 || q.retries[i].seq < q.fresh[0].seq) {
		list = &q.retries
	} else {
		i = 0
	}
	if len(*list) == 0 {
		return nil
	}
	b := (*list)[i]
	remove(list, i)
	q.bytes -= b.size
	return b
}

func (q *memoryQueue) dequeue(now time.Time) (b *batch, wait time.Duration) {
	list := &q.fresh
	if len(q.retries) > 0 {
		if wait = q.retries[0].due.Sub(now); wait <= 0 {
			list = &q.retries
		}
	}
	if len(*list) == 0 {
		return nil, wait
	}
	b = (*list)[0]
	remove(list, 0)
	q.out[b] = struct{}{}
	return b, 0
}

// remove deletes without moving what lies behind, in the usual case.
func remove(list *[]*batch, i int) {
	if i > 0 {
		*list = slices.Delete(*list, i, i+1)
		return
	}
	(*list)[0] = nil
	*list = (*list)[1:]
}

func (q *memoryQueue) requeue(batches ...*batch) {
	for _, b := range batches {
		if _, ok := q.out[b]; ok {
			delete(q.out, b)
		} else { // a piece of one
			q.bytes += b.size
		}
		i, _ := slices.BinarySearchFunc(q.retries, b, func(o, b *batch) int {
			if o.due.After(b.due) {
				return 1
			}
			return -1
		})
		q.retries = slices.Insert(q.retries, i, b)
	}
}

func (q *memoryQueue) done(b *batch) {
	delete(q.out, b)
	q.bytes -= b.size
}

func (q *memoryQueue) makeDue() {
	for _, b := range q.retries {
		b.due = time.Time{}
	}
}

func (q *memoryQueue) drain() []*batch {
	all := slices.Concat(q.retries, q.fresh)
	for _, b := range all {
		q.bytes -= b.size
	}
	q.retries, q.fresh = nil, nil
	return all
}

func (q *memoryQueue) size() int64 { return q.bytes }

func (q *memoryQueue) oldest() time.Time {
	var oldest time.Time
	see := func(b *batch) {
		if oldest.IsZero() || b.handedOverAt.Before(oldest) {
			oldest = b.handedOverAt
		}
	}
	if len(q.fresh) > 0 {
		see(q.fresh[0])
	}
	for _, b := range q.retries {
		see(b)
	}
	for b := range q.out {
		see(b)
	}
	return oldest
}

// Interface guard.
var _ queue = (*memoryQueue)(nil)
