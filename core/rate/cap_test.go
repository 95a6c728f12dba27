package rate_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/riffletrace/riffle/core/rate"
)

// Nothing that a limiter selects by chance makes the cap act.
func TestCapAndChance(t *testing.T) {
	for _, perSecond := range []float64{0.05, 0.5, 5, 50, 1000} {
		lasts := min(time.Hour, time.Duration(20_000/perSecond*float64(time.Second)))
		for name, phases := range map[string][]phase{
			"steady":            {{perSecond * 20, lasts}},
			"bursts":            {{perSecond, time.Minute}, {perSecond * 100, 5 * time.Second}, {0, 20 * time.Second}, {perSecond * 100, 5 * time.Second}},
			"less than allowed": {{perSecond * 0.9, lasts}},
		} {
			t.Run(fmt.Sprintf("%v/%s", perSecond, name), func(t *testing.T) {
				random := rand.New(rand.NewPCG(3, uint64(perSecond*1000)))
				l, c := rate.NewLimiter(perSecond, time.Second), rate.NewCap(perSecond, time.Second)
				arrivals(random, phases, func(_ int, at time.Time) {
					if acts, _ := c.Add(at, random.Float64() < l.Probability(at, 1, 1)); acts {
						t.Fatalf("the cap acts after %v", at.Sub(epoch))
					}
				})
			})
		}
	}
}

// Where all are selected, the cap acts within seconds, as long as that lasts, and lets
// twice the rate pass.
func TestCapOfChosenRandomness(t *testing.T) {
	const perSecond, lasts = 5, 60 * time.Second
	c := rate.NewCap(perSecond, time.Second)
	var passed, known int
	var first time.Duration
	arrivals(nil, []phase{{1454, lasts}}, func(_ int, at time.Time) {
		acts, cut := c.Add(at, true)
		if !cut {
			passed++
		}
		if !acts {
			known++
			first = at.Sub(epoch)
		}
	})
	if known > 2*perSecond*10+1 || first > time.Second {
		t.Errorf("%d were selected before the cap acted, the last after %v", known, first)
	}
	if most := int(2*perSecond*(lasts.Seconds()+10)) + 1; passed > most {
		t.Errorf("%d passed in %v, want at most %d", passed, lasts, most)
	}
	after := epoch.Add(lasts + 11*time.Second)
	if acts, cut := c.Add(after, true); acts || cut {
		t.Error("it still acts 11 s after the rush")
	}
}
