package rate

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// targetStart is how many seconds' worth of tokens a target has at its start, and
	// targetFirst how many it has at least: the first few arrivals are kept.
	targetStart, targetFirst = 1, 5
	// targetShare is over how many seconds a target shares out its tokens.
	targetShare = 0.25
	// targetDebt is how many seconds' worth may be missing: many may have taken a
	// probability that was about to fall.
	targetDebt = 1
	// recentWindow is of the counter that tells what comes now.
	recentWindow = time.Second
	// recentFloor is the least part of target/rate that an arrival gets without tokens,
	// where rate is that of the last two seconds: weights stay in proportion when many
	// arrive at one instant.
	recentFloor = 1.0 / 16
)

// Target gives the probability with which about so many of the arrivals a
// second are selected: min(1, target/rate), where rate is that of the arrivals
// before. It falls at once and rises by at most a factor of two a second, so that a
// pause between two bursts does not open it.
//
// The estimate of the rate starts low, and lags behind a burst. Until it is right, tokens
// bound the probability, as in a [Limiter]: perSecond flows in every second, an arrival
// that is selected with probability p takes out p, and gets no more than
//
//	tokens/demand   demand = max(2, 1/4 s * rate of the last two seconds)
//
// At the start there is one second's worth, or 5, and at most that of two windows. So in
// any time t about perSecond * (t + 2 windows) are selected, and perSecond * (t + 1 s) at
// the start.
//
// It is safe for concurrent use, and a call never waits for another: one that
// finds the other at work leaves its arrival to be counted and takes the
// probability that is there.
type Target struct {
	perSecond float64

	pending   atomic.Int64  // arrivals not yet in the counters
	published atomic.Uint64 // math.Float64bits of the probability, give or take a hundredth

	mu          sync.Mutex // arrivals only try it
	counter     Counter
	probability float64 // that the estimate gives
	recent      Counter
	tokens      float64   // below 0 when arrivals got more than there was
	store       float64   // the most tokens
	last        time.Time // the latest time seen
}

// NewTarget returns a target for arrivals per second, above 0, that forgets half
// of the past in a window.
func NewTarget(perSecond float64, window time.Duration) *Target {
	start := max(targetFirst, targetStart*perSecond)
	t := &Target{
		perSecond: perSecond, counter: NewCounter(window), probability: 1,
		recent: NewCounter(recentWindow), tokens: start, store: max(start, capacity(perSecond, window)),
	}
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
	was := math.Float64frombits(t.published.Load())
	if t.pending.Load() != 0 {
		t.take(now, float64(t.pending.Swap(0)), was)
	}
	passed := max(0, now.Sub(t.last).Seconds())
	if !t.last.IsZero() {
		t.tokens = min(t.store, t.tokens+t.perSecond*passed)
	}
	p := 1.0
	if rate := t.counter.PerSecond(now); rate > t.perSecond {
		p = t.perSecond / rate
	}
	if p > t.probability {
		p = min(p, t.probability*math.Exp2(passed))
	}
	t.probability = p
	if t.last.Before(now) {
		t.last = now
	}
	p = min(p, t.affordable(now))
	// What changes little is left as it is, so that other cores keep it in their
	// caches, and samplers meet few thresholds.
	if math.Abs(p-was) > was/100 || p == 1 && was != 1 {
		t.published.Store(math.Float64bits(p))
		was = p
	}
	t.take(now, 1, was)
}

// take counts arrivals that got a probability.
func (t *Target) take(now time.Time, arrivals, p float64) {
	t.counter.Add(now, arrivals)
	t.recent.Add(now, arrivals)
	t.tokens = max(t.tokens-arrivals*p, -targetDebt*t.perSecond)
}

// affordable is the probability for which there are tokens.
func (t *Target) affordable(now time.Time) float64 {
	rate := t.recent.PerSecond(now) + 1/(2*recentWindow.Seconds()) // with this one
	if demand := max(2, targetShare*rate); t.tokens < demand {
		return min(1, max(t.tokens/demand, recentFloor*t.perSecond/rate))
	}
	return 1
}
