package otlp_test

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// ofUser is what a user gives to each preset.
var ofUser = map[string]otlp.Config{
	"axiom":         {Dataset: "traces"},
	"datadog":       {},
	"dynatrace":     {Account: "abc12345"},
	"elastic":       {Endpoint: "https://project.ingest.us-east-1.aws.elastic.cloud"},
	"grafana_cloud": {Account: "123456", Region: "prod-eu-west-0"},
	"honeycomb":     {},
	"newrelic":      {},
	"signoz":        {Region: "eu"},
	"uptrace":       {},
}

func preset(name string) otlp.Config {
	c := ofUser[name]
	c.Preset, c.Key = name, "s3cret"
	return c
}

func TestPresetEndpoints(t *testing.T) {
	tests := []struct{ preset, region, want string }{
		{"axiom", "", "https://us-east-1.aws.edge.axiom.co:443/v1/traces"},
		{"axiom", "eu-central-1", "https://eu-central-1.aws.edge.axiom.co:443/v1/traces"},
		{"datadog", "", "https://otlp.datadoghq.com:443/v1/traces"},
		{"datadog", "datadoghq.eu", "https://otlp.datadoghq.eu:443/v1/traces"},
		{"dynatrace", "", "https://abc12345.live.dynatrace.com:443/api/v2/otlp/v1/traces"},
		{"elastic", "", "https://project.ingest.us-east-1.aws.elastic.cloud:443/v1/traces"},
		{"grafana_cloud", "", "https://otlp-gateway-prod-eu-west-0.grafana.net:443/otlp/v1/traces"},
		{"honeycomb", "", "https://api.honeycomb.io:443/v1/traces"},
		{"honeycomb", "eu", "https://api.eu1.honeycomb.io:443/v1/traces"},
		{"newrelic", "", "https://otlp.nr-data.net:443/v1/traces"},
		{"newrelic", "eu", "https://otlp.eu01.nr-data.net:443/v1/traces"},
		{"newrelic", "gov", "https://gov-otlp.nr-data.net:443/v1/traces"},
		{"signoz", "in", "https://ingest.in.signoz.cloud:443/v1/traces"},
		{"uptrace", "", "https://api.uptrace.dev:443/v1/traces"},
	}
	covered := map[string]bool{}
	for _, tt := range tests {
		covered[tt.preset] = true
		c := preset(tt.preset)
		c.Region = cmp.Or(tt.region, c.Region)
		if got := build(t, c).(delivery.Exporter).Traits().Endpoint; got != tt.want {
			t.Errorf("%s in %q: %s, want %s", tt.preset, tt.region, got, tt.want)
		}
	}
	for _, name := range otlp.PresetNames() {
		if !covered[name] {
			t.Errorf("%s is not covered", name)
		}
	}
}

