package record

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/riffletrace/riffle/core/rate"
	"github.com/riffletrace/riffle/core/sampling"
)

// limitWindow is over how long a limit shares out its budget.
const limitWindow = time.Second

// limit bounds what an end sampler keeps a second.
type limit struct {
	limiter *rate.Limiter
	cap     *rate.Cap
	cut     atomic.Uint64

	logger   *slog.Logger
	sampler  string
	reported atomic.Int64 // when it was last said that it cuts, in Unix seconds
}

func newLimit(e *Entry) *limit {
	return &limit{
		limiter: rate.NewLimiter(e.Limit, limitWindow), cap: rate.NewCap(e.Limit, limitWindow),
		logger: e.Logger, sampler: e.Name,
	}
}

// limited limits an answer of an end sampler about the segment, and counts the segment
// with what it stands for.
func (g *segment) limited(l *limit, a *answer) {
	known := g.pressure
	if a.threshold != sampling.Unknown {
		known = max(a.threshold, g.pressure)
	}
	from, err := sampling.ThresholdFromProbability(l.limiter.Probability(time.Now(), known.Probability(), g.pressure.AdjustedCount()))
	if err == nil {
		a.from = from
	}
	g.capped(l, a, max(known, a.from))
}

// capped counts what an answer selects from a threshold on, of its own segment or of
// another that hears of it. While the cap acts the answer is unknown.
func (g *segment) capped(l *limit, a *answer, from sampling.Threshold) {
	now := time.Now()
	acts, cut := l.cap.Add(now, from.Selects(g.randomness))
	if !acts {
		return
	}
	if cut {
		from = sampling.Never
		if !g.has(isCapped) {
			l.count(now)
		}
	}
	g.bits |= isCapped
	a.threshold, a.from = sampling.Unknown, from
}

// count counts a segment that the cap keeps from being kept, and says so once a
// minute.
func (l *limit) count(now time.Time) {
	n := l.cut.Add(1)
	last := l.reported.Load()
	if now.Unix()-last < 60 || !l.reported.CompareAndSwap(last, now.Unix()) {
		return
	}
	l.logger.Warn("more segments than chance explains pass the limit of a sampler: clients choose their randomness; "+
		"no weight stands for what is kept meanwhile (remote_parent: ignore takes the choice from them)",
		"sampler", l.sampler, "cut", n)
}
