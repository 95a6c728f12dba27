package rate_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/riffletrace/riffle/core/rate"
)

// Each key has the budget to itself; those without room share one.
func TestBudgetsOfKeys(t *testing.T) {
	const perSecond, most, keys = 10, 3, 8
	b := rate.NewBudgets(perSecond, 2, most)
	var kept [keys]float64
	const lasts = 20 * time.Second
	for at := time.Duration(0); at < lasts; at += time.Millisecond {
		for i := range kept {
			now := epoch.Add(at)
			f, _ := b.Of(fmt.Appendf(nil, "key %d", i), now).Take(now, 1, 1, 1, 1)
			kept[i] += f / lasts.Seconds()
		}
	}
	var rest float64
	for i, k := range kept {
		if i < most {
			within(t, fmt.Sprintf("kept a second of key %d", i), k, perSecond, 0.1)
		} else {
			rest += k
		}
	}
	within(t, "kept a second of the rest", rest, perSecond, 0.1)
}

// Room is made by budgets that are idle, and nobody gains by being forgotten.
func TestBudgetsMakeRoom(t *testing.T) {
	for _, perSecond := range []float64{0.1, 1000} {
		t.Run(fmt.Sprintf("N=%v", perSecond), func(t *testing.T) { testMakeRoom(t, perSecond) })
	}
}

func testMakeRoom(t *testing.T, perSecond float64) {
	b := rate.NewBudgets(perSecond, 2, 2)
	a, c := []byte("a"), []byte("c")
	first := b.Of(a, epoch)
	f, _ := first.Take(epoch, 1, 1, 1, 1)
	b.Of([]byte("b"), epoch).Take(epoch.Add(-time.Minute), 0, 0.1, 0.1, 1)
	var freed time.Duration
	for at := time.Second; freed == 0 && at < time.Hour; at += time.Second {
		b.Of([]byte("b"), epoch.Add(at)).Take(epoch.Add(at), 0, 0.1, 0.1, 1)
		if b.Of(c, epoch.Add(at)) != b.Rest() {
			freed = at
		}
	}
	if least := time.Duration(f / perSecond * 1e9); freed < least || freed == 0 {
		t.Errorf("a key is forgotten after %v, want it when what it took has flown in again, %v or later", freed, least)
	}
	if b.Of(a, epoch.Add(freed)) == first {
		t.Error("the key that is idle is still there, and one that is not gave room")
	}
	if b.Of([]byte("b"), epoch.Add(freed)) == b.Rest() {
		t.Error("a key that is not idle was forgotten")
	}
}

func TestBudgetsConcurrentSafe(t *testing.T) {
	const goroutines, each, most = 8, 500, 10
	b := rate.NewBudgets(100, 2, most)
	var mu sync.Mutex
	distinct := map[*rate.Budget]bool{}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				budget := b.Of(fmt.Appendf(nil, "%d", (g+i)%20), epoch)
				budget.Take(epoch, i%2, 1, 1, 1)
				mu.Lock()
				distinct[budget] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(distinct) > most+1 {
		t.Errorf("%d budgets, want at most %d and that of the rest", len(distinct), most)
	}
}
