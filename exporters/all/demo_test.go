package all_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/exporters/internal/otlptest"
)

// chosen are entries of exporters that a configuration of the demo chooses,
// with %s where the URL of a receiver is to be written.
var chosen = map[string]string{
	"axiom":         `{type: otlp, preset: axiom, dataset: traces, key: k, endpoint: "%s"}`,
	"datadog":       `{type: otlp, preset: datadog, key: k, endpoint: "%s"}`,
	"dynatrace":     `{type: otlp, preset: dynatrace, key: k, endpoint: "%s"}`,
	"elastic":       `{type: otlp, preset: elastic, key: k, endpoint: "%s"}`,
	"grafana_cloud": `{type: otlp, preset: grafana_cloud, account: 1, key: k, endpoint: "%s"}`,
	"honeycomb":     `{type: otlp, preset: honeycomb, key: k, endpoint: "%s"}`,
	"newrelic":      `{type: otlp, preset: newrelic, key: k, endpoint: "%s"}`,
	"signoz":        `{type: otlp, preset: signoz, key: k, endpoint: "%s"}`,
	"uptrace":       `{type: otlp, preset: uptrace, key: k, endpoint: "%s"}`,
	"xray":          `{type: xray, region: eu-central-1, sign: true, endpoint: "%s"}`,
}

// The demo sends through each of them, all at once.
func TestDemo(t *testing.T) {
	receivers := map[string]*otlptest.Receiver{}
	var text strings.Builder
	text.WriteString("observability:\n  tracing:\n    enabled: true\n    service_name: fluxbase\n    samplers: [{type: ratio, rate: 1}]\n    exporters:\n")
	for name, entry := range chosen {
		receivers[name] = otlptest.HTTP(t, nil, "/v1/traces")
		fmt.Fprintf(&text, "      - %s\n", strings.Replace(fmt.Sprintf(entry, "http://"+receivers[name].Address), "{type", "{name: "+name+", type", 1))
	}
	file := filepath.Join(t.TempDir(), "all.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), command(t), "demo", "--json", "--requests", "30", "--config", file)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=secret")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	var result struct {
		Spans int `json:"spans_exported"`
	}
	if err := json.Unmarshal(out, &result); err != nil || result.Spans == 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, r := range receivers {
		var spans int
		for _, request := range r.Requests() {
			spans += len(request.Spans)
		}
		if spans != result.Spans {
			t.Errorf("%s has %d spans, the demo's own receiver %d", name, spans, result.Spans)
		}
	}
}
