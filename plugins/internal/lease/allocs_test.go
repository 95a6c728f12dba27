//go:build !race

package lease

import "testing"

func TestDecideAllocatesNothing(t *testing.T) {
	table, p := leased(t)
	if n := testing.AllocsPerRun(100, func() { table.Decide(&p) }); n != 0 {
		t.Errorf("%v allocations per decision", n)
	}
}
