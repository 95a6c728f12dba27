package rate_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/riffletrace/riffle/core/rate"
)

// epoch is where the clocks of these tests start; they are plain values.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// phase is a time with arrivals at a steady rate.
type phase struct {
	perSecond float64
	lasts     time.Duration
}

// arrivals calls f with the time of each arrival of the phases in turn, at even
// distances or, with a generator, as a Poisson process.
func arrivals(random *rand.Rand, phases []phase, f func(phase int, at time.Time)) {
	begin := epoch
	for i, p := range phases {
		end := begin.Add(p.lasts)
		for at := begin; p.perSecond > 0; {
			gap := 1.0
			if random != nil {
				gap = random.ExpFloat64()
			}
			at = at.Add(time.Duration(gap / p.perSecond * 1e9))
			if !at.Before(end) {
				break
			}
			f(i, at)
		}
		begin = end
	}
}

func within(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance*want {
		t.Errorf("%s = %.4g, want %.4g within %.0f%%", what, got, want, tolerance*100)
	}
}

func TestCounterForgets(t *testing.T) {
	const window = 10 * time.Second
	c := rate.NewCounter(window)
	arrivals(nil, []phase{{100, 60 * time.Second}}, func(_ int, at time.Time) { c.Add(at, 1) })
	at := epoch.Add(time.Minute)
	for _, tt := range []struct {
		after time.Duration
		want  float64
	}{{0, 100}, {window / 2, 75}, {window, 50}, {window * 3 / 2, 25}, {2 * window, 0}, {time.Hour, 0}} {
		if got := c.PerSecond(at.Add(tt.after)); math.Abs(got-tt.want) > 0.5 {
			t.Errorf("rate %v after the last of 100 arrivals a second = %.2f, want %.2f", tt.after, got, tt.want)
		}
	}
}

func TestCounterOfSteadyRate(t *testing.T) {
	for _, perSecond := range []float64{1, 10, 1000} {
		c := rate.NewCounter(10 * time.Second)
		arrivals(nil, []phase{{perSecond, time.Minute}}, func(_ int, at time.Time) {
			if got := c.PerSecond(at); at.Sub(epoch) > 20*time.Second && math.Abs(got-perSecond) > 0.1+perSecond/1000 {
				t.Fatalf("rate after %v = %.2f, want %.2f", at.Sub(epoch), got, perSecond)
			}
			c.Add(at, 1)
		})
	}
}

func TestCounterWhoseClockGoesBack(t *testing.T) {
	c := rate.NewCounter(time.Second)
	c.Add(epoch, 1)
	c.Add(epoch.Add(time.Second), 1)
	c.Add(epoch.Add(-time.Hour), 2)
	if got := c.PerSecond(epoch.Add(time.Second)); got != 2 {
		t.Errorf("rate = %v, want 2: four arrivals in two windows", got)
	}
}

// However a storm comes, its first second keeps at most 10 N, in expectation
// and with four standard deviations.
func TestLimiterInStorm(t *testing.T) {
	before := map[string][]phase{
		"at once":             {},
		"after an idle hour":  {{1000, 10 * time.Second}, {0, time.Hour}},
		"after few arrivals":  {{0.5, time.Minute}},
		"after another storm": {{50_000, time.Second}, {0, 3 * time.Second}},
	}
	for name, before := range before {
		for _, n := range []float64{1, 2, 10, 100, 1000} {
			for _, poisson := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/N=%v/poisson=%v", name, n, poisson), func(t *testing.T) {
					var random *rand.Rand
					if poisson {
						random = rand.New(rand.NewPCG(1, uint64(n)))
					}
					l := rate.NewLimiter(n, time.Second)
					var mean, variance float64
					phases := append(slices.Clip(before), phase{50_000, time.Second})
					arrivals(random, phases, func(i int, at time.Time) {
						if p := l.Probability(at, 1, 1); i == len(before) {
							mean += p
							variance += p * (1 - p)
						}
					})
					if mean > 3*n {
						t.Errorf("expects to keep %.2f in the first second, want at most 3 N = %v", mean, 3*n)
					}
					if got := mean + 4*math.Sqrt(variance); got > 10*n {
						t.Errorf("keeps up to %.1f in the first second, want at most 10 N = %v", got, 10*n)
					}
				})
			}
		}
	}
}

func TestLimiterHoldsRate(t *testing.T) {
	for _, n := range []float64{0.1, 1, 10, 1000} {
		for _, times := range []float64{1.5, 2, 10, 50} {
			t.Run(fmt.Sprintf("N=%v/rate=%vN", n, times), func(t *testing.T) {
				random := rand.New(rand.NewPCG(2, uint64(n*times)))
				l := rate.NewLimiter(n, time.Second)
				lasts := time.Duration(20_000 / n / times * 1e9)
				var kept float64
				arrivals(random, []phase{{n * times, 10 * time.Second}, {n * times, lasts}}, func(i int, at time.Time) {
					if p := l.Probability(at, 1, 1); i == 1 {
						kept += p
					}
				})
				within(t, "kept a second", kept/lasts.Seconds(), n, 0.2)
			})
		}
	}
}

