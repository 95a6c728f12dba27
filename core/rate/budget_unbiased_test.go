package rate_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/riffletrace/riffle/core/rate"
	"github.com/riffletrace/riffle/core/sampling"
)

// The sum of adjusted counts is the number of arrivals, in every load and of every kind,
// with the thresholds that are compared.
func TestBudgetUnbiased(t *testing.T) {
	if testing.Short() {
		t.Skip("statistics of one goroutine; CI runs this without -short too")
	}
	const seeds = 150
	kinds := []kind{
		{class: 0, p: 1, base: 0.1, size: heavyTail},
		{class: 1, p: 0.5, base: 0.1},
		{class: 2, p: 0.1, base: 0.1, size: heavyTail},
	}
	loads := []load{
		{5 * time.Second, []float64{2, 5, 100}},
		{time.Second, []float64{100, 100, 1000}},
		{5 * time.Second, []float64{2, 5, 100}},
	}
	random := rand.New(rand.NewPCG(10, 10))
	var sum, squares [3][3]float64
	for seed := range uint64(seeds) {
		var distance, variance [3][3]float64
		take(seed, rate.NewBudget(40, 3), kinds, loads, func(a taken) {
			k := kinds[a.kind]
			th, err := sampling.ThresholdFromProbability(k.p * a.f)
			base, errBase := sampling.ThresholdFromProbability(k.base * a.fBase)
			if err != nil || errBase != nil {
				t.Fatal(err, errBase)
			}
			th = min(th, base)
			w := th.AdjustedCount()
			variance[a.load][a.kind] += w - 1
			distance[a.load][a.kind]--
			if th.Selects(random.Uint64() >> 8) {
				distance[a.load][a.kind] += w
			}
		})
		for i := range distance {
			for k, d := range distance[i] {
				z := d / math.Sqrt(max(variance[i][k], 1e-9))
				sum[i][k] += z
				squares[i][k] += z * z
			}
		}
	}
	for i := range sum {
		for k := range sum[i] {
			mean, variance := sum[i][k]/seeds, squares[i][k]/seeds
			if math.Abs(mean) > 4/math.Sqrt(seeds) {
				t.Errorf("load %d, kind %d: mean z = %.3f over %d seeds, want 0 within %.3f", i, k, mean, seeds, 4/math.Sqrt(seeds))
			}
			if variance > 2 {
				t.Errorf("load %d, kind %d: variance of z = %.3f, want 1", i, k, variance)
			}
		}
	}
}
