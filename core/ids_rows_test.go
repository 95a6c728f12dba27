//go:build !race

package core

import "testing"

// What is made in a row is in one stripe. (Under the race detector, pools forget
// at random, so that rows end early.)
func TestRows(t *testing.T) {
	const stripes, n = 16, 1 << 16
	g := newRandomIDs(stripes)
	rows, last := 0, -1
	for range n {
		id, _ := g.NewIDs(t.Context())
		if s := stripeOf(id, stripes); s != last {
			rows++
			last = s
		}
	}
	if rows > 2*n/runLen {
		t.Errorf("%d traces are in %d rows", n, rows)
	}
}
