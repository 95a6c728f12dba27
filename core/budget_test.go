package core_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// storm starts so many local roots, of which all fail or none, and tells how many were
// kept.
func (b *testBench) storm(requests int, failed bool) (kept uint64) {
	b.t.Helper()
	before := b.provider.Stats().SpansKept
	for range requests {
		_, s := b.tracer.Start(b.t.Context(), "request")
		if failed {
			s.SetStatus(codes.Error, "no")
		}
		s.End()
	}
	return b.provider.Stats().SpansKept - before
}

// named makes a list entry of a sampler of a type.
func named(kind, name string, s sampling.Sampler) core.SamplerEntry {
	return core.UseSampler(component.NewFactory(kind, struct{}{}, func(context.Context, component.Settings, struct{}) (sampling.Sampler, error) {
		return s, nil
	}), name, struct{}{})
}

// What is over the budget is not kept, and counted.
func TestBudget(t *testing.T) {
	reader := metric.NewManualReader()
	b := newBench(t, core.Spec{Budget: &core.BudgetConfig{TracesPerSecond: 0.001}},
		core.MeterProvider(metric.NewMeterProvider(metric.WithReader(reader))))
	const requests = 1000
	kept := b.storm(requests, true)
	if kept > 20 { // the half of one is expected
		t.Errorf("%d are kept of a budget that has none", kept)
	}
	if n := b.provider.Stats().OverBudget; n != requests-kept {
		t.Errorf("%d are over the budget, want %d", n, requests-kept)
	}
	got := collect(t, reader)
	for name, want := range map[string]uint64{"over_budget": requests - kept, "not_selected": 0} {
		if n := got["riffle.segments.not_kept riffle.reason="+name]; n != int64(want) {
			t.Errorf("%d are not kept because they are %s, want %d", n, name, want)
		}
	}
}

// The order is of names and of types, and errors are cut last where there is none.
func TestBudgetOrder(t *testing.T) {
	for name, tt := range map[string]struct {
		order []string
		first bool // whether errors come before the others
	}{
		"default":           {nil, true},
		"by name":           {[]string{"failures"}, true},
		"by type":           {[]string{"error", "baseline"}, true},
		"a start sampler":   {[]string{"all", "failures"}, false},
		"all are alike":     {[]string{"baseline"}, false},
		"only another type": {[]string{"slow"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, core.Spec{
				Budget: &core.BudgetConfig{TracesPerSecond: 200, Order: tt.order},
				Samplers: []core.SamplerEntry{
					named("error", "failures", keepsErrors{}), core.UseSampler(ratio.Factory, "all", ratio.Config{Rate: 1}),
				},
			})
			const requests, failures = 20000, 10
			b.storm(requests, false) // takes what there is
			if kept := b.storm(failures, true); (kept == failures) != tt.first {
				t.Errorf("%d of %d errors are kept, want all: %v", kept, failures, tt.first)
			}
		})
	}
}

// A reload that leaves the budget as it is leaves what is spent as it is.
func TestBudgetOverReloads(t *testing.T) {
	const reloads = 100
	for name, tt := range map[string]struct {
		changes bool
		ok      func(kept uint64) bool
	}{
		"as it is": {false, func(kept uint64) bool { return kept < 10 }}, // one is expected
		"another":  {true, func(kept uint64) bool { return kept > reloads/2 }},
	} {
		t.Run(name, func(t *testing.T) {
			spec := core.Spec{Enabled: true, Samplers: []core.SamplerEntry{use("all", &answering{answer: sampling.At(sampling.Always)})}}
			spec.Budget = &core.BudgetConfig{TracesPerSecond: 1e-9}
			b := newBench(t, spec)
			var kept uint64
			for i := range reloads {
				if spec.Budget = (&core.BudgetConfig{TracesPerSecond: 1e-9}); tt.changes {
					spec.Budget.TracesPerSecond /= float64(i + 2)
				}
				if err := b.provider.Reload(t.Context(), func() (core.Spec, error) { return spec, nil }); err != nil {
					t.Fatal(err)
				}
				kept += b.storm(100, false)
			}
			if !tt.ok(kept) {
				t.Errorf("%d are kept over %d reloads, of a budget of next to nothing", kept, reloads)
			}
		})
	}
}
