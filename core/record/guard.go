package record

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riffletrace/riffle/core/sampling"
)

// What makes a sampler abstain for a while, so that it cannot hurt the service that
// asks it. A share of the calls counts, not only a number: who can send what takes a
// sampler long must not take it away from everybody else.
const (
	slowAnswer = time.Millisecond // an answer that takes longer is slow
	slowLeast  = 3                // fewer slow ones within two seconds do not suspend
	slowShare  = 4                // nor does less than this part of those that were timed,
	slowDoubt  = 9                // of which so many more are taken to have been fast: few prove little
	suspension = 30 * time.Second
	timedShare = 64 // one call in so many is timed
)

// timed picks the calls that are timed, by nothing that a client can choose.
func timed() bool { return rand.Uint32()%timedShare == 0 }

// guard suspends a sampler that panics or is slow. Lists that have the sampler share it.
type guard struct {
	sampler string
	logger  *slog.Logger

	// until is when the sampler may be asked again, in Unix nanoseconds; 0 if it
	// is not suspended, so that a sampler that behaves costs one load.
	until     atomic.Int64
	suspended *atomic.Uint64
	why       atomic.Pointer[string] // of the last suspension

	mu      sync.Mutex // of the few that are timed
	second  int64      // the one that is counted now
	answers [2]answered
}

// answered counts timed answers, in this second and the one before.
type answered struct{ all, slow int }

// countIn makes a guard that is new count its suspensions in n.
func (g *guard) countIn(n *atomic.Uint64) {
	if g.suspended == nil {
		g.suspended = n
	}
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

// took counts a timed answer.
func (g *guard) took(d time.Duration) {
	if g.counts(time.Now().Unix(), d > slowAnswer) {
		g.suspend("it was slow", d)
	}
}

// counts takes a timed answer and reports whether it is one slow one too many.
func (g *guard) counts(second int64, slow bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.second != second {
		before := answered{}
		if g.second == second-1 {
			before = g.answers[0]
		}
		g.second, g.answers = second, [2]answered{1: before}
	}
	now, before := &g.answers[0], &g.answers[1]
	now.all++
	if !slow {
		return false
	}
	now.slow++
	sum := answered{now.all + before.all, now.slow + before.slow}
	if sum.slow < slowLeast || sum.slow*slowShare < sum.all+slowDoubt {
		return false
	}
	g.answers = [2]answered{} // it begins anew after the suspension
	return true
}

// Suspension is one that lasts.
type Suspension struct {
	Until time.Time
	Why   string // in a few words of riffle's own
}

// suspension tells of the one that lasts, if there is one.
func (g *guard) suspension() (s Suspension, is bool) {
	until, why := g.until.Load(), g.why.Load()
	if until <= time.Now().UnixNano() || why == nil {
		return s, false
	}
	return Suspension{Until: time.Unix(0, until), Why: *why}, true
}

func (g *guard) suspend(why string, detail any) {
	g.why.Store(&why)
	if g.until.Swap(time.Now().Add(suspension).UnixNano()) == 0 {
		g.suspended.Add(1)
		g.logger.Warn("sampler is suspended: "+why, "sampler", g.sampler, "for", suspension, "detail", fmt.Sprint(detail))
	}
}
