package delivery

import (
	"math/rand/v2"
	"time"
)

// breaker lets one batch at a time through while a backend is away, and none
// before its delay has passed. Its line's lock guards it.
//
// One batch that fails tells nothing yet: it may be the batch, or one of several
// servers behind an address. The backend is away when maxFailures attempts in a row
// have failed, or when it asks for time.
type breaker struct {
	backoff Backoff
	row     int       // attempts that failed in a row
	probes  int       // that failed since the backend is away; 0: it is there
	until   time.Time // the next probe
	asked   bool      // for that time, by the backend
	probing bool
}

const maxFailures = 3

func (b *breaker) open() bool { return b.probes > 0 }

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
	b.asked = retryAfter > 0 || b.asked && !probe
	switch {
	case b.open() && !probe:
		b.until = later(b.until, now.Add(retryAfter))
	case b.open():
		b.probes++
		b.until = now.Add(max(retryAfter, b.backoff.delay(b.probes)))
	default:
		if b.row++; b.row >= maxFailures || retryAfter > 0 {
			b.probes = 1
			b.until = now.Add(max(retryAfter, b.backoff.delay(1)))
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (b *breaker) close() { b.row, b.probes, b.until, b.asked = 0, 0, time.Time{}, false }

// probeNow lets the next probe through now.
func (b *breaker) probeNow() { b.until = time.Time{} }

// delay is a random one, below a bound that doubles with each failure.
func (b Backoff) delay(failures int) time.Duration {
	bound := time.Duration(b.Initial)
	for range failures - 1 {
		if bound >= time.Duration(b.Max)/2 {
			bound = time.Duration(b.Max)
			break
		}
		bound *= 2
	}
	return rand.N(max(1, min(bound, time.Duration(b.Max))))
}

// history tells whether a batch is to blame for its failures: what became of others
// while it failed.
type history struct {
	accepted, failed uint64 // batches, as the line had counted them at the last failure
	began            uint64 // batches that were accepted when the attempt under way began
	alone            int    // failures since whose predecessor others were accepted, mostly
}

// maxAlone is when a single span is dropped: the first failure tells nothing.
const maxAlone = 19

// fail notes a failure of a batch, which is not to blame for it if the backend is busy.
// It reports whether others were accepted since its last one, mostly.
func (h *history) fail(again, busy bool, accepted, failed uint64) bool {
	alone := again && accepted-h.accepted > failed-h.failed
	if alone && !busy {
		h.alone++
	}
	h.accepted, h.failed = accepted, failed
	return alone
}
