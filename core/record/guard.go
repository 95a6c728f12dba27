package record

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/riffletrace/riffle/core/sampling"
)

// What makes a sampler abstain for a while, so that it cannot hurt the
// service that asks it.
const (
	slowAnswer  = time.Millisecond // an answer that takes longer is slow
	slowStrikes = 3                // as many slow ones within a second suspend
	suspension  = 30 * time.Second
	timedShare  = 64 // one call in so many is timed
)

// guard suspends a sampler that panics or is slow.
type guard struct {
	sampler string
	logger  *slog.Logger

	// until is when the sampler may be asked again, in Unix nanoseconds; 0 if it
	// is not suspended, so that a sampler that behaves costs one load.
	until     atomic.Int64
	strikes   atomic.Int64 // slow answers, and in the high bits the second they fell in
	suspended atomic.Uint64
}

func (g *guard) isSuspended() bool { return g.until.Load() != 0 && g.staysSuspended() }

// staysSuspended ends the suspension when it is time.
func (g *guard) staysSuspended() bool {
	until := g.until.Load()
	if time.Now().UnixNano() < until {
		return true
	}
	if until != 0 && g.until.CompareAndSwap(until, 0) {
		g.logger.Info("sampler is asked again", "sampler", g.sampler)
	}
	return false
}

// rescue is deferred around a call of the sampler.
func (g *guard) rescue(a *sampling.Answer) {
	if r := recover(); r != nil {
		*a = sampling.Answer{}
		g.panicked(r)
	}
}

func (g *guard) panicked(with any) { g.suspend("it panicked", with) }

func (g *guard) took(d time.Duration) {
	if d <= slowAnswer {
		return
	}
	const countBits = 8
	second := time.Now().Unix()
	for {
		old := g.strikes.Load()
		count := int64(1)
		if old>>countBits == second {
			count += old & (1<<countBits - 1)
		}
		if g.strikes.CompareAndSwap(old, second<<countBits|count) {
			if count >= slowStrikes {
				g.suspend("it was slow", d)
			}
			return
		}
	}
}

func (g *guard) suspend(why string, detail any) {
	if g.until.Swap(time.Now().Add(suspension).UnixNano()) == 0 {
		g.suspended.Add(1)
		g.logger.Warn("sampler is suspended: "+why, "sampler", g.sampler, "for", suspension, "detail", fmt.Sprint(detail))
	}
}