func TestLimiterLeavesLowRateAlone(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	for _, n := range []float64{1, 10, 1000} {
		l := rate.NewLimiter(n, time.Second)
		var kept, all float64
		arrivals(random, []phase{{n / 4, time.Duration(5000 / n * 4e9)}}, func(_ int, at time.Time) {
			kept += l.Probability(at, 1, 1)
			all++
		})
		within(t, fmt.Sprintf("kept of a quarter of %v a second", n), kept, all, 0.1)
	}
}

// In every interval the budget bounds what is expected to be kept.
func TestLimiterBound(t *testing.T) {
	const n = 5.0
	random := rand.New(rand.NewPCG(4, 4))
	var phases []phase
	for range 40 {
		phases = append(phases, phase{math.Exp(random.Float64() * 9), time.Duration(random.ExpFloat64() * 1e9)})
	}
	type arrival struct {
		at   time.Duration
		kept float64 // by it and all before
	}
	seen := []arrival{{}}
	l := rate.NewLimiter(n, time.Second)
	arrivals(random, phases, func(_ int, at time.Time) {
		p := l.Probability(at, 1, 1)
		if p <= 0 || p > 1 {
			t.Fatalf("p = %v", p)
		}
		seen = append(seen, arrival{at.Sub(epoch), seen[len(seen)-1].kept + p})
	})
	for range 100_000 {
		i := 1 + random.IntN(len(seen)-1)
		j := i + random.IntN(len(seen)-i)
		kept := seen[j].kept - seen[i-1].kept
		if bound := n * ((seen[j].at - seen[i].at).Seconds() + 2); kept > bound+1e-6 {
			t.Fatalf("expects to keep %.2f from %v to %v, want at most %.2f", kept, seen[i].at, seen[j].at, bound)
		}
	}
}

func TestLimiterNeverExceedsSampler(t *testing.T) {
	l := rate.NewLimiter(10, time.Second)
	var kept float64
	arrivals(nil, []phase{{10_000, 20 * time.Second}}, func(_ int, at time.Time) {
		p := l.Probability(at, 0.01, 1)
		if p <= 0 || p > 0.01 {
			t.Fatalf("p = %v, want more than 0 and at most 0.01", p)
		}
		if at.Sub(epoch) > 10*time.Second {
			kept += p
		}
	})
	within(t, "kept a second", kept/10, 10, 0.05)
	if p := l.Probability(epoch.Add(time.Minute), 0, 1); p != 0 {
		t.Errorf("p = %v where the sampler's is 0", p)
	}
}

func TestLimiterWhoseClockStands(t *testing.T) {
	l := rate.NewLimiter(1, time.Second)
	var kept float64
	for range 100_000 {
		p := l.Probability(epoch, 1, 1)
		if p <= 0 {
			t.Fatal("p is 0: such a trace has no weight")
		}
		kept += p
	}
	if kept > 2 {
		t.Errorf("expects to keep %v at one instant, want at most two windows' worth", kept)
	}
}

// Goroutines bring their times out of order; no time flows in twice.
func TestLimiterWhoseClockGoesBack(t *testing.T) {
	l := rate.NewLimiter(10, time.Second)
	var kept float64
	for i := range 10_000 {
		kept += l.Probability(epoch.Add(time.Duration(i%2)*time.Second), 1, 1)
	}
	if kept > 30 {
		t.Errorf("expects to keep %.1f in a second, want at most three windows' worth", kept)
	}
}

// From 10 to 10,000 a second and back, each within a fifth of the target after
// three windows.
func TestTargetFollowsSteps(t *testing.T) {
	const window = 10 * time.Second
	for _, target := range []float64{1, 10} {
		for _, poisson := range []bool{false, true} {
			t.Run(fmt.Sprintf("target=%v/poisson=%v", target, poisson), func(t *testing.T) {
				var random *rand.Rand
				if poisson {
					random = rand.New(rand.NewPCG(5, uint64(target)))
				}
				phases := []phase{
					{10, 3 * window},
					{10, 10 * window},
					{10_000, 3 * window},
					{10_000, window},
					{10, 3 * window},
					{10, 10 * window},
				}
				var kept [6]float64
				tg := rate.NewTarget(target, window)
				arrivals(random, phases, func(i int, at time.Time) { kept[i] += tg.Probability(at) })
				for i := 1; i < len(phases); i += 2 {
					want := min(target, phases[i].perSecond)
					within(t, fmt.Sprintf("kept of %v a second", phases[i].perSecond), kept[i]/phases[i].lasts.Seconds(), want, 0.2)
				}
			})
		}
	}
}

