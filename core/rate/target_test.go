package rate_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/riffletrace/riffle/core/rate"
)

// A storm from the first second on is not kept until the estimate of its rate is right.
func TestTargetStartsWithoutOvershoot(t *testing.T) {
	for _, target := range []float64{0.1, 1, 10, 100} {
		for _, perSecond := range []float64{1000, 20_000} {
			t.Run(fmt.Sprintf("target=%v/rate=%v", target, perSecond), func(t *testing.T) {
				tg := rate.NewTarget(target, 10*time.Second)
				var kept, second float64
				arrivals(nil, []phase{{perSecond, time.Second}, {perSecond, 4 * time.Second}}, func(i int, at time.Time) {
					if p := tg.Probability(at); i == 0 {
						kept += p
					} else {
						second += p
					}
				})
				if most := max(5, target) + 1.2*target; kept > most || kept < target {
					t.Errorf("expects to keep %.1f in the first second, want %v to %v", kept, target, most)
				}
				within(t, "kept a second after that", second/4, target, 0.2)
			})
		}
	}
}

// The first requests of a quiet service are kept, and all of them if it stays quiet.
func TestTargetKeepsTheFirstArrivals(t *testing.T) {
	for _, target := range []float64{0.5, 1, 10} {
		tg := rate.NewTarget(target, 10*time.Second)
		for i := range 4 {
			if p := tg.Probability(epoch); p != 1 {
				t.Errorf("target %v: the %d. arrival has p = %v", target, i+1, p)
			}
		}
	}
	tg := rate.NewTarget(10, 10*time.Second)
	arrivals(rand.New(rand.NewPCG(8, 8)), []phase{{2, 10 * time.Minute}}, func(_ int, at time.Time) {
		if p := tg.Probability(at); p != 1 {
			t.Errorf("p = %v at %v, at a fifth of the target", p, at.Sub(epoch))
		}
	})
}

// In every interval what is expected to be kept is bounded by what flows in, and two
// windows' worth.
func TestTargetBound(t *testing.T) {
	const n, window = 5.0, 2 * time.Second
	random := rand.New(rand.NewPCG(4, 5))
	var phases []phase
	for range 60 {
		phases = append(phases, phase{[]float64{1, 5, 100, 5000}[random.IntN(4)], time.Duration(random.ExpFloat64() * 2e9)})
	}
	type arrival struct {
		at   time.Duration
		kept float64 // by it and all before
	}
	seen := []arrival{{}}
	tg := rate.NewTarget(n, window)
	arrivals(random, phases, func(_ int, at time.Time) {
		seen = append(seen, arrival{at.Sub(epoch), seen[len(seen)-1].kept + tg.Probability(at)})
	})
	for range 100_000 {
		i := 1 + random.IntN(len(seen)-1)
		j := i + random.IntN(len(seen)-i)
		kept := seen[j].kept - seen[i-1].kept
		if bound := n*(seen[j].at-seen[i].at+2*window).Seconds() + 1 + 0.2*n; kept > bound {
			t.Fatalf("expects to keep %.2f from %v to %v, want at most %.2f", kept, seen[i].at, seen[j].at, bound)
		}
	}
}

// What comes at one instant has weights that are not out of all proportion.
func TestTargetAtOneInstant(t *testing.T) {
	const n, arrivals = 10.0, 10_000
	tg := rate.NewTarget(n, 10*time.Second)
	least, kept := 1.0, 0.0
	for range arrivals {
		p := tg.Probability(epoch)
		least, kept = min(least, p), kept+p
	}
	if spread := n / arrivals; least < spread/10 {
		t.Errorf("an arrival of %d has p = %v, want about %v", arrivals, least, spread)
	}
	if kept > 3*n {
		t.Errorf("expects to keep %.1f at one instant, want about %v", kept, n)
	}
	last := epoch.Add(3 * time.Second)
	if p := tg.Probability(last); p < n*20/arrivals/2 {
		t.Errorf("p = %v three seconds later", p)
	}
}

// Nor is what comes seldom kept while the estimate is too low.
func TestTargetOfSeldomArrivals(t *testing.T) {
	tg := rate.NewTarget(0.1, 10*time.Minute)
	var kept float64
	arrivals(nil, []phase{{0.4, 100 * time.Second}}, func(_ int, at time.Time) { kept += tg.Probability(at) })
	if kept > 5+10+1 {
		t.Errorf("expects to keep %.1f of 40 in 100 s, want no more than 5 and 10", kept)
	}
}

// While tokens bound it, the probability follows what comes in a quarter of a second, not
// the pause before each arrival: that would make weights uneven.
func TestTargetIsSmooth(t *testing.T) {
	tg := rate.NewTarget(10, 10*time.Second)
	var n, sum, weights float64
	arrivals(rand.New(rand.NewPCG(1, 2)), []phase{{1000, time.Second}, {1000, 2 * time.Second}}, func(i int, at time.Time) {
		if p := tg.Probability(at); i == 1 {
			n, sum, weights = n+1, sum+p, weights+1/p
		}
	})
	if uneven := sum / n * weights / n; uneven > 1.1 {
		t.Errorf("weights are %.2f times those of the mean probability", uneven)
	}
}

// What was kept without tokens does not have to be paid for long.
func TestTargetForgivesDebt(t *testing.T) {
	tg := rate.NewTarget(10, 10*time.Second)
	const n = 300_000
	for range n {
		tg.Probability(epoch)
	}
	// Those of two seconds share three tokens.
	if p, want := tg.Probability(epoch.Add(1300*time.Millisecond)), 3.0/(n/2/4); p < want/2 {
		t.Errorf("p = %v, want about %v", p, want)
	}
}
