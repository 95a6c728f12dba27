//go:build !race

package adaptive_test

import (
	"testing"

	"github.com/riffletrace/riffle/samplers/adaptive"
)

func TestKnownKeyAllocatesNothing(t *testing.T) {
	s, p := newSampler(t, adaptive.Config{TargetPerSecond: 10, Key: []string{"http.route", "name"}}), route("/users/{id}")
	s.SampleStart(p)
	if n := testing.AllocsPerRun(1000, func() { s.SampleStart(p) }); n != 0 {
		t.Errorf("%v allocations a decision, want 0", n)
	}
}
