package rate

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Target gives the probability with which about so many of the arrivals a
// second are selected: min(1, target/rate), where rate is that of the arrivals
// before. It falls at once and rises by at most a factor of two a second, so that a
// pause between two bursts does not open it.
//
// It is safe for concurrent use, and a call never waits for another: one that
// finds the other at work leaves its arrival to be counted and takes the
// probability that is there.
type Target struct {
	perSecond float64

	pending     atomic.Int64  // arrivals not yet in counter
	probability atomic.Uint64 // math.Float64bits

	mu      sync.Mutex // only ever tried
	counter Counter
	last    time.Time
}

// NewTarget returns a target for arrivals per second, above 0, that forgets half
// of the past in a window.
func NewTarget(perSecond float64, window time.Duration) *Target {
	t := &Target{perSecond: perSecond, counter: NewCounter(window)}
	t.probability.Store(math.Float64bits(1))
	return t
}

// Probability counts an arrival at now and returns the probability for it.
func (t *Target) Probability(now time.Time) float64 {
	t.pending.Add(1)
	if t.mu.TryLock() {
		t.update(now)
		t.mu.Unlock()
	}
	return math.Float64frombits(t.probability.Load())
}

func (t *Target) update(now time.Time) {
	before := math.Float64frombits(t.probability.Load())
	p := 1.0
	if rate := t.counter.PerSecond(now); rate > t.perSecond {
		p = t.perSecond / rate
	}
	if p > before {
		p = min(p, before*math.Exp2(max(0, now.Sub(t.last).Seconds())))
	}
	if p != before {
		t.probability.Store(math.Float64bits(p))
	}
	t.last = now
	t.counter.Add(now, float64(t.pending.Swap(0)))
}