// Each preset sends what its vendor wants: to a server that takes nothing else.
// The environment is about other backends, and so are its headers.
func TestPresetRequests(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-other-vendor=another")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere")
	tests := map[string]http.Header{
		"axiom":         {"Authorization": {"Bearer s3cret"}, "X-Axiom-Dataset": {"traces"}},
		"datadog":       {"Dd-Api-Key": {"s3cret"}, "Compute_stats": {"true"}},
		"dynatrace":     {"Authorization": {"Api-Token s3cret"}},
		"elastic":       {"Authorization": {"ApiKey s3cret"}},
		"grafana_cloud": {"Authorization": {"Basic MTIzNDU2OnMzY3JldA=="}},
		"honeycomb":     {"X-Honeycomb-Team": {"s3cret"}},
		"newrelic":      {"Api-Key": {"s3cret"}},
		"signoz":        {"Signoz-Ingestion-Key": {"s3cret"}},
		"uptrace":       {"Uptrace-Dsn": {"s3cret"}},
	}
	for _, name := range otlp.PresetNames() {
		t.Run(name, func(t *testing.T) {
			r := otlptest.HTTP(t, nil, "/base/v1/traces")
			c := preset(name)
			c.Endpoint, c.Region = "http://"+r.Address+"/base", ""
			if name != "grafana_cloud" {
				c.Account = ""
			}
			c.Headers = map[string]component.Secret{"X-Of-User": "mine"}
			if err := build(t, c).ExportSpans(t.Context(), otlptest.SpansAt(time.Now(), "a")); err != nil {
				t.Fatal(err)
			}
			got := r.Requests()
			if len(got) != 1 || got[0].Encoding != "gzip" {
				t.Fatalf("%+v", got)
			}
			want := tests[name].Clone()
			want["X-Of-User"] = []string{"mine"}
			for _, usual := range []string{"Accept-Encoding", "Content-Encoding", "Content-Length", "Content-Type", "User-Agent"} {
				got[0].Headers.Del(usual)
			}
			if diff := gocmp.Diff(want, got[0].Headers); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Every fact has a source with a date, and the pages name each preset.
func TestPresetSources(t *testing.T) {
	f, _ := component.Exporters.Lookup("otlp")
	var doc string
	for _, field := range f.Fields() {
		if field.Key == "preset" {
			doc = field.Doc
		}
	}
	page, err := os.ReadFile("../../docs/vendors.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range otlp.PresetNames() {
		endpoint, header, limits, sources := otlp.PresetFacts(name)
		var facts string
		for _, s := range sources {
			facts += s[0] + ", "
			if !strings.HasPrefix(s[1], "https://") {
				t.Errorf("%s: source %q", name, s[1])
			}
			if _, err := time.Parse(time.DateOnly, s[2]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if !strings.Contains(string(page), s[1]) {
				t.Errorf("docs/vendors.md does not have the source %s", s[1])
			}
		}
		for fact, has := range map[string]bool{
			"endpoint": endpoint != "", "protocol": true, "header": header != "",
			"size": limits.MaxBytes != 0, "age": limits.MaxAge != 0,
		} {
			if has && !strings.Contains(facts, fact) {
				t.Errorf("%s: no source for its %s", name, fact)
			}
		}
		if !strings.Contains(doc, name) {
			t.Errorf("the doc of key preset does not name %s", name)
		}
		if !strings.Contains(string(page), "preset: "+name+"\n") {
			t.Errorf("docs/vendors.md has no configuration with preset: %s", name)
		}
	}
}

func TestPresetMistakes(t *testing.T) {
	off := false
	tests := []struct {
		name   string
		change func(*otlp.Config)
		of     string
		want   string
	}{
		{"unknown", func(c *otlp.Config) { c.Preset = "honeycom" }, "honeycomb", `preset: unknown preset "honeycom" (did you mean "honeycomb"?): known are axiom, datadog, dynatrace, elastic, grafana_cloud, honeycomb, newrelic, signoz, uptrace`},
		{"no key", func(c *otlp.Config) { c.Key = "" }, "newrelic", `key: missing: newrelic wants one, in its header api-key; ${NAME} takes it from a variable`},
		{"region", func(c *otlp.Config) { c.Region = "mars" }, "honeycomb", `region: "mars" is not one of eu, us`},
		{"no region", func(c *otlp.Config) { c.Region = "" }, "signoz", `region: missing: it is a part of the address that signoz shows`},
		{"region with a path", func(c *otlp.Config) { c.Region = "eu.example.com/" }, "signoz", `region: "eu.example.com/" is not a region of signoz`},
		{"region twice", func(c *otlp.Config) { c.Endpoint = "https://localhost" }, "signoz", `region: the endpoint says it: leave one of them out`},
		{"needless region", func(c *otlp.Config) { c.Region = "eu" }, "uptrace", `region: uptrace has none: leave it out`},
		{"no account", func(c *otlp.Config) { c.Account = "" }, "dynatrace", `account: missing: want the environment ID`},
		{"account as a URL", func(c *otlp.Config) { c.Account = "https://abc.live.dynatrace.com" }, "dynatrace", `account: "https://abc.live.dynatrace.com" is not the environment ID: want the part of the address that is yours, alone`},
		{"needless account", func(c *otlp.Config) { c.Account = "1" }, "uptrace", `account: uptrace has none: leave it out`},
		{"no dataset", func(c *otlp.Config) { c.Dataset = "" }, "axiom", `dataset: missing: want the dataset for traces`},
		{"no endpoint", func(c *otlp.Config) { c.Endpoint = "" }, "elastic", `endpoint: missing: elastic shows the one that is yours`},
		{"no URL", func(c *otlp.Config) { c.Endpoint = "localhost:4318" }, "honeycomb", `endpoint: want a URL, such as https://otlp.example.com`},
		{"key twice", func(c *otlp.Config) { c.Headers = map[string]component.Secret{"API-Key": "x"} }, "newrelic", `headers.API-Key: key says it: leave it out`},
		{"gRPC", func(c *otlp.Config) { c.Protocol = otlp.GRPC }, "datadog", `protocol: datadog is sent to over http/protobuf: leave protocol out`},
		{"insecure", func(c *otlp.Config) { c.Insecure = &off }, "datadog", `insecure: datadog is sent to with TLS: leave insecure out; for a server of your own, write http:// in endpoint`},
		{"line break", func(c *otlp.Config) { c.Key = "s3cret\n" }, "datadog", `key: there is a control character in it (a line break at its end?)`},
		{"no preset", func(c *otlp.Config) { *c = otlp.Config{Key: "s3cret"} }, "uptrace", `key: only an entry with a preset has one`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := preset(tt.of)
			tt.change(&c)
			err := component.Use(otlp.Factory, "", c).Err()
			if err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if strings.Contains(fmt.Sprint(err), "s3cret") {
				t.Error("the error has the key")
			}
		})
	}
}

// A vendor's limits are kept: nothing that it would refuse is sent to it.
func TestPresetLimits(t *testing.T) {
	r := &otlptest.Scripted{Address: otlptest.Dead(t), Script: otlptest.Script{MaxBytes: 1_000_000}}
	r.Start(t, string(otlpclient.HTTP))
	c := preset("newrelic")
	c.Endpoint, c.Region, c.Compression = "http://"+r.Address, "", delivery.None
	lines, config := &delivery.Lines{}, delivery.Defaults()
	config.Batch.MaxBytes = 16 << 20
	l := lines.Add(build(t, c), config, delivery.Settings{})
	for i := range 100 {
		lines.HandOver(otlptest.SpansAt(time.Now(), fmt.Sprintf("%d %s", i, strings.Repeat("x", 50_000)))...)
	}
	if err := l.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if s := l.Stats(); s.Sent != 100 || s.Split != 0 { // the server would have had batches split
		t.Errorf("%+v", s)
	}

	d := preset("dynatrace")
	d.Endpoint, d.Account = "http://"+r.Address, ""
	l = lines.Add(build(t, d), config, delivery.Settings{})
	lines.HandOver(otlptest.SpansAt(time.Now().Add(-61*time.Minute), "old")...)
	lines.HandOver(otlptest.SpansAt(time.Now().Add(-59*time.Minute), "young enough")...)
	lines.HandOver(otlptest.SpansAt(time.Now().Add(11*time.Minute), "new")...)
	_ = l.Shutdown(t.Context()) // which says what was lost
	if s := l.Stats(); s.Sent != 1 || s.Dropped != (delivery.Dropped{TooOld: 1, TooNew: 1}) {
		t.Errorf("%+v", s)
	}
}
