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

// limit bounds what an end sampler keeps a second. Lists that have the sampler share it.
type limit struct {
	limiter *rate.Limiter
	cap     *rate.Cap // on its own answers
	// heard is one on segments that hear of an answer about another of their trace: those
	// are more than the limiter expects, also by chance, and must cost no answer.
	heard *rate.Cap
	cut   *atomic.Uint64

	logger  *slog.Logger
	sampler string
	// When it was last said that it cuts, and how many. Only who says it uses them.
	reported time.Time
	said     uint64
}

func newLimit(e *Entry) *limit {
	return &limit{
		limiter: rate.NewLimiter(e.Limit, limitWindow),
		cap:     rate.NewCap(e.Limit, limitWindow), heard: rate.NewCap(e.Limit, limitWindow),
		logger: e.Logger, sampler: e.Name,
	}
}

// countIn makes a limit that is new count in n what its cap cuts.
func (l *limit) countIn(n *atomic.Uint64) {
	if l.cut == nil {
		l.cut = n
		l.said = n.Load()
	}
}

// limited limits an answer of an end sampler about the segment, and counts the segment
// with what it stands for.
func (g *segment) limited(l *limit, a *answer) {
	known := max(g.pressure, a.from)
	if a.threshold != sampling.Unknown {
		known = max(a.threshold, g.pressure)
	}
	from, err := sampling.ThresholdFromProbability(l.limiter.Probability(time.Now(), known.Probability(), g.pressure.AdjustedCount()))
	if err == nil {
		a.from = from
	}
	switch {
	case g.isCapped(a.place): // which the answers about others of its trace were
		a.threshold, a.from = sampling.Unknown, sampling.Never
	case g.improves(a): // else it is of no effect here: another of its trace said so
		g.capped(l, l.cap, a, max(known, a.from))
	}
}

// isCapped tells that the cap of a limit has spoken about answers of that sampler.
func (g *segment) isCapped(place int16) bool {
	return g.more != nil && g.more.capped&(1<<(place&63)) != 0
}

// capped counts what an answer selects from a threshold on, of its own segment or of
// another that hears of it. While the cap acts the answer is unknown.
func (g *segment) capped(l *limit, c *rate.Cap, a *answer, from sampling.Threshold) {
	acts, cut := c.Add(time.Now(), from.Selects(g.randomness))
	if !acts {
		return
	}
	if cut {
		from = sampling.Never
		l.cut.Add(1)
	}
	g.rarely().capped |= 1 << (a.place & 63)
	a.threshold, a.from = sampling.Unknown, from
}

// report logs, once a minute, that the cap keeps segments from being kept. Segments are
// locked where it does.
func (l *limit) report() {
	n := l.cut.Load()
	if n == l.said || !l.reported.IsZero() && time.Since(l.reported) < time.Minute {
		return
	}
	l.reported, l.said = time.Now(), n
	l.logger.Warn("more segments than chance explains pass the limit of a sampler: clients choose their randomness; "+
		"no weight stands for what is kept meanwhile (remote_parent: ignore takes the choice from them)",
		"sampler", l.sampler, "cut", n)
}
