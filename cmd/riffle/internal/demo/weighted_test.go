package demo

import (
	"math/rand/v2"
	"testing"
)

func TestWeightedText(t *testing.T) {
	many := func(n int, weight float64) []float64 {
		weights := make([]float64, n)
		for i := range weights {
			weights[i] = weight
		}
		return weights
	}
	tests := map[string]struct {
		weights  []float64
		requests int
		want     string
	}{
		"there were none":                       {nil, 0, "0"},
		"nothing was kept":                      {nil, 90, "≥ 0"},
		"nothing was left out":                  {many(30, 1), 30, "30"},
		"what was left out is in no weight":     {many(4, 1), 90, "≥ 4"},
		"nobody knows how many there were":      {many(4, 1), -1, "≥ 4"},
		"one speaks for the rest":               {append(many(4, 1), 100), 90, "≥ 5"},
		"three do":                              {append(many(4, 1), many(3, 100)...), 300, "≥ 7"},
		"four do":                               {append(many(4, 1), many(4, 100)...), 300, "404 ± 199"},
		"one that is nearly sure to be kept":    {many(1, 1.25), 1, "1 ± 1"},
		"it does not matter how many it was":    {many(25, 100), -1, "2500 ± 497"},
		"one has no weight":                     {append(many(25, 100), 0), 2600, "≥ 26"},
		"one that was left out has no weight":   {append(many(25, 1), 0), 27, "≥ 26"},
		"unequal ones, the heaviest is too few": {append(many(10, 2), 1000), 1020, "≥ 11"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var w weighted
			for _, weight := range tc.weights {
				w.add(weight)
			}
			if got := w.text(tc.requests); got != tc.want {
				t.Errorf("%+v is %q, want %q", w, got, tc.want)
			}
		})
	}
}

// Where there is a standard error, the truth is seldom more than two of them away.
func TestWeightedStandardError(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, truth := range []int{500, 2000, 10_000} {
		const runs, rate = 2000, 0.01
		said, covered := 0, 0
		for range runs {
			var w weighted
			for range truth {
				if random.Float64() < rate {
					w.add(1 / rate)
				}
			}
			if e, ok := w.standardError(truth); ok {
				said++
				if d := w.sum - float64(truth); d*d <= 4*e*e {
					covered++
				}
			}
		}
		if said < runs/2 || float64(covered) < 0.85*float64(said) {
			t.Errorf("of %d requests: %d of %d runs have a standard error, in %d the truth is within two", truth, said, runs, covered)
		}
	}
}
