package delivery

import (
	"log/slog"
	"sync"
	"time"
)

// report tells people how a line fares: once when it starts to fail, once when
// it has recovered, and at most once a minute of each kind of loss.
type report struct {
	logger *slog.Logger
	lost   func() uint64 // spans that the line has lost

	mu      sync.Mutex
	failure error // of the last batch; nil if it was accepted
	since   time.Time
	warned  time.Time // the last time it started to fail
	silent  bool      // that start was not logged
	before  uint64    // spans lost at that time
	said    map[string]time.Time
}

const saidOften = time.Minute

func (r *report) failing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure != nil
}

// lastFailure is that of the last batch, nil if it was accepted.
func (r *report) lastFailure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure
}

// failed is called for each batch that was not accepted.
func (r *report) failed(err error, kept bool) {
	r.mu.Lock()
	starts := r.failure == nil
	r.failure = err
	now := time.Now()
	if starts {
		r.since, r.before = now, r.lost()
		r.silent = !r.warned.IsZero() && now.Sub(r.warned) < saidOften
		if !r.silent {
			r.warned = now
		}
	}
	speak := starts && !r.silent
	r.mu.Unlock()
	switch {
	case !speak:
	case kept:
		r.logger.Warn("exporter is failing; spans wait until it recovers", "error", err)
	default:
		r.logger.Warn("exporter is failing; spans are lost until it recovers", "error", err)
	}
}

// accepted is called for each batch that was.
func (r *report) accepted() {
	r.mu.Lock()
	recovers := r.failure != nil
	speak := recovers && !r.silent
	r.failure = nil
	since, before := r.since, r.before
	r.mu.Unlock()
	if speak {
		r.logger.Info("exporter has recovered", "after", time.Since(since).Round(time.Millisecond), "spans_lost", r.lost()-before)
	}
}

// warn speaks of a loss, unless it has lately.
func (r *report) warn(msg string, attrs ...any) {
	now := time.Now()
	r.mu.Lock()
	last, ok := r.said[msg]
	speak := !ok || now.Sub(last) >= saidOften
	if speak {
		if r.said == nil {
			r.said = make(map[string]time.Time)
		}
		r.said[msg] = now
	}
	r.mu.Unlock()
	if speak {
		r.logger.Warn(msg, attrs...)
	}
}
