//go:build !race

package rate_test

import (
	"testing"
	"time"

	"github.com/riffletrace/riffle/core/rate"
)

func TestBudgetAllocatesNothing(t *testing.T) {
	b := rate.NewBudgets(100, 3, 10)
	key := []byte("gold")
	at := epoch
	b.Of(key, at)
	if n := testing.AllocsPerRun(1000, func() {
		at = at.Add(time.Millisecond)
		b.Of(key, at).Take(at, 1, 0.5, 0.1, 20)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
