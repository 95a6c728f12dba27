package demo

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"sync"
	"testing"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

// defaultSpec is what the demo shows without a configuration.
func defaultSpec(t *testing.T) core.Spec {
	t.Helper()
	data, err := os.ReadFile("../../cli/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	spec, err := config.Parse(data, config.Environ(nil))
	if err != nil {
		t.Fatal(err)
	}
	spec.Exporters = nil
	return spec
}

// runs are those of so many seeds, a few at a time: most of what they take they wait.
func runs(t *testing.T, spec core.Spec, seeds, requests int) []*Result {
	t.Helper()
	const atOnce = 4
	results, errs := make([]*Result, seeds), make([]error, seeds)
	turns := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for seed := range results {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			results[seed], errs[seed] = Run(t.Context(), Options{
				Spec: spec, Exporters: component.Exporters, Requests: requests, Concurrency: 16, Seed: uint64(seed),
				Logger: slog.New(slog.DiscardHandler), Progress: func() {},
			})
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return results
}

// What riffle is for: every error and every slow request is kept, no health
// check is, and what is kept of the rest speaks for all of it.
func TestDefaultConfigOverTwentySeeds(t *testing.T) {
	const seeds, n = 20, 400
	spec := defaultSpec(t)
	var weighted, truth, variance float64
	for seed, r := range runs(t, spec, seeds, n) {
		if r.TracesKeptError != r.RequestsError || r.RequestsError == 0 {
			t.Errorf("seed %d: kept %d of %d errors", seed, r.TracesKeptError, r.RequestsError)
		}
		if r.TracesKeptSlow != r.RequestsSlow || r.RequestsSlow == 0 {
			t.Errorf("seed %d: kept %d of %d slow requests", seed, r.TracesKeptSlow, r.RequestsSlow)
		}
		if r.RequestsDropped != r.RequestsHealth || r.healthKept > 0 {
			t.Errorf("seed %d: of %d health checks %d were dropped, %d kept", seed, r.RequestsHealth, r.RequestsDropped, r.healthKept)
		}
		weighted += r.WeightedRequests
		truth += float64(r.Requests - r.RequestsDropped)
		variance += r.weighted.all.variance
	}
	if off, sigma := weighted-truth, math.Sqrt(variance); math.Abs(off) > 4*sigma {
		t.Errorf("the weights speak for %.0f requests, there were %.0f: more than 4 standard errors (%.0f) off", weighted, truth, sigma)
	}
}
