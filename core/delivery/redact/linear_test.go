//go:build !race

package redact_test

import (
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery/redact"
)

// What is looked through takes time that grows with its length, and no faster.
func TestLinear(t *testing.T) {
	r := compileCut(t, redact.Cut{Marker: marker}, cutRules...)
	for _, unit := range hostile {
		for _, end := range []string{"", marker} {
			cost := func(s sdktrace.ReadOnlySpan) time.Duration {
				start := time.Now()
				r.Span(s)
				return time.Since(start)
			}
			few, many := long(unit, 32<<10, end), long(unit, 128<<10, end)
			short, whole := cost(few), cost(many)
			for range 100 { // others use the machine too: what counts is the best of each
				if whole <= 10*short {
					break
				}
				short, whole = min(short, cost(few)), min(whole, cost(many))
			}
			if whole > 10*short {
				t.Errorf("%q, cut %t: %v for 32 KiB, %v for 128 KiB", unit, end != "", short, whole)
			}
		}
	}
}
