package rate

import "time"

// slots is how many parts the memory of a [Counter] is divided into.
const slots = 16

// Counter counts arrivals and forgets them: an arrival counts for two windows,
// so that half of what a steady rate has put into the counter is gone after
// one. The edge slides: the oldest of the slots counts for the part of it that
// is still inside.
//
// It forgets altogether where an exponential decay would not: an eighth of what
// was there is left after three half-lives, which for a rate that fell by a factor
// of 1,000 is 125 times the new one.
//
// It is not safe for concurrent use. The zero value is not ready; see
// [NewCounter].
type Counter struct {
	slot  time.Duration
	start time.Time
	head  int64 // the slot of the last arrival, counted from start
	sum   float64
	// counts holds the current slot, 15 whole ones and the one at the edge.
	counts [slots + 1]float64
}

// NewCounter returns a counter that forgets half in a window.
func NewCounter(window time.Duration) Counter {
	return Counter{slot: max(2*window/slots, 1)}
}

// Add counts n arrivals at now. A now before that of an earlier call counts as
// that.
func (c *Counter) Add(now time.Time, n float64) {
	c.advance(now)
	c.counts[c.head%int64(len(c.counts))] += n
	c.sum += n
}

// PerSecond is the rate over the last two windows. What is younger than its
// first arrival counts as without any, so that the estimate starts low.
func (c *Counter) PerSecond(now time.Time) float64 {
	into := c.advance(now)
	edge := c.counts[(c.head+1)%int64(len(c.counts))]
	inside := c.sum - edge*float64(into)/float64(c.slot)
	return inside / (slots * c.slot.Seconds())
}

// advance makes the slot of now the current one and returns how far into it
// now is.
func (c *Counter) advance(now time.Time) time.Duration {
	if c.start.IsZero() {
		c.start = now
	}
	since := now.Sub(c.start)
	head := int64(since / c.slot)
	if head < c.head {
		return 0
	}
	if head > c.head {
		for i := max(c.head+1, head-slots); i <= head; i++ {
			c.counts[i%int64(len(c.counts))] = 0
		}
		c.head = head
		c.sum = 0
		for _, n := range c.counts {
			c.sum += n
		}
	}
	return since % c.slot
}
