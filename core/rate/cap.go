package rate

import (
	"math"
	"sync"
	"time"
)

// Cap watches what a [Limiter] lets pass, and cuts where that cannot be chance. A
// limiter holds its rate in expectation, over randomness that nobody chooses. Where
// clients choose it they are all selected, each with the small probability that the
// limiter gives, and so with a large weight that means nothing.
//
// It acts where more were selected within ten seconds than twice the rate, and more
// than five standard deviations above the most that a limiter selects in expectation:
//
//	most = max(20 * perSecond, m + 5 sqrt(m))   m = perSecond * (10 + 2 windows)
//
// While it acts no probability is known, and no more pass within ten seconds than
// that. It goes by what is selected, cut or not, so that it acts until the rush is
// over. It is safe for concurrent use.
type Cap struct {
	most float64

	mu               sync.Mutex
	selected, passed Counter
}

const capSpan = 10 * time.Second

// NewCap returns a cap for what a limiter of that rate and window lets pass.
func NewCap(perSecond float64, window time.Duration) *Cap {
	m := perSecond*capSpan.Seconds() + capacity(perSecond, window)
	return &Cap{
		most:     max(2*perSecond*capSpan.Seconds(), m+5*math.Sqrt(m)),
		selected: NewCounter(capSpan / 2),
		passed:   NewCounter(capSpan / 2),
	}
}

// Add takes an arrival at now, which the limiter selected or not, and reports whether
// the cap acts, and whether it cuts this one. The first depends on arrivals before
// this one alone.
func (c *Cap) Add(now time.Time, selected bool) (acts, cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	acts = c.selected.PerSecond(now)*capSpan.Seconds() >= c.most
	if !selected {
		return acts, false
	}
	c.selected.Add(now, 1)
	if acts && c.passed.PerSecond(now)*capSpan.Seconds() >= c.most {
		return true, true
	}
	c.passed.Add(now, 1)
	return acts, false
}
