// Package stats sums measurements up without claiming more than they say.
package stats

import (
	"math"
	"math/rand/v2"
	"slices"
)

// resamples is how often a bootstrap draws.
const resamples = 4000

// confidence is of every interval.
const confidence = 0.95

// MinRounds is from how many on there is an interval: the least and the greatest of
// n values have the median between them with a probability of 1-2^(1-n), which is 0.95 or
// more from 6 on.
const MinRounds = 6

// Estimate is a figure with its 95 % interval.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Known reports whether there was anything to estimate.
func (e Estimate) Known() bool {
	return !math.IsNaN(e.Value) && (e.Value != 0 || e.Low != 0 || e.High != 0)
}

// Bounded reports whether there is an interval: there is none of less than [MinRounds].
func (e Estimate) Bounded() bool { return e.Low > -math.MaxFloat64 && e.High < math.MaxFloat64 }

// Resolves reports whether the interval leaves no doubt on which side of x the
// figure is.
func (e Estimate) Resolves(x float64) bool { return e.Low > x || e.High < x }

// Times is the figure in another unit, of which there are factor in one of this.
func (e Estimate) Times(factor float64) Estimate {
	if !e.Bounded() {
		return Unbounded(e.Value * factor)
	}
	return Estimate{Value: e.Value * factor, Low: e.Low * factor, High: e.High * factor}
}

// Unbounded is a figure that nothing is known of but that it was seen.
func Unbounded(v float64) Estimate {
	return Estimate{Value: v, Low: -math.MaxFloat64, High: math.MaxFloat64}
}

// Median is the middle of values, the mean of the two middle ones if there are
// two; NaN of none. It leaves the slice as it is.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return middle(sorted)
}

func middle(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// MedianOf estimates the median of what values are drawn from.
func MedianOf(values []float64) Estimate {
	return Bootstrap(len(values), func(pick []int) float64 {
		drawn := make([]float64, len(pick))
		for i, p := range pick {
			drawn[i] = values[p]
		}
		slices.Sort(drawn)
		return middle(drawn)
	})
}

// Bootstrap estimates a figure of n rounds: of is called with the rounds to
// take it from, each as often as it was drawn. The interval is that between
// percentiles of the draws. The seed is fixed, so the same rounds give the same
// interval. With fewer than [MinRounds] rounds there is no interval to speak of: it
// has no end.
func Bootstrap(n int, of func(pick []int) float64) Estimate {
	if n == 0 {
		return Estimate{}
	}
	pick := make([]int, n)
	for i := range pick {
		pick[i] = i
	}
	e := Estimate{Value: of(pick)}
	if n < MinRounds {
		return Unbounded(e.Value)
	}
	random := rand.New(rand.NewPCG(1, uint64(n)))
	draws := make([]float64, 0, resamples)
	for range resamples {
		for i := range pick {
			pick[i] = random.IntN(n)
		}
		if v := of(pick); !math.IsNaN(v) {
			draws = append(draws, v)
		}
	}
	if len(draws) == 0 {
		return Estimate{}
	}
	slices.Sort(draws)
	e.Low, e.High = Quantile(draws, (1-confidence)/2), Quantile(draws, (1+confidence)/2)
	return e
}

// Quantile is that of sorted values, between which it interpolates.
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	below := int(at)
	if below >= len(sorted)-1 {
		return sorted[len(sorted)-1]
	}
	return sorted[below] + (at-float64(below))*(sorted[below+1]-sorted[below])
}
