package rate

import (
	"sync"
	"time"
)

const (
	// budgetStore is how many seconds' worth a class of a budget can store.
	budgetStore = 1
	// budgetStart is how many seconds' worth there is at the start, in all classes.
	budgetStart = 0.2
	// budgetShare is over how many seconds a class shares out what it has.
	budgetShare = 0.25
	// budgetWindow is of the counters that estimate what comes.
	budgetWindow = time.Second
	// budgetFloor is the part of what flows in that is first given to the classes
	// after the first.
	budgetFloor = 0.05
	// minFactor is the least factor: a weight of 4 billion times that of a sampler. It
	// is for many arrivals at one instant.
	minFactor = 1.0 / (1 << 32)
)

// Budget gives factors by which probabilities are lowered so that at most perSecond
// (traces or spans) are kept per second in expectation, over classes in an order:
// the first is cut last. It is safe for concurrent use.
//
// As in a [Limiter], tokens pay for probabilities instead of traces: an arrival of
// size n that is kept with probability p takes out n p, whether or not it is then kept.
// Each class has tokens of its own, and lowers probabilities by
//
//	f = min(1, tokens/demand)   demand = max(2 n p, 1/4 s * rate of n p before)
//
// so that an arrival takes out half of them at most, and never finds none. It can store
//
//	store = max(1 s * perSecond, 4 n p)   of the largest n p of late
//
// perSecond flows in every second, and is given to the classes in this order, as far
// as there is room:
//
//  1. a twentieth to the classes after the first in equal parts, their floor;
//  2. to each in turn as much as its estimated demand, and a quarter of what is then
//     left, so that it stores; to the last all of it;
//  3. what is still left to each in turn.
//
// So the first class is not cut while it has no more than 19/20 of the budget and what
// it has stored, and a burst of it finds that, whatever the others took. The last gets
// what those before it leave. No class gets less than its floor, or what it asks for if
// that is less.
//
// In any time t, however the arrivals fall, the expected number kept is at most
//
//	perSecond * t + the sum of what the classes can store
//
// which is perSecond * (t + classes) where no arrival is larger than a quarter of what
// flows in during a second. At the start a fifth of a second's worth is there, and half
// of the first arrival of each class is paid for: perSecond * (t + 1/5) + classes *
// largest. A 2^-32nd of what arrives comes on top, which is the least factor.
//
// A baseline alone would keep some of what other classes keep. The last class pays for
// that only as far as it is more than what they pay: so it is not cut for what they
// keep already, and they are not kept with less than the baseline's probability where
// they are cut more than it.
type Budget struct {
	perSecond float64

	mu      sync.Mutex
	started bool
	last    time.Time // the latest time seen
	classes []budgetClass
}

type budgetClass struct {
	tokens float64
	store  float64 // the most tokens
	demand Counter // of size times probability, as asked for
	seen   bool    // whether there was an arrival
}

// NewBudget returns a budget of perSecond, above 0, over so many classes, 1 or more.
func NewBudget(perSecond float64, classes int) *Budget {
	b := &Budget{perSecond: perSecond, classes: make([]budgetClass, classes)}
	for i := range b.classes {
		b.classes[i] = budgetClass{
			tokens: budgetStart * perSecond / float64(classes),
			store:  budgetStore * perSecond,
			demand: NewCounter(budgetWindow),
		}
	}
	return b
}

// Take takes an arrival at now of a size (spans, or 1 for a trace), which would be kept
// with probability p because of its class, counted from 0, and which the baseline, the
// last class, alone would keep with probability base, at most p. It returns the factors
// for the class and for the last class: the arrival is then kept with probability
//
//	max(p*f, base*fBase)
//
// and charged with size times that, kept or not. Factors are above 0 and at most 1. They
// depend on what the arrival is and on arrivals before, not on which are kept. One that
// nobody wants (p = 0) or without a size is not counted. A now before that of an
// earlier call counts as that.
func (b *Budget) Take(now time.Time, class int, p, base, size float64) (f, fBase float64) {
	n := size * p
	if !(n > 0) { // nor is NaN
		return 1, 1
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flow(now)
	c, last := &b.classes[class], &b.classes[len(b.classes)-1]
	c.fit(n)
	f = c.factor(now, n)
	c.demand.Add(now, n)
	c.tokens -= n * f
	if c == last {
		return f, f
	}
	fBase = last.factor(now, size*base)
	if more := base*fBase - p*f; more > 0 {
		last.demand.Add(now, size*more/fBase)
		last.tokens -= size * more
	}
	return f, fBase
}

// fit makes room for an arrival. A store of two would just let one pass whole, and
// overflow before the next comes. The first of a class finds half of what it asks for.
func (c *budgetClass) fit(n float64) {
	c.store = max(c.store, 4*n)
	if !c.seen {
		c.seen = true
		c.tokens = max(c.tokens, n)
	}
}

// factor is that for an arrival that asks for n.
func (c *budgetClass) factor(now time.Time, n float64) float64 {
	demand := max(2*n, budgetShare*c.demand.PerSecond(now))
	if c.tokens >= demand {
		return 1
	}
	return max(minFactor, c.tokens/demand)
}

// flow lets flow in what is due at now.
func (b *Budget) flow(now time.Time) {
	if !b.started {
		b.started, b.last = true, now
		return
	}
	seconds := now.Sub(b.last).Seconds()
	if seconds <= 0 {
		return
	}
	b.last = now
	left := b.perSecond * seconds
	least := budgetStore * b.perSecond
	for i := range b.classes {
		c := &b.classes[i]
		c.store = max(least, c.store-left/8)
		c.tokens = min(c.tokens, c.store)
	}
	if behind := len(b.classes) - 1; behind > 0 {
		floor := budgetFloor * left / float64(behind)
		for i := range behind {
			left -= b.classes[i+1].give(floor)
		}
	}
	for i := range b.classes {
		c := &b.classes[i]
		amount := left
		if i < len(b.classes)-1 {
			asked := min(left, seconds*c.demand.PerSecond(now))
			amount = asked + (left-asked)/4
		}
		left -= c.give(amount)
	}
	for i := range b.classes {
		left -= b.classes[i].give(left)
	}
}

// give adds tokens as far as there is room, and returns how many.
func (c *budgetClass) give(n float64) float64 {
	n = min(n, c.store-c.tokens)
	c.tokens += n
	return n
}

// Idle reports whether nothing came of late and all classes have as much as they can
// store: a new budget has less, so that nobody gains by being forgotten.
func (b *Budget) Idle(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flow(now)
	for i := range b.classes {
		c := &b.classes[i]
		if c.demand.PerSecond(now) > 0 || c.tokens < 0.999*c.store { // sums of parts round
			return false
		}
	}
	return true
}
