package interop

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/riffletrace/riffle/bench/internal/process"
	_ "github.com/riffletrace/riffle/plugins/host" // the type of the exporter
)

// TestInteropZipkin reads back what the example plugin for Zipkin sends to
// Jaeger's endpoint for it, which is all that a span can hold, with attributes
// as texts.
func TestInteropZipkin(t *testing.T) {
	needsBackends(t)
	plugin := filepath.Join(t.TempDir(), "riffle-plugin-zipkin")
	if err := process.Build("../../examples", "./plugins/riffle-plugin-zipkin", plugin); err != nil {
		t.Fatal(err)
	}
	backend := startJaeger(t, security{})
	want := instrumented(t, fmt.Sprintf(`
observability:
  tracing:
    enabled: true
    service_name: %s
    resource: {%s: zipkin}
    plugins: {allow_unpinned: true}
    samplers:
      - {type: ratio, rate: 0.5}
    exporters:
      - type: plugin
        path: %s
        config: {endpoint: "http://%s/api/v2/spans"}
`, serviceName, caseKey, plugin, backend.address("zipkin")))
	asJaegerShows(want)
	for i := range want {
		for key, value := range want[i].Attributes {
			want[i].Attributes[key] = fmt.Sprint(value)
		}
	}
	var got []span
	err := process.Poll(func() (err error) {
		if got, err = backend.spans("zipkin"); err == nil && len(got) < len(want) {
			err = fmt.Errorf("%d of %d spans have arrived", len(got), len(want))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range got {
		// What the resource has is a tag of each span in Zipkin.
		for key := range s.Attributes {
			if key == caseKey || strings.HasPrefix(key, "service.") || strings.HasPrefix(key, "telemetry.") ||
				strings.HasPrefix(key, "host.") || strings.HasPrefix(key, "process.") {
				delete(s.Attributes, key)
			}
		}
	}
	byName := func(a, b span) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(got, byName)
	slices.SortFunc(want, byName)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(span{}, "Resource", "Duration"), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
