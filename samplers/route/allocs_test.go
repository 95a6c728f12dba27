//go:build !race

package route_test

import "testing"

func TestAllocations(t *testing.T) {
	s := newSampler(t, manyRules(10_000))
	p := request("GET", "/api/v1/resource5000/7")
	if !s.SampleStart(p).IsDrop() {
		t.Fatal("does not match")
	}
	if n := testing.AllocsPerRun(100, func() { s.SampleStart(p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
