package delivery

import (
	"maps"
	"slices"
	"time"
)

// queue holds the batches of a line from enqueue until done. Its line's lock
// guards it. What dequeue has handed out still needs its room, until it is done or
// is requeued.
type queue interface {
	// enqueue takes a batch in, unless it finds no room for it. For the sake of
	// reserve, which is needed elsewhere, and of the batch it may evict others.
	enqueue(b *batch, reserve int64) (evicted []*batch, ok bool)
	// dequeue hands out a batch that is due, by its order and there the oldest first. If
	// there is none, wait is when there will be, 0 for never.
	dequeue(now time.Time, o order) (b *batch, wait time.Duration)
	// hasNew reports whether a batch waits that was never tried.
	hasNew() bool
	// requeue takes back batches that were handed out, or pieces of such. They find
	// their room even if they have grown.
	requeue(batches ...*batch)
	// done forgets a batch that was handed out.
	done(b *batch)
	// makeDue makes every batch due.
	makeDue()
	// drain forgets what is left in memory.
	drain()
	// storedSpans is how many spans are on a disk, to stay there.
	storedSpans() int64
	// size is that of all batches, oldest when the first span of any was handed
	// over; the zero time if there is none.
	size() int64
	oldest() time.Time
}

// order is which batches are handed out.
type order int

const (
	newFirst order = iota
	failedFirst
	newOnly
)

// memoryQueue is a queue in memory.
type memoryQueue struct {
	limit    int64
	whenFull WhenFull

	bytes   int64
	fresh   []*batch            // were never tried, in the order they came
	failed  []*batch            // by when they are due
	sending map[*batch]struct{} // handed out
}

func newMemoryQueue(c QueueConfig) *memoryQueue {
	return &memoryQueue{limit: int64(c.maxBytes()), whenFull: c.WhenFull, sending: make(map[*batch]struct{})}
}

func (q *memoryQueue) enqueue(b *batch, reserve int64) (evicted []*batch, ok bool) {
	if b.size > q.limit {
		return nil, false
	}
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
	for j, b := range q.failed {
		if i < 0 || b.seq < q.failed[i].seq {
			i = j
		}
	}
	if i >= 0 && (len(q.fresh) == 0 || q.failed[i].seq < q.fresh[0].seq) {
		list = &q.failed
	} else {
		i = 0
	}
	if len(*list) == 0 {
		return nil
	}
	b := (*list)[i]
	remove(list, i)
	q.bytes -= b.size
	b.state = done
	return b
}

func (q *memoryQueue) hasNew() bool { return len(q.fresh) > 0 }

func (q *memoryQueue) dequeue(now time.Time, o order) (b *batch, wait time.Duration) {
	due := false
	if o != newOnly && len(q.failed) > 0 {
		wait = q.failed[0].due.Sub(now)
		due = wait <= 0
	}
	list := &q.fresh
	if due && (o == failedFirst || len(q.fresh) == 0) {
		list = &q.failed
	}
	if len(*list) == 0 {
		return nil, max(wait, 0)
	}
	b = (*list)[0]
	remove(list, 0)
	b.state = sending
	q.sending[b] = struct{}{}
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
	var fresh []*batch
	for _, b := range batches {
		if b.state == sending {
			delete(q.sending, b)
		} else { // a piece of one
			q.bytes += b.size
		}
		if b.due.IsZero() {
			b.state = queued
			fresh = append(fresh, b)
			continue
		}
		b.state = backingOff
		i, _ := slices.BinarySearchFunc(q.failed, b, func(o, b *batch) int {
			if o.due.After(b.due) {
				return 1
			}
			return -1
		})
		q.failed = slices.Insert(q.failed, i, b)
	}
	if len(fresh) > 0 {
		q.fresh = append(fresh, q.fresh...)
	}
}

func (q *memoryQueue) done(b *batch) {
	delete(q.sending, b)
	q.bytes -= b.size
	b.state = done
}

// makeDue puts those first that are the least suspect, since there may be no time for
// all of them.
func (q *memoryQueue) makeDue() {
	for _, b := range q.failed {
		b.due = time.Time{}
	}
	slices.SortStableFunc(q.failed, func(a, b *batch) int { return a.history.alone - b.history.alone })
}

func (q *memoryQueue) drain() {
	for _, b := range q.all() {
		b.state = done
	}
	q.failed, q.fresh, q.bytes = nil, nil, 0
}

func (*memoryQueue) storedSpans() int64 { return 0 }

// all are the batches, in no order.
func (q *memoryQueue) all() []*batch {
	return slices.Concat(q.failed, q.fresh, slices.Collect(maps.Keys(q.sending)))
}

func (q *memoryQueue) size() int64 { return q.bytes }

func (q *memoryQueue) oldest() time.Time {
	var oldest time.Time
	see := func(b *batch) {
		if oldest.IsZero() || b.handedOverAt.Before(oldest) {
			oldest = b.handedOverAt
		}
	}
	if len(q.fresh) > 0 { // the others came later
		see(q.fresh[0])
	}
	for _, b := range q.failed {
		see(b)
	}
	for b := range q.sending {
		see(b)
	}
	return oldest
}

// Interface guard.
var _ queue = (*memoryQueue)(nil)
