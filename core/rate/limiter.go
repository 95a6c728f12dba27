package rate

import (
	"sync"
	"time"
)

// Limiter gives probabilities with which at most so many of the arrivals a
// second are selected. It is safe for concurrent use.
//
// It keeps a budget in expectation: perSecond flows in every second, up to what
// flows in during two windows, and an arrival that is selected with probability p
// takes p out, whether or not it is then selected. The budget is shared out among
// the arrivals that a window is expected to bring:
//
//	p = min(1, budget/demand)   demand = window * rate of the arrivals before
//
// An arrival takes out no more than was there, so in any time t, however
// the arrivals fall, the expected number selected is at most
//
//	perSecond * (t + 2 windows)
//
// which is what bounds the first second of a storm, when the estimate of the rate
// is still wrong. With a steady rate the budget settles where as much flows out
// as in: rate * p = perSecond, whatever the estimate. It is a token bucket whose
// tokens pay for probabilities instead of traces; an arrival takes out half
// of it at most, so that p is never 0 and no trace is without a weight.
type Limiter struct {
	perSecond float64
	window    float64 // seconds
	capacity  float64

	mu     sync.Mutex
	demand Counter
	budget float64
	last   time.Time
}

// NewLimiter returns a limiter to perSecond, above 0, with a full budget. Where
// less than one arrival flows in during a window, the budget still holds two.
func NewLimiter(perSecond float64, window time.Duration) *Limiter {
	full := capacity(perSecond, window)
	return &Limiter{
		perSecond: perSecond,
		window:    window.Seconds(),
		capacity:  full,
		demand:    NewCounter(window),
		budget:    full,
	}
}

// capacity is the largest budget.
func capacity(perSecond float64, window time.Duration) float64 {
	return 2 * max(1, perSecond*window.Seconds())
}

// Probability counts an arrival at now, which would be selected with
// probability p if there were no limit, and returns the probability for it: p
// or less, never 0 unless p is. The arrival stands for as many as weight says, 1 or
// more: those like it of which most did not come this far.
func (l *Limiter) Probability(now time.Time, p, weight float64) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() {
		l.budget = min(l.capacity, l.budget+l.perSecond*max(0, now.Sub(l.last).Seconds()))
	}
	if l.last.Before(now) {
		l.last = now
	}
	n := p * weight
	demand := max(2*n, l.window*l.demand.PerSecond(now))
	l.demand.Add(now, n)
	if l.budget < demand {
		p *= l.budget / demand
	}
	l.budget -= p * weight
	return p
}
