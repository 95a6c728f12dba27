package core

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// A word of the order that no sampler bears is no class.
func TestBudgetClasses(t *testing.T) {
	entry := func(kind, name string) SamplerEntry {
		return UseSampler(component.NewFactory(kind, struct{}{}, func(context.Context, component.Settings, struct{}) (sampling.Sampler, error) {
			return nil, nil //nolint:nilnil // it is not built
		}), name, struct{}{})
	}
	baseline, failures := entry("ratio", ""), entry("error", "failures")
	for name, tt := range map[string]struct {
		order    []string
		samplers []SamplerEntry
		want     []string
	}{
		"nobody but a baseline": {nil, []SamplerEntry{baseline}, []string{}},
		"errors":                {nil, []SamplerEntry{failures, baseline}, []string{"error"}},
		"a name":                {[]string{"slow", "failures", "baseline"}, []SamplerEntry{failures, baseline}, []string{"failures"}},
	} {
		c := BudgetConfig{TracesPerSecond: 1, Order: tt.order}
		b := newBudget(&c, tt.samplers, nil)
		if diff := cmp.Diff(tt.want, b.classes); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if same := newBudget(&c, tt.samplers, &pipeline{budget: b}); same.Budget != b.Budget {
			t.Errorf("%s: the budget is another after a reload", name)
		}
		if other := newBudget(&c, append([]SamplerEntry{entry("slow", "")}, tt.samplers...), &pipeline{budget: b}); other.Budget == b.Budget {
			t.Errorf("%s: the budget has no class for a sampler that has come", name)
		}
	}
}
