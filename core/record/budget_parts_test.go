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

// What classes said is told apart from what others did, in whatever order they spoke.
func TestByClass(t *testing.T) {
	const never, always = sampling.Never, sampling.Always
	type says struct {
		by        string
		threshold sampling.Threshold
	}
	for name, tt := range map[string]struct {
		start       sampling.Threshold
		said        []says
		class       int
		first, rest sampling.Threshold
	}{
		"nobody":                  {never, nil, 2, never, never},
		"the start":               {half, nil, 2, never, half},
		"a class":                 {half, []says{{"first", always}}, 0, always, half},
		"a class, and nobody":     {never, []says{{"second", half}}, 1, half, never},
		"none that keeps":         {half, []says{{"first", never}}, 2, never, half},
		"two classes":             {half, []says{{"second", always}, {"first", half}}, 0, always, half},
		"two, the first before":   {half, []says{{"first", half}, {"second", always}}, 0, always, half},
		"others before":           {never, []says{{"third", half}, {"first", always}}, 0, always, half},
		"others after":            {never, []says{{"first", half}, {"third", always}}, 0, half, always},
		"others after, and worse": {half, []says{{"first", always}, {"third", half + 1}}, 0, always, half},
	} {
		t.Run(name, func(t *testing.T) {
			c := Config{Budget: NewBudget(BudgetConfig{PerSecond: 1, Classes: 3}), Classes: map[string]int{"first": 0, "second": 1}}
			r := newRecorder(t, c, onError, onError, onError, startAt(tt.start))
			root := r.start(context.Background(), "root").(*span)
			g := root.segment
			g.mu.Lock()
			for i, s := range tt.said {
				g.file(answer{threshold: s.threshold, by: r.live.names.number(s.by), place: int16(i)})
			}
			class, first, rest := g.byClass()
			g.mu.Unlock()
			if class != tt.class || first.threshold != tt.first || rest.threshold != tt.rest {
				t.Errorf("class %d, %v of the classes, %v of the others, want %d, %v, %v", class, first.threshold, rest.threshold, tt.class, tt.first, tt.rest)
			}
			root.End()
		})
	}
}
