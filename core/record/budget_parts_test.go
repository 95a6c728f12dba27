package record

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffletrace/riffle/core/sampling"
)

// A segment that is decided in parts counts once, and its parts are kept alike: what is
// opened again does not pass beside the budget.
func TestBudgetOfParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(5, 6))
		by := map[string]*weighed{}
		c := Config{
			IDGenerator: idsWith(func() uint64 { return random.Uint64() >> 8 }),
			Budget:      NewBudget(BudgetConfig{PerSecond: 10, Classes: 1}), Deliver: weigh(by),
		}
		r := newRecorder(t, c, selectAll)
		const seconds, requests = 60, 500
		for range seconds {
			for range requests {
				ctx, root := r.tracer.Start(context.Background(), "request")
				root.End()
				r.start(ctx, "late").End()
			}
			time.Sleep(time.Second)
		}
		by["request"].check(t, "requests", seconds*requests)
		by["late"].check(t, "late spans", seconds*requests)
		if request, late := by["request"].kept, by["late"].kept; late != request || late > 11*seconds+50 {
			t.Errorf("of %.0f requests that are kept in %d s, %.0f late spans are, want as many, 10 a second", request, seconds, late)
		}
	})
}

// A storm of what comes first leaves the baseline its part.
func TestBudgetLeavesTheBaselineItsPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(7, 8))
		by := map[string]*weighed{}
		c := Config{
			IDGenerator: idsWith(func() uint64 { return random.Uint64() >> 8 }),
			Budget:      NewBudget(BudgetConfig{PerSecond: 100, Classes: 2}),
			Classes:     map[string]int{"first": 0}, Deliver: weigh(by),
		}
		hundredth, _ := sampling.ThresholdFromProbability(0.01)
		r := newRecorder(t, c, onError, startAt(hundredth))
		const seconds, errors, requests = 120, 1000, 400 // of which the baseline wants 14
		for range seconds {
			for i := range errors + requests {
				s := r.start(context.Background(), map[bool]string{true: "error", false: "request"}[i < errors])
				if i < errors {
					fail(s)
				}
				s.End()
			}
			time.Sleep(time.Second)
		}
		by["request"].check(t, "requests", seconds*requests)
		by["error"].check(t, "errors", seconds*errors)
		if n := by["request"].kept; n < seconds*requests/100*0.7 {
			t.Errorf("%.0f requests are kept in a storm of errors, want about %d: a twentieth of the budget is theirs", n, seconds*requests/100)
		}
	})
}

// A start sampler that the order names is a class.
func TestBudgetOfStartSamplers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(9, 10))
		by := map[string]*weighed{}
		c := Config{
			IDGenerator: idsWith(func() uint64 { return random.Uint64() >> 8 }),
			Budget:      NewBudget(BudgetConfig{PerSecond: 20, Classes: 2}),
			Classes:     map[string]int{"first": 0}, Deliver: weigh(by),
		}
		var checkout startFunc = func(p sampling.StartParameters) sampling.Answer {
			if p.Name == "checkout" {
				return sampling.At(sampling.Always)
			}
			return sampling.Abstain()
		}
		r := newRecorder(t, c, checkout, selectAll)
		const seconds, each = 60, 500
		for range seconds {
			for i := range each {
				if i%50 == 0 {
					r.start(context.Background(), "checkout").End()
				}
				r.start(context.Background(), "request").End()
			}
			time.Sleep(time.Second)
		}
		by["request"].check(t, "requests", seconds*each)
		if n := by["checkout"].kept; n < 0.9*seconds*10 {
			t.Errorf("%.0f of %d checkouts are kept: they fit into the budget", n, seconds*10)
		}
	})
}
