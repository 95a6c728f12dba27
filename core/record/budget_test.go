package record

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffletrace/riffle/core/sampling"
)

// weighed is what was kept of spans of a name.
type weighed struct{ kept, weight, square float64 }

// weigh adds what is delivered, by name.
func weigh(by map[string]*weighed) func(Kept) {
	return func(k Kept) {
		for _, s := range k.Spans {
			w := by[s.Name()]
			if w == nil {
				w = &weighed{}
				by[s.Name()] = w
			}
			n := k.Threshold.AdjustedCount()
			w.kept++
			w.weight += n
			w.square += n * (n - 1) // an estimate of the variance
		}
	}
}

// check checks that the weights tell how many there were.
func (w *weighed) check(t *testing.T, what string, were int) {
	t.Helper()
	if off := math.Abs(w.weight - float64(were)); off > 4*math.Sqrt(w.square)+1 {
		t.Errorf("%s: weights say %.0f, there were %d: off by %.0f, standard error %.0f", what, w.weight, were, off, math.Sqrt(w.square))
	}
}

// A budget holds over ten minutes with bursts, of segments and of spans; errors come
// first, and weights stay right.
func TestBudget(t *testing.T) {
	for _, spans := range []bool{false, true} {
		t.Run(map[bool]string{false: "segments", true: "spans"}[spans], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testBudget(t, spans) })
		})
	}
}

func testBudget(t *testing.T, spans bool) {
	const perSecond, minutes, share = 20, 10, 4 // of which so many fail
	random := rand.New(rand.NewPCG(1, 2))
	by := map[string]*weighed{}
	c := Config{
		IDGenerator: idsWith(func() uint64 { return random.Uint64() >> 8 }),
		Budget:      NewBudget(BudgetConfig{PerSecond: perSecond, Spans: spans, Classes: 2}),
		Classes:     map[string]int{"first": 0}, Deliver: weigh(by),
	}
	r := newRecorder(t, c, onError, startAt(half))
	were := map[string]int{}
	serve := func(name string, children int, failed bool) {
		were[name]++
		ctx, root := r.tracer.Start(context.Background(), name)
		for range children {
			r.start(ctx, "child").End()
		}
		if failed {
			fail(root)
		}
		root.End()
	}
	begin := time.Now()
	firstSecond := 0.0
	for second := range minutes * 60 {
		n := 50 // 20 s of each, by turns
		if second/20%2 == 0 {
			n *= 10
		}
		for i := range n {
			children := 0
			if spans {
				children = random.IntN(5)
			}
			time.Sleep(time.Until(begin.Add(time.Duration(second)*time.Second + time.Duration(i)*time.Second/time.Duration(n))))
			if i%(n/share) == 0 {
				serve("error", children, true)
			} else {
				serve("request", children, false)
			}
		}
		if second == 0 {
			firstSecond = by["error"].kept + by["request"].kept
		}
	}
	kept := by["error"].kept + by["request"].kept
	if spans {
		kept += by["child"].kept
	} else if firstSecond > 1.5*perSecond+8 {
		t.Errorf("the first second kept %.0f, want about %d", firstSecond, perSecond)
	}
	if want := float64(perSecond * minutes * 60); math.Abs(kept-want) > want/10 {
		t.Errorf("%.0f are kept in %d minutes, want %.0f within 10 %%", kept, minutes, want)
	}
	by["request"].check(t, "requests", were["request"])
	by["error"].check(t, "errors", were["error"])
	if part := by["error"].kept / float64(were["error"]); !spans && part < 0.95 || spans && part < 0.6 {
		t.Errorf("of the errors %.2f are kept", part)
	}
	if r.Stats().OverBudget == 0 {
		t.Error("nothing is said to be over the budget")
	}
}

// What is forced is kept whatever the budget is, and takes its part of it.
func TestBudgetAndForced(t *testing.T) {
	by := map[string]*weighed{}
	c := Config{Budget: NewBudget(BudgetConfig{PerSecond: 1, Classes: 1}), Deliver: weigh(by)}
	r := newRecorder(t, c, selectAll)
	for range 100 {
		r.start(sampling.ContextWithForce(context.Background()), "forced").End()
	}
	for range 100 {
		r.start(context.Background(), "request").End()
	}
	if by["forced"] == nil || by["forced"].kept != 100 || by["forced"].weight != 100 {
		t.Errorf("of 100 forced ones %+v are kept", by["forced"])
	}
	if w := by["request"]; w != nil && w.kept > 5 {
		t.Errorf("%.0f are kept beside those that are forced", w.kept)
	}
}

// Each combination of values has a budget of its own.
func TestBudgetByKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		by := map[string]*weighed{}
		c := Config{Budget: NewBudget(BudgetConfig{PerSecond: 1, Classes: 1, By: []string{"name"}}), Deliver: weigh(by)}
		r := newRecorder(t, c, selectAll)
		for range 300 {
			for range 200 {
				r.start(context.Background(), "busy").End()
			}
			r.start(context.Background(), "rare").End()
			time.Sleep(time.Second)
		}
		if n := by["rare"].kept; n < 290 {
			t.Errorf("%.0f of 300 rare ones are kept", n)
		}
		if n := by["busy"].kept; n < 200 || n > 400 {
			t.Errorf("%.0f busy ones are kept in 300 s, want about 300", n)
		}
	})
}

// A call that the caller has selected counts as one, not with the caller's probability.
func TestBudgetBelowCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(3, 4))
		by := map[string]*weighed{}
		c := Config{Budget: NewBudget(BudgetConfig{PerSecond: 10, Classes: 1}), Deliver: weigh(by)}
		r := newRecorder(t, c, selectAll)
		const seconds, calls = 60, 2000
		tenth, _ := sampling.ThresholdFromProbability(0.1)
		for range seconds {
			for range calls {
				randomness := random.Uint64() >> 8
				parent := remoteParent(t, 0, "")
				state := sampling.WithRandomness(parent.TraceState(), randomness)
				if tenth.Selects(randomness) {
					parent, state = parent.WithTraceFlags(1), sampling.WithThreshold(state, tenth)
				}
				parent = parent.WithTraceState(state)
				r.start(withParent(parent), "call").End()
			}
			time.Sleep(time.Second)
		}
		if n := by["call"].kept; n > 11*seconds+50 {
			t.Errorf("%.0f calls are kept in %d s, want 10 a second", n, seconds)
		}
		by["call"].check(t, "calls", seconds*calls)
	})
}

// A call whose caller tells no threshold counts with the probability that the sampler says
// for it, whether or not its randomness reaches that, and is kept with a part of it.
func TestBudgetBelowCallersWithoutThreshold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenth, _ := sampling.ThresholdFromProbability(0.1)
		by := map[string]*weighed{}
		c := Config{RemoteParent: Ask, Budget: NewBudget(BudgetConfig{PerSecond: 10, Classes: 1}), Deliver: weigh(by)}
		r := newRecorder(t, c, byParent(sampling.Always, tenth), onError)
		random := rand.New(rand.NewPCG(3, 4))
		const seconds, calls = 60, 2000
		for range seconds {
			for range calls {
				parent := remoteParent(t, 0, "")
				parent = parent.WithTraceState(sampling.WithRandomness(parent.TraceState(), random.Uint64()>>8))
				r.start(withParent(parent), "call").End()
			}
			time.Sleep(time.Second)
		}
		if n := by["call"].kept; n < 8*seconds || n > 11*seconds+50 {
			t.Errorf("%.0f calls are kept in %d s, want 10 a second", n, seconds)
		}
	})
}
