package jaegerremote

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffletrace/riffle/core/sampling"
)

func TestAnswers(t *testing.T) {
	long := strings.Repeat("x", maxOperation+1)
	ops := map[string]float64{"often": 0.01, "all": 1, "none": 0, long: 1}
	for _, tt := range []struct {
		name      string
		strategy  strategy
		operation string
		want      float64
		reason    string
	}{
		{"all traces", strategy{probability: 0.25}, "x", 0.25, "25%"},
		{"none", strategy{}, "x", 0, "0%"},
		{"an operation", strategy{probability: 0.5, operations: ops}, "often", 0.01, "operation, 1%"},
		{"another", strategy{probability: 0.5, operations: ops}, "seldom", 0.5, "50%"},
		{"a long name", strategy{probability: 0.5, operations: ops}, long, 0.5, "50%"},
		{"no operation", strategy{operations: ops}, "none", 0, "operation, 0%"},
		{"the first of one that is guaranteed a rate", strategy{operations: ops, atLeast: 1}, "often", 1, "operation, at least 1/s"},
		{"one that is kept anyway", strategy{operations: ops, atLeast: 1}, "all", 1, "operation, 100%"},
		{"a limit of none", strategy{limited: true}, "x", 0, "at most 0/s"},
		{"a limit", strategy{limited: true, perSecond: 5}, "x", 1, "at most 5/s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newRules(&tt.strategy, nil).answer(tt.operation)
			th, _ := a.Threshold()
			if p := th.Probability(); math.Abs(p-tt.want) > tt.want/1000 || a.Reason != tt.reason {
				t.Errorf("%v for %q, want %v for %q", p, a.Reason, tt.want, tt.reason)
			}
		})
	}
}

// traffic asks about operations that come at random, so many a second each, and
// counts by operation what came, what was kept, and for how many that stands.
func traffic(r *rules, lasts time.Duration, rates map[string]float64) (came, kept, weight map[string]float64) {
	random := rand.New(rand.NewPCG(1, 2))
	came, kept, weight = map[string]float64{}, map[string]float64{}, map[string]float64{}
	total := 0.0
	var names []string
	for name, rate := range rates {
		total += rate
		names = append(names, name)
	}
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		time.Sleep(time.Duration(random.ExpFloat64() / total * float64(time.Second)))
		at, name := random.Float64()*total, ""
		for _, name = range names {
			if at -= rates[name]; at < 0 {
				break
			}
		}
		th, _ := r.answer(name).Threshold()
		came[name]++
		if th.Selects(random.Uint64N(uint64(sampling.Never))) {
			kept[name]++
			weight[name] += th.AdjustedCount()
		}
	}
	return came, kept, weight
}

// A rate is kept on average, and the weights of what is kept add up to what came.
func TestRates(t *testing.T) {
	for _, tt := range []struct {
		name     string
		strategy strategy
		rates    map[string]float64 // of what comes
		want     map[string]float64 // of what is kept
	}{
		{"a limit", strategy{limited: true, perSecond: 10}, map[string]float64{"a": 300, "b": 200}, map[string]float64{"": 10}},
		{"a limit that is not reached", strategy{limited: true, perSecond: 50}, map[string]float64{"a": 10, "b": 5}, map[string]float64{"": 15}},
		{
			"a guaranteed rate",
			strategy{operations: map[string]float64{"seldom": 0.001, "often": 0.1, "rare": 0.001}, probability: 0.001, atLeast: 0.5},
			map[string]float64{"seldom": 20, "often": 100, "rare": 0.2, "unlisted": 50},
			map[string]float64{"seldom": 0.5, "often": 10, "rare": 0.2, "unlisted": 0.5},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRules(&tt.strategy, nil)
				traffic(r, time.Minute, tt.rates) // until the rates are known
				const lasts = 20 * time.Minute
				came, kept, weight := traffic(r, lasts, tt.rates)
				sums := map[string][3]float64{}
				for name := range tt.rates {
					for _, of := range []string{name, ""} {
						s := sums[of]
						sums[of] = [3]float64{s[0] + came[name], s[1] + kept[name], s[2] + weight[name]}
					}
				}
				for name, want := range tt.want {
					s := sums[name]
					n := want * lasts.Seconds()
					// A guarantee may be exceeded by a little, where estimates of few arrivals vary.
					if least, most := n-5*math.Sqrt(n), 1.15*n+5*math.Sqrt(n); s[1] < least || s[1] > most {
						t.Errorf("%q: %v were kept, want from %.0f to %.0f", name, s[1], least, most)
					}
					if off := math.Abs(s[2]-s[0]) / s[0]; off > 5/math.Sqrt(s[1]) {
						t.Errorf("%q: the weights add up to %.0f of %.0f", name, s[2], s[0])
					}
				}
			})
		})
	}
}

// A strategy that asks for the same goes on where the one before was.
func TestRatesGoOn(t *testing.T) {
	guaranteed := newRules(&strategy{atLeast: 1}, nil)
	limited := newRules(&strategy{limited: true, perSecond: 1}, nil)
	for _, tt := range []struct {
		name  string
		next  strategy
		after *rules
		same  bool
	}{
		{"a guaranteed rate", strategy{atLeast: 1, probability: 0.5}, guaranteed, true},
		{"another", strategy{atLeast: 2}, guaranteed, false},
		{"a limit", strategy{limited: true, perSecond: 1, left: 1}, limited, true},
		{"another limit", strategy{limited: true, perSecond: 2}, limited, false},
		{"a limit after none", strategy{limited: true, perSecond: 1}, guaranteed, false},
	} {
		r := newRules(&tt.next, tt.after)
		if same := r.atLeast == tt.after.atLeast && r.limiter == tt.after.limiter; same != tt.same {
			t.Errorf("%s: goes on: %v", tt.name, same)
		}
	}
}

// However many names there are, the memory is bounded, and those that find no room
// have one guarantee between them.
func TestManyNames(t *testing.T) {
	r := newRules(&strategy{probability: 0.25, atLeast: 0.001}, nil)
	var raised int
	for i := range 3 * maxOperations {
		if r.answer(fmt.Sprint(i)).Reason == r.raised {
			raised++
		}
	}
	if raised < maxOperations || raised > maxOperations+100 {
		t.Errorf("%d operations have a guarantee of their own", raised)
	}
}
