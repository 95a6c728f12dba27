package jaegerremote

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

// source is where strategies come from.
type source interface {
	// fetch returns the strategy of now. It returns when ctx is done. A failure has a
	// cause, which is the same at the next call if nothing has changed.
	fetch(ctx context.Context) (*strategy, *failure)
	// close releases what is held between calls.
	close()
}

// failure is why there is no strategy.
type failure struct {
	// cause is what failures are told apart by: without what changes each time, such
	// as a port, and without what a server can make up.
	cause string
	err   error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// poller asks a source again and again.
type poller struct {
	source   source
	interval time.Duration
	timeout  time.Duration
	logger   *slog.Logger
	follow   func(*strategy)

	failures int    // in a row
	cause    string // of what was logged last; "" if all was well
}

// firstRetry is when a source is asked again that has failed once; it is left alone
// for twice as long after each further failure, up to the interval. A service that
// starts before its source should not go without for an interval.
const firstRetry = time.Second

// run polls until ctx is done.
func (p *poller) run(ctx context.Context) {
	for {
		_ = p.poll(ctx)
		t := time.NewTimer(p.wait())
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
	}
}

// wait is how long to wait now: a tenth more or less than it should be, so that
// services that were started together do not ask together.
func (p *poller) wait() time.Duration {
	wait := p.interval
	if p.failures > 0 {
		wait = min(wait, firstRetry<<min(p.failures-1, 30))
	}
	return time.Duration(float64(wait) * (0.9 + 0.2*rand.Float64()))
}

// poll asks once. What is wrong is logged when its cause changes.
func (p *poller) poll(ctx context.Context) error {
	asked, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	s, failed := p.source.fetch(asked)
	if failed != nil {
		if ctx.Err() != nil {
			return ctx.Err() // it is over
		}
		p.failures++
		if failed.cause != p.cause {
			p.cause = failed.cause
			p.logger.Warn("no sampling strategy; the last one stays", "error", failed.err)
		}
		return failed
	}
	p.follow(s)
	const tooMany = "too many operations"
	switch {
	case s.left > 0 && p.cause != tooMany:
		p.cause = tooMany
		p.logger.Warn("operations are sampled as those that are not listed: they are too many, or have too long a name",
			"operations", s.left, "most", maxOperations, "longest", maxOperation)
	case s.left == 0 && p.cause != "":
		if p.failures > 0 {
			p.logger.Info("there is a sampling strategy again", "failures", p.failures)
		}
		p.cause = ""
	}
	p.failures = 0
	return nil
}
