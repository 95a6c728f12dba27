package all_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/internal/azuretest"
	"github.com/riffletrace/riffle/internal/googletest"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// receiver is what a backend is to an exporter: what its entry names, variables
// of its surroundings, and the spans that it has taken.
type receiver struct {
	target string
	env    []string
	spans  func() int
}

func otlpOverHTTP(t *testing.T) receiver {
	r := otlptest.HTTP(t, nil, "/v1/traces")
	return receiver{"http://" + r.Address, nil, func() (n int) {
		for _, request := range r.Requests() {
			n += len(request.Spans)
		}
		return n
	}}
}

func aws(t *testing.T) receiver {
	r := otlpOverHTTP(t)
	r.env = []string{"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=secret"}
	return r
}

func google(t *testing.T) receiver {
	f := googletest.New(t)
	return receiver{"http://" + f.Address, []string{"GCE_METADATA_HOST=" + f.Machine}, func() int {
		names, _, _ := f.Received()
		return len(names)
	}}
}

func applicationInsights(t *testing.T) receiver {
	f := azuretest.New(t)
	return receiver{f.Connection(), nil, f.Spans}
}

// chosen are entries of exporters that a configuration of the demo chooses,
// with %s where what the receiver is named by is to be written.
var chosen = map[string]struct {
	entry string
	start func(*testing.T) receiver
}{
	"axiom":         {`{type: otlp, preset: axiom, dataset: traces, key: k, endpoint: "%s"}`, otlpOverHTTP},
	"datadog":       {`{type: otlp, preset: datadog, key: k, endpoint: "%s"}`, otlpOverHTTP},
	"dynatrace":     {`{type: otlp, preset: dynatrace, key: k, endpoint: "%s"}`, otlpOverHTTP},
	"elastic":       {`{type: otlp, preset: elastic, key: k, endpoint: "%s"}`, otlpOverHTTP},
	"grafana_cloud": {`{type: otlp, preset: grafana_cloud, account: 1, key: k, endpoint: "%s"}`, otlpOverHTTP},
	"honeycomb":     {`{type: otlp, preset: honeycomb, key: k, endpoint: "%s"}`, otlpOverHTTP},
	"newrelic":      {`{type: otlp, preset: newrelic, key: k, endpoint: "%s"}`, otlpOverHTTP},
	"signoz":        {`{type: otlp, preset: signoz, key: k, endpoint: "%s"}`, otlpOverHTTP},
	"uptrace":       {`{type: otlp, preset: uptrace, key: k, endpoint: "%s"}`, otlpOverHTTP},
	"xray":          {`{type: xray, region: eu-central-1, sign: true, endpoint: "%s"}`, aws},
	"cloudtrace":    {`{type: cloudtrace, endpoint: "%s"}`, google},
	"azuremonitor":  {`{type: azuremonitor, connection_string: "%s"}`, applicationInsights},
}

// The demo sends through each of them, all at once.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("runs another program; CI runs this without -short too")
	}
	receivers := map[string]receiver{}
	env := slices.Concat(os.Environ(), []string{"HOME=" + t.TempDir(), "GOOGLE_APPLICATION_CREDENTIALS=", "GOOGLE_CLOUD_PROJECT="})
	var text strings.Builder
	text.WriteString("observability:\n  tracing:\n    enabled: true\n    service_name: fluxbase\n    samplers: [{type: ratio, rate: 1}]\n    exporters:\n")
	for name, c := range chosen {
		r := c.start(t)
		receivers[name] = r
		env = append(env, r.env...)
		fmt.Fprintf(&text, "      - %s\n", strings.Replace(fmt.Sprintf(c.entry, r.target), "{type", "{name: "+name+", type", 1))
	}
	file := filepath.Join(t.TempDir(), "all.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), command(t), "demo", "--json", "--requests", "30", "--config", file)
	cmd.Env = env
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, text.String(), said.String())
	}
	var result struct {
		Spans int `json:"spans_exported"`
	}
	if err := json.Unmarshal(out, &result); err != nil || result.Spans == 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, r := range receivers {
		if n := r.spans(); n != result.Spans {
			t.Errorf("%s has %d spans, the demo's own receiver %d\n%s", name, n, result.Spans, said.String())
		}
	}
}
