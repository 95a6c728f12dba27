//go:build !race

package redact_test

import (
	"testing"
	"time"

	"github.com/riffletrace/riffle/core/delivery/redact"
)

// What is looked through takes time that grows with its length, and no faster.
func TestLinear(t *testing.T) {
	r := compileCut(t, redact.Cut{Marker: marker}, cutRules...)
	for _, unit := range hostile {
		for _, end := range []string{"", marker} {
			cost := func(length int) time.Duration {
				s, best := long(unit, length, end), time.Hour
				for range 2 {
					start := time.Now()
					r.Span(s)
					best = min(best, time.Since(start))
				}
				return best
			}
			var short, whole time.Duration
			for range 5 { // others use the machine too
				if short, whole = cost(32<<10), cost(128<<10); whole <= 10*short {
					break
				}
			}
			if whole > 10*short {
				t.Errorf("%q, cut %t: %v for 32 KiB, %v for 128 KiB", unit, end != "", short, whole)
			}
		}
	}
}
