package core_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/slow"
)

// The keys that a registry keeps for the host are those that the host reads.
func TestHostKeys(t *testing.T) {
	keys := func(c any) []string {
		var all []string
		fields, _ := component.FieldsOf(c)
		for _, f := range fields {
			all = append(all, f.Key)
		}
		return slices.Sorted(slices.Values(all))
	}
	sorted := func(keys []string) []string { return slices.Sorted(slices.Values(keys)) }
	if diff := cmp.Diff(keys(core.SamplerKeys{}), sorted(sampling.NewSamplers().HostKeys())); diff != "" {
		t.Errorf("samplers (-read +kept):\n%s", diff)
	}
	if diff := cmp.Diff(keys(delivery.Config{}), sorted(component.NewExporters().HostKeys())); diff != "" {
		t.Errorf("exporters (-read +kept):\n%s", diff)
	}
}

// A duration that is too long to wait for is reported at the key that has it.
func TestTooLongToWaitFor(t *testing.T) {
	for path, c := range map[string]slow.Config{
		"samplers[0].threshold": {Threshold: component.Duration(time.Hour), Spans: slow.LocalRoot},
		"samplers[0].routes[1].threshold": {
			Threshold: component.Duration(time.Second), Spans: slow.LocalRoot,
			Routes: []slow.Route{
				{Route: "/a", Threshold: component.Duration(2 * time.Second)},
				{Route: "/b", Threshold: component.Duration(time.Hour)},
			},
		},
	} {
		_, err := core.New(t.Context(), core.Spec{Enabled: true, Samplers: []core.SamplerEntry{core.UseSampler(slow.Factory, "", c), baseline(1)}})
		want := path + ": 1h is not below max_wait (2m), at which open segments are decided"
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// Sorted leaves alone what it sorts.
func TestSorted(t *testing.T) {
	errs := core.ConfigErrors{{Position: "a.yaml:2:1"}, {Position: "a.yaml:1:9"}, {Position: "a.yaml:1:10"}}
	sorted := errs.Sorted()
	if sorted[0].Position != "a.yaml:1:9" || sorted[1].Position != "a.yaml:1:10" || errs[0].Position != "a.yaml:2:1" {
		t.Errorf("sorted %v; what was sorted is now %v", sorted, errs)
	}
}
