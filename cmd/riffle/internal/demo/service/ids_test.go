package service

import (
	"context"
	"math"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

func idOf(seed, number uint64) trace.TraceID {
	id, _ := IDs{Seed: seed}.NewIDs(context.WithValue(context.Background(), numberKey{}, number))
	return id
}

// Samplers compare the low 56 bits of the trace ID: over the seeds, the share
// selected must vary as much as chance does, no more and no less.
func TestIDsAreRandom(t *testing.T) {
	const seeds, n, rate = 400, 500, 0.1
	threshold, err := sampling.ThresholdFromProbability(rate)
	if err != nil {
		t.Fatal(err)
	}
	var sum, squares float64
	for seed := range uint64(seeds) {
		selected := 0.0
		for number := range uint64(n) {
			sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: idOf(seed, number)})
			if threshold.Selects(sampling.Randomness(sc)) {
				selected++
			}
		}
		z := (selected - n*rate) / math.Sqrt(n*rate*(1-rate))
		sum += z
		squares += z * z
	}
	// The mean of z has the standard error 1/sqrt(seeds), that of z² sqrt(2/seeds).
	if mean := sum / seeds; math.Abs(mean) > 4/math.Sqrt(seeds) {
		t.Errorf("the mean of z is %v, want about 0", mean)
	}
	if mean := squares / seeds; math.Abs(mean-1) > 4*math.Sqrt(2.0/seeds) {
		t.Errorf("the mean of z² is %v, want about 1", mean)
	}
}

func TestIDsComeFromTheSeed(t *testing.T) {
	id := idOf(1, 2)
	if again := idOf(1, 2); again != id {
		t.Errorf("the same seed and number give %v, then %v", id, again)
	}
	if id == idOf(2, 1) || id == idOf(1, 3) {
		t.Error("another seed or number gives the same trace ID")
	}
	a, _ := IDs{}.NewIDs(t.Context())
	b, _ := IDs{}.NewIDs(t.Context())
	if a == b || !a.IsValid() {
		t.Errorf("without a number: %v, then %v", a, b)
	}
}
