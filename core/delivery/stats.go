package delivery

import (
	"sync/atomic"
	"time"
)

// Stats counts what a line did with spans. Counters only grow. Each span that
// was handed over is in exactly one of Filtered, Sent, Rejected, the counters of
// Dropped, and Waiting.
type Stats struct {
	// HandedOver counts spans handed over, Sent those the backend accepted, and
	// Lost those that are lost: Rejected and all of Dropped.
	HandedOver, Sent, Lost uint64
	// TakenOver counts those of HandedOver that another process has left on the disk,
	// and Stored those that were written there, to stay until they are sent or
	// dropped. Filtered counts spans that the filter has kept from the exporter.
	TakenOver, Stored, Filtered uint64
	// Rejected counts spans that the backend rejected out of batches it took.
	Rejected uint64
	// Dropped counts lost spans by cause.
	Dropped Dropped

	// Attempts counts attempts to send a batch, Retried those that failed so
	// that the batch stays queued, and Split batches that went on in pieces.
	Attempts, Retried, Split uint64

	// Waiting counts spans that are queued or under way, and Sending those under
	// way; Bytes is what they take of the queue, and Oldest how long the first of
	// them waits. BatchBytes is what those hold that are in no batch yet, which lines
	// with the same filter and redaction share.
	Waiting, Sending uint64
	Bytes            int64
	BatchBytes       int64
	Oldest           time.Duration
	// Failing tells that no batch is accepted, since one was not.
	Failing bool
}

// Add adds what another line counts.
func (s *Stats) Add(o Stats) {
	s.HandedOver += o.HandedOver
	s.Sent += o.Sent
	s.Lost += o.Lost
	s.TakenOver += o.TakenOver
	s.Stored += o.Stored
	s.Filtered += o.Filtered
	s.Rejected += o.Rejected
	s.Dropped.add(o.Dropped)
	s.Attempts += o.Attempts
	s.Retried += o.Retried
	s.Split += o.Split
	s.Waiting += o.Waiting
	s.Sending += o.Sending
	s.Bytes += o.Bytes
	s.BatchBytes += o.BatchBytes
	s.Oldest = max(s.Oldest, o.Oldest)
	s.Failing = s.Failing || o.Failing
}

// Ended returns the counts of a line that has ended, for a sum with others. What waits on the disk belongs to
// who takes it over.
func (s Stats) Ended() Stats {
	s.HandedOver -= s.Waiting
	s.Waiting, s.Sending, s.Bytes, s.BatchBytes, s.Oldest, s.Failing = 0, 0, 0, 0, 0, false
	return s
}

// Dropped counts lost spans by cause.
type Dropped struct {
	// QueueFull is for want of room, TooLarge a span that the backend finds too
	// large by itself, Refused a batch the backend, or the exporter, wants in no
	// case, Poisoned a batch that failed again and again while others were
	// accepted, Expired one that failed for longer than max_elapsed, and
	// LeftBehind what a shutdown had no time for. TooOld is a batch past the
	// queue's max_age, and Damaged one whose file is. TooLarge, TooOld and TooNew
	// are also spans past the [Limits] of the exporter.
	QueueFull, TooLarge, Refused, Poisoned, Expired, LeftBehind, TooOld, Damaged, TooNew uint64
}

func (d *Dropped) add(o Dropped) {
	d.QueueFull += o.QueueFull
	d.TooLarge += o.TooLarge
	d.Refused += o.Refused
	d.Poisoned += o.Poisoned
	d.Expired += o.Expired
	d.LeftBehind += o.LeftBehind
	d.TooOld += o.TooOld
	d.Damaged += o.Damaged
	d.TooNew += o.TooNew
}

// Total is the sum.
func (d Dropped) Total() uint64 {
	return d.QueueFull + d.TooLarge + d.Refused + d.Poisoned + d.Expired + d.LeftBehind + d.TooOld + d.Damaged + d.TooNew
}

// Causes are those of losses, as metrics call them.
func Causes() []string {
	all := make([]string, causes)
	for c := range causes {
		all[c] = c.String()
	}
	return all
}

// ByCause has the counts by the names of the causes, those that are not 0.
func (d Dropped) ByCause() map[string]uint64 {
	counts := [causes]uint64{d.QueueFull, d.TooLarge, d.Refused, d.Poisoned, d.Expired, d.LeftBehind, d.TooOld, d.Damaged, d.TooNew}
	all := map[string]uint64{}
	for c, n := range counts {
		if n > 0 {
			all[cause(c).String()] = n
		}
	}
	return all
}

// cause is why spans were dropped, as metrics say it.
type cause int

const (
	queueFull cause = iota
	tooLarge
	refused
	poisoned
	expired
	leftBehind
	tooOld
	damaged
	tooNew
	causes // how many
)

func (c cause) String() string {
	return [causes]string{"queue_full", "too_large", "refused", "poisoned", "expired", "left_behind", "too_old", "damaged", "too_new"}[c]
}

type counts struct {
	handedOver, sent, rejected atomic.Uint64
	attempts, retried, split   atomic.Uint64
	takenOver, stored          atomic.Uint64
	filtered                   atomic.Uint64
	dropped                    [causes]atomic.Uint64
	sending                    atomic.Int64
}

func (c *counts) lost() uint64 {
	n := c.rejected.Load()
	for i := range c.dropped {
		n += c.dropped[i].Load()
	}
	return n
}

func (c *counts) waiting() uint64 {
	done := c.sent.Load() + c.filtered.Load() + c.lost()
	return c.handedOver.Load() - done // handedOver last: it is never less
}

// Stats returns a snapshot.
func (l *Line) Stats() Stats {
	c := &l.counts
	s := Stats{
		Sent:     c.sent.Load(),
		Rejected: c.rejected.Load(),
		Dropped: Dropped{
			QueueFull:  c.dropped[queueFull].Load(),
			TooLarge:   c.dropped[tooLarge].Load(),
			Refused:    c.dropped[refused].Load(),
			Poisoned:   c.dropped[poisoned].Load(),
			Expired:    c.dropped[expired].Load(),
			LeftBehind: c.dropped[leftBehind].Load(),
			TooOld:     c.dropped[tooOld].Load(),
			Damaged:    c.dropped[damaged].Load(),
			TooNew:     c.dropped[tooNew].Load(),
		},
		Attempts: c.attempts.Load(),
		Retried:  c.retried.Load(),
		Split:    c.split.Load(),

		TakenOver: c.takenOver.Load(),
		Stored:    c.stored.Load(),
		Filtered:  c.filtered.Load(),

		Sending: uint64(max(c.sending.Load(), 0)),
		Failing: l.reporter.failing(),
	}
	s.Lost = s.Rejected + s.Dropped.Total()
	s.HandedOver = c.handedOver.Load() // last: it is never less than the others
	s.Waiting = s.HandedOver - s.Sent - s.Lost - s.Filtered

	var oldest time.Time
	var ok bool
	for _, b := range *l.batchers.Load() {
		s.BatchBytes += b.held()
		if at, some := b.oldest(); some && (!ok || at.Before(oldest)) {
			oldest, ok = at, true
		}
	}
	l.mu.Lock()
	s.Bytes = l.queue.size()
	if queued := l.queue.oldest(); !queued.IsZero() && (!ok || queued.Before(oldest)) {
		oldest, ok = queued, true
	}
	l.mu.Unlock()
	if ok {
		s.Oldest = time.Since(oldest)
	}
	return s
}
