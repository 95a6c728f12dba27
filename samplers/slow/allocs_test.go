//go:build !race

package slow_test

import (
	"testing"

	"github.com/riffletrace/riffle/samplers/slow"
)

func TestAskingAllocatesNothing(t *testing.T) {
	s, p := newSampler(t, slow.Config{Threshold: second, Routes: []slow.Route{{Route: "/users/{id}", Threshold: second / 2}}}), rooted()
	if s.SampleEnd(p).IsAbstain() {
		t.Fatal("the route's threshold does not count")
	}
	if n := testing.AllocsPerRun(100, func() { s.SampleEnd(p) }); n != 0 {
		t.Errorf("%v allocations a call, want 0", n)
	}
}
