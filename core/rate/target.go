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

	pending   atomic.Int64  // arrivals not yet in counter
	published atomic.Uint64 // math.Float64bits of probability, give or take a hundredth

	mu          sync.Mutex // arrivals only try it
	counter     Counter
	probability float64
	last        time.Time // the latest time seen
}

// NewTarget returns a target for arrivals per second, above 0, that forgets half
// of the past in a window.
func NewTarget(perSecond float64, window time.Duration) *Target {
	t := &Target{perSecond: perSecond, counter: NewCounter(window), probability: 1}
	t.published.Store(math.Float64bits(1))
	return t
}

// Probability counts an arrival at now and returns the probability for it.
func (t *Target) Probability(now time.Time) float64 {
	if t.mu.TryLock() {
		t.update(now)
		t.mu.Unlock()
	} else {
		t.pending.Add(1)
	}
	return math.Float64frombits(t.published.Load())
}

// Idle reports whether there was no arrival in the last two windows.
func (t *Target) Idle(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pending.Load() == 0 && t.counter.PerSecond(now) == 0
}

func (t *Target) update(now time.Time) {
	if t.pending.Load() != 0 {
		t.counter.Add(now, float64(t.pending.Swap(0)))
	}
	p := 1.0
	if rate := t.counter.PerSecond(now); rate > t.perSecond {
		p = t.perSecond / rate
	}
	if p > t.probability {
		p = min(p, t.probability*math.Exp2(max(0, now.Sub(t.last).Seconds())))
	}
	t.probability = p
	if t.last.Before(now) {
		t.last = now
	}
	// What changes little is left as it is, so that other cores keep it in their
	// caches, and samplers meet few thresholds.
	if was := math.Float64frombits(t.published.Load()); math.Abs(p-was) > was/100 || p == 1 && was != 1 {
		t.published.Store(math.Float64bits(p))
	}
	t.counter.Add(now, 1)
}
