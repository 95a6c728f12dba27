//go:build !race

package match_test

import "testing"

func TestAllocations(t *testing.T) {
	m, s := large(t)
	if n := testing.AllocsPerRun(100, func() { m.Match(s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
