package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
)

// Anybody may see what looks like words, and where URLs lead; nothing else, and of what a
// match says no values. All of it stands where the effective file has it.
func TestPublic(t *testing.T) {
	in := inspect(t, `tracing:
  enabled: true
  service_name: ${NAME:-shop}
  resource: {team: payments, owner: bob@example.com, token: q8Zk2Lw9Vx3Np7, "bob@example.com": x}
  samplers:
  - {type: slow, threshold: 1s, match: {attributes: {customer: acme}}}
  - {type: route, rules: [{route: "POST /orders/{id}", sample: 0.5}]}
  - {type: ratio, rate: 0.1}
  exporters:
  - {type: otlp, protocol: http/protobuf, endpoint: "https://otlp.example.com/in/q8Zk2Lw9Vx3Np7", headers: {k: "${KEY}", l: hunter2hunter2}}
  - {type: otlp, name: b, endpoint: "${WHERE:-b.example.com:4317}"}
  - {type: otlp, name: c, endpoint: "c-${PART}.example.com:4317"}
`, []string{"KEY=hunter2key", "PART=q8Zk2Lw9Vx3Np7"}, config.Section("tracing"))
	if len(in.Mistakes) > 0 {
		t.Fatal(in.Mistakes)
	}
	public := in.Spec.Source.(core.PublicSource).Public(&in.Spec)
	var lines []string
	for _, s := range public.Settings {
		if strings.HasPrefix(s.Origin, "f.yaml") {
			lines = append(lines, strings.TrimSpace(s.Line))
		}
	}
	want := []string{
		"enabled: true", "service_name: ${NAME:-shop}", "team: payments", `owner: "***"`, `token: "***"`, `"***": x`,
		"- type: slow", `customer: "***"`, "threshold: 1s", "- type: route", `- route: "POST /orders/{id}"`, "sample: 0.5", "- type: ratio", "rate: 0.1",
		"- type: otlp", `endpoint: "https://otlp.example.com/***"`, "protocol: http/protobuf", `k: "${KEY}"`, `l: "***"`,
		"- type: otlp", "name: b", `endpoint: "${WHERE:-b.example.com:4317}"`, "- type: otlp", "name: c", `endpoint: "c-${PART}.example.com:4317"`,
	}
	slices.Sort(want)
	slices.Sort(lines)
	if d := cmp.Diff(want, lines); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if whole := strings.Count(string(in.Effective()), "\n"); whole != len(public.Settings) {
		t.Errorf("%d lines of %d", len(public.Settings), whole)
	}
	for text, want := range map[string]string{
		"ratio 10%": "ratio 10%", "takes no traces at /in/q8Zk2Lw9Vx3Np7": "takes no traces at ***", "POST /orders/{id}": "POST /orders/{id}",
	} {
		if got := public.Mask(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// An application may change what it has read before it starts it.
func TestPublicOfAChangedSpec(t *testing.T) {
	in := inspect(t, "tracing: {enabled: true, exporters: [{type: otlp}, {type: stdout}]}", nil, config.Section("tracing"))
	in.Spec.Exporters = in.Spec.Exporters[:1]
	in.Spec.Metrics = &core.MetricsEntry{}
	if public := in.Spec.Source.(core.PublicSource).Public(&in.Spec); len(public.Settings) == 0 {
		t.Error("nothing is told")
	}
}
