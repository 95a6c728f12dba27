package delivery

import (
	"log/slog"
	"sync"
	"time"
)

// reporter tells people how a line fares: once when it starts to fail, once when
// it has recovered, and at most once a minute of each kind of loss.
type reporter struct {
	logger *slog.Logger
	lost   func() uint64 // spans that the line has lost

	mu            sync.Mutex
	failure       error // of the last batch; nil if it was accepted
	since         time.Time
	failureLogged time.Time // the last time it started to fail
	suppressed    bool      // that start was not logged
	before        uint64    // spans lost at that time
	warnedAt      map[string]time.Time
}

const warnInterval = time.Minute

func (r *reporter) failing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure != nil
}

// lastFailure is that of the last batch, nil if it was accepted.
func (r *reporter) lastFailure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure
}

// failed is called for each batch that was not accepted.
func (r *reporter) failed(err error, retried bool) {
	r.mu.Lock()
	starts := r.failure == nil
	r.failure = err
	now := time.Now()
	if starts {
		r.since, r.before = now, r.lost()
		r.suppressed = !r.failureLogged.IsZero() && now.Sub(r.failureLogged) < warnInterval
		if !r.suppressed {
			r.failureLogged = now
		}
	}
	log := starts && !r.suppressed
	r.mu.Unlock()
	switch {
	case !log:
	case retried:
		r.logger.Warn("exporter is failing; spans wait until it recovers", "error", err)
	default:
		r.logger.Warn("exporter is failing; spans are lost until it recovers", "error", err)
	}
}

// accepted is called for each batch that was.
func (r *reporter) accepted() {
	r.mu.Lock()
	recovers := r.failure != nil
	log := recovers && !r.suppressed
	r.failure = nil
	since, before := r.since, r.before
	r.mu.Unlock()
	if log {
		r.logger.Info("exporter has recovered", "after", time.Since(since).Round(time.Millisecond), "spans_lost", r.lost()-before)
	}
}

// warn logs a loss, unless it has lately.
func (r *reporter) warn(msg string, attrs ...any) {
	now := time.Now()
	r.mu.Lock()
	last, ok := r.warnedAt[msg]
	log := !ok || now.Sub(last) >= warnInterval
	if log {
		if r.warnedAt == nil {
			r.warnedAt = make(map[string]time.Time)
		}
		r.warnedAt[msg] = now
	}
	r.mu.Unlock()
	if log {
		r.logger.Warn(msg, attrs...)
	}
}
