package delivery

import (
	"math/rand/v2"
	"time"
)

// breaker lets one batch at a time through while a backend fails, and none
// before its delay has passed. Its line's lock guards it.
type breaker struct {
	backoff  Backoff
	failures int       // probes that failed in a row; 0: the backend is there
	until    time.Time // the next probe
	probing  bool
}

func (b *breaker) open() bool { return b.failures > 0 }

// wait is how long to wait before the next attempt, -1 for until something
// changes.
func (b *breaker) wait(now time.Time) time.Duration {
	switch {
	case !b.open():
		return 0
	case b.probing:
		return -1
	default:
		return max(b.until.Sub(now), 0)
	}
}

// failed notes an attempt that failed for now. Those that were under way when
// the backend went away count once.
func (b *breaker) failed(now time.Time, probe bool, retryAfter time.Duration) {
	if probe {
		b.probing = false
	}
	if b.open() && !probe {
		b.until = later(b.until, now.Add(retryAfter))
		return
	}
	b.failures++
	b.until = now.Add(max(retryAfter, b.backoff.delay(b.failures)))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (b *breaker) close() { b.failures, b.probing, b.until = 0, false, time.Time{} }

// probeNow lets the next probe through now.
func (b *breaker) probeNow() { b.until = time.Time{} }

// delay is a random one, up to a bound that doubles with each failure.
func (b Backoff) delay(failures int) time.Duration {
	bound := time.Duration(b.Initial)
	for range failures - 1 {
		if bound >= time.Duration(b.Max)/2 {
			bound = time.Duration(b.Max)
			break
		}
		bound *= 2
	}
	return rand.N(min(bound, time.Duration(b.Max)) + 1)
}
