//go:build !race

package redact_test

import "testing"

func TestAllocations(t *testing.T) {
	r, s := ten(t), usual()
	if n := testing.AllocsPerRun(100, func() { r.Span(s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