func TestTargetRisesByTwoASecondAtMost(t *testing.T) {
	tg := rate.NewTarget(10, time.Second)
	last, at := 1.0, epoch
	arrivals(nil, []phase{{10_000, 5 * time.Second}, {20, 20 * time.Second}}, func(_ int, now time.Time) {
		p := tg.Probability(now)
		if now.Sub(epoch) < 3*time.Second { // tokens bound it until the estimate is right
			last, at = p, now
			return
		}
		if most := last * math.Exp2(now.Sub(at).Seconds()); p > most*(1+1e-9) {
			t.Fatalf("p rose from %v to %v in %v", last, p, now.Sub(at))
		}
		if p != last {
			last, at = p, now
		}
	})
	within(t, "p at 20 a second", last, 0.5, 0.05)
}

func TestTargetIdle(t *testing.T) {
	tg := rate.NewTarget(10, time.Second)
	if !tg.Idle(epoch) {
		t.Error("not idle without any arrival")
	}
	tg.Probability(epoch)
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {time.Second, false}, {1999 * time.Millisecond, false}, {3 * time.Second, true}} {
		if got := tg.Idle(epoch.Add(tt.after)); got != tt.want {
			t.Errorf("idle %v after an arrival = %v, want %v", tt.after, got, tt.want)
		}
	}
}

func TestTargetKeepsRareArrivals(t *testing.T) {
	tg := rate.NewTarget(0.1, 10*time.Second)
	arrivals(nil, []phase{{0.05, time.Hour}}, func(_ int, at time.Time) {
		if p := tg.Probability(at); p != 1 {
			t.Fatalf("p = %v at %v for half of the target", p, at.Sub(epoch))
		}
	})
}

// The sum of adjusted counts is the number of arrivals, across steps too: z is
// their distance in standard errors and must look like a standard normal one.
func TestUnbiased(t *testing.T) {
	if testing.Short() {
		t.Skip("statistics of one goroutine; CI runs this without -short too")
	}
	phases := []phase{{20, 10 * time.Second}, {2000, 3 * time.Second}, {20, 40 * time.Second}}
	for name, probability := range map[string]func() func(time.Time) float64{
		"limiter": func() func(time.Time) float64 {
			l := rate.NewLimiter(40, time.Second)
			return func(at time.Time) float64 { return l.Probability(at, 1, 1) }
		},
		"target": func() func(time.Time) float64 { return rate.NewTarget(40, 2*time.Second).Probability },
	} {
		t.Run(name, func(t *testing.T) {
			const seeds = 150
			random := rand.New(rand.NewPCG(6, 6))
			var sum, squares [3]float64
			for range seeds {
				var estimate, truth, variance [3]float64
				p := probability()
				arrivals(random, phases, func(i int, at time.Time) {
					p := p(at)
					truth[i]++
					variance[i] += 1/p - 1
					if random.Float64() < p {
						estimate[i] += 1 / p
					}
				})
				for i := range phases {
					if variance[i] == 0 {
						continue
					}
					z := (estimate[i] - truth[i]) / math.Sqrt(variance[i])
					sum[i] += z
					squares[i] += z * z
				}
			}
			for i := range phases {
				mean, variance := sum[i]/seeds, squares[i]/seeds
				if mean*mean > 16/float64(seeds) {
					t.Errorf("phase %d: mean z = %.3f over %d seeds, want 0 within %.3f", i, mean, seeds, 4/math.Sqrt(seeds))
				}
				if variance != 0 && (variance < 0.7 || variance > 1.3) {
					t.Errorf("phase %d: variance of z = %.3f, want 1", i, variance)
				}
			}
		})
	}
}

func TestConcurrentSafe(t *testing.T) {
	const goroutines, each = 8, 2000
	l, tg := rate.NewLimiter(100, time.Second), rate.NewTarget(100, 10*time.Second)
	var mu sync.Mutex
	var kept float64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			var sum float64
			for i := range each {
				at := epoch.Add(time.Duration(i) * time.Second / each)
				sum += l.Probability(at, 1, 1)
				if p := tg.Probability(at); p <= 0 || p > 1 {
					t.Errorf("p = %v", p)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			kept += sum
		})
	}
	wg.Wait()
	if kept > 300 {
		t.Errorf("expects to keep %.1f in a second, want at most three windows' worth", kept)
	}
	// All arrivals of the target are counted, also those that found it at work:
	// 16,000 within twenty seconds is 800 a second. By then there are tokens again.
	within(t, "p", tg.Probability(epoch.Add(4*time.Second)), 100/800.0, 0.05)
}

func BenchmarkProbability(b *testing.B) {
	l, tg := rate.NewLimiter(100, time.Second), rate.NewTarget(100, 10*time.Second)
	for name, f := range map[string]func(time.Time) float64{
		"limiter": func(at time.Time) float64 { return l.Probability(at, 1, 1) },
		"target":  tg.Probability,
	} {
		b.Run("of="+name, func(b *testing.B) {
			b.ReportAllocs()
			at := epoch
			for b.Loop() {
				at = at.Add(time.Microsecond)
				f(at)
			}
		})
		b.Run("of="+name+"/parallel=true", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				at := epoch
				for pb.Next() {
					at = at.Add(time.Microsecond)
					f(at)
				}
			})
		})
	}
}
