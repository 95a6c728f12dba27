package delivery

import (
	"context"
	"math"
	"slices"
	"time"
)

// waiter waits until batches are done: those there when it is made, and those
// that are put before it knows its seq. Its line's lock guards it.
type waiter struct {
	seq      uint64    // of the last batch, once it is known
	pending  int       // batches that are not done
	patient  bool      // attempts that fail do not end it
	deadline time.Time // what is not due before does not matter; zero is never
	lost     int       // spans
	failure  error
	done     chan struct{} // closed when there is nothing to wait for
}

const unknownSeq = math.MaxUint64

func newWaiter(ctx context.Context, pending int) *waiter {
	w := &waiter{seq: unknownSeq, pending: pending, done: make(chan struct{})}
	w.deadline, w.patient = ctx.Deadline()
	return w
}

func (w *waiter) end() {
	select {
	case <-w.done:
	default:
		close(w.done)
	}
}

// waits reports whether a batch is one that it waits for.
func (w *waiter) waits(b *batch) bool { return b.seq <= w.seq && !b.takenOver }

// waiters are those of a line.
type waiters []*waiter

// expect makes them wait for a batch too.
func (ws waiters) expect(b *batch) {
	for _, w := range ws {
		if w.waits(b) {
			w.pending++
		}
	}
}

// failed tells them that a batch failed for now, when the backend wants the next
// attempt, and whether that ends a wait that is not patient.
func (ws waiters) failed(b *batch, err error, next time.Time, ends bool) {
	for _, w := range ws {
		if !w.waits(b) {
			continue
		}
		w.failure = err
		if ends && (!w.patient || next.After(w.deadline)) {
			w.end()
		}
	}
}

// lost tells them that spans of a batch are lost.
func (ws waiters) lost(b *batch, n int, why error) {
	for _, w := range ws {
		if w.waits(b) {
			w.lost += n
			w.failure = why
		}
	}
}

// forget tells them that a batch is gone.
func (ws waiters) forget(b *batch) {
	for _, w := range ws {
		if w.waits(b) {
			if w.pending--; w.pending == 0 && w.seq != unknownSeq {
				w.end()
			}
		}
	}
}

// end ends all of them.
func (ws waiters) end() {
	for _, w := range ws {
		w.end()
	}
}

func (ws waiters) without(w *waiter) waiters {
	return slices.DeleteFunc(slices.Clone(ws), func(o *waiter) bool { return o == w })
}
