package config_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/config"
)

// A file in which nothing was read is told by what it looks like.
func TestNothingRead(t *testing.T) {
	many := ""
	for i := range 15 {
		many += fmt.Sprintf("key%c: 1\n", 'a'+i)
	}
	const collector = "it looks like the configuration of an OpenTelemetry Collector: riffle is in the service, and its exporters are a list of entries with a type"
	const root = `it has no observability.tracing, but keys of it, such as the key %q, stand at the top: indent them below observability.tracing, or read the whole file as the section: --section '', riffle.Section("")`
	elsewhere := func(path string) string {
		return fmt.Sprintf("it has no observability.tracing, but %[1]s looks like it: move it there, or read it where it is: --section %[1]s, riffle.Section(%[1]q)", path)
	}
	for _, tt := range []struct{ name, text, at, want string }{
		{"other keys", "server: {port: 1}\ndatabase: x\n", "1:1", "it has no observability.tracing; its keys are server, database"},
		{"many keys", many, "1:1", "it has no observability.tracing; its keys are keya, keyb, keyc, keyd, keye, keyf, keyg, keyh, keyi, keyj, keyk, keyl and 3 more"},
		{"a key that may be a secret", "hunter2secretpassword1: 1\n", "1:1", "it has no observability.tracing; its keys are a key of 22 characters"},
		{"an empty mapping", "{}\n", "1:1", "it has no observability.tracing, nor anything else"},
		{"an empty section", "a: 1\nobservability: {tracing: {}}\n", "2:17", "observability.tracing is empty"},
		{"a section without a value", "observability:\n  tracing: # enabled: true\n", "2:3", "observability.tracing is empty"},
		{"not below observability", "observability:\ntracing:\n  enabled: true\n", "1:1", `observability is empty, because the key "tracing" stands beside it: indent it below observability`},
		{"not below tracing", "observability:\n  tracing:\n  enabled: true\n", "2:3", `observability.tracing is empty, because the key "enabled" stands beside it: indent it below tracing`},
		{"not below tracing, but at the top", "observability:\n  tracing:\nserver: 1\nsample_rate: 1\n", "2:3", `observability.tracing is empty, because the key "sample_rate" in line 4 is not indented below tracing`},
		{"another's key at the top", "observability:\n  tracing:\nenvironment: x\n", "2:3", "observability.tracing is empty"},
		{"one key", "observability.tracing:\n  enabled: true\n", "1:1", `the key "observability.tracing" is one key with dots in it: write tracing: below observability:`},
		{"keys with dots", "a: 1\nobservability.tracing.enabled: true\n", "2:1", `the key "observability.tracing.enabled" is one key with dots in it: write tracing: below observability:`},
		{"at the top", "tracing:\n  enabled: true\n", "1:1", elsewhere("tracing")},
		{"its keys at the top", "server: 1\nservice_name: x\n", "2:1", fmt.Sprintf(root, "service_name")},
		{"its lists at the top", "exporters: [{type: otlp}]\n", "1:1", fmt.Sprintf(root, "exporters")},
		{"its rate at the top", "enabled: true\nsample_rate: 0.1\n", "1:1", fmt.Sprintf(root, "enabled")},
		{"another section", "app:\n  telemetry:\n    riffle: {sample_rate: 0.1}\n", "3:5", elsewhere("app.telemetry.riffle")},
		{"the better of two", "jobs: {enabled: true, endpoint: x, insecure: true}\nobs: {enabled: true, samplers: [], exporters: []}\n", "2:1", elsewhere("obs")},
		{"misspelled", "observabilty: {tracing: {enabled: true}}\n", "1:16", "it has no observability.tracing (did you mean it by observabilty.tracing?)"},
		{"a section of others", "http: {enabled: true, endpoint: x}\n", "1:1", "it has no observability.tracing; its keys are http"},

		{"Collector", "receivers: {otlp: {}}\nexporters: {debug: {}}\nservice: {pipelines: {}}\n", "1:1", collector},
		{"part of a Collector's", "service: {pipelines: {traces: {}}}\n", "1:1", collector},
		{"otelconf", "tracer_provider: {}\n", "1:1", "it looks like the configuration of an OpenTelemetry SDK, as otelconf reads it, without its file_format"},
		{"Kubernetes", "apiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n", "1:1", "it looks like a Kubernetes manifest: the file that the service reads is probably inside of it"},
		{"Compose", "services: {web: {image: x}}\n", "1:1", "it looks like a Compose file: the file that the service reads is another"},
		{"services of one's own", "services: {web: {port: 1}}\n", "1:1", "it has no observability.tracing; its keys are services"},
		{"Prometheus", "global: {}\nscrape_configs: []\n", "1:1", "it looks like the configuration of Prometheus"},
		{"Refinery's rules", "RulesVersion: 2\nSamplers: {__default__: {}}\n", "1:1", "it looks like the rules of Refinery: its conditions are samplers of their own here"},
		{"Refinery", "General: {ConfigurationVersion: 2}\n", "1:1", "it looks like the configuration of Refinery"},
		{"Jaeger's strategies", `{"default_strategy": {"type": "probabilistic"}}`, "1:1", "it looks like sampling strategies of Jaeger: write a ratio sampler, and route for operations"},
		{"Jaeger", "sampler: {type: const}\nreporter: {}\n", "1:1", "it looks like the configuration of Jaeger"},
		{"Tempo", "distributor: {}\ningester: {}\n", "1:1", "it looks like the configuration of Tempo"},
		{"Datadog", "api_key: x\nsite: y\n", "1:1", "it looks like the configuration of a Datadog Agent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec, err := config.Parse([]byte(tt.text), append(registries(t), config.File("f.yaml"), config.Environ(nil))...)
			if err != nil {
				t.Fatal(err)
			}
			all := spec.Source.Warnings()
			if len(all) != 1 || !errors.Is(all[0], config.ErrNothingRead) {
				t.Fatalf("warnings: %v", all)
			}
			if diff := cmp.Diff("f.yaml:"+tt.at+" nothing in it is for riffle: "+tt.want, all[0].Position+" "+all[0].Err.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The section that is looked for is the one that is read.
func TestNothingReadOfAnotherSection(t *testing.T) {
	for section, want := range map[string]string{
		"tracing": `it has no tracing, but observability.tracing looks like it: move it there, or read it where it is: --section observability.tracing, riffle.Section("observability.tracing")`,
		"":        "",
	} {
		text := "observability: {tracing: {enabled: true, sample_rate: 1}}"
		_, err := config.Parse([]byte(text), config.Section(section), config.Environ(nil))
		spec, _ := config.Parse([]byte(text), config.Section("tracing"), config.Environ(nil))
		switch {
		case section == "" && (err == nil || !strings.Contains(err.Error(), "observability: unknown key")):
			t.Error(err)
		case section != "" && !strings.HasSuffix(spec.Source.Warnings()[0].Err.Error(), want):
			t.Errorf("got %v\nwant %s", spec.Source.Warnings(), want)
		}
	}
}

// Whatever a file is, looking at it ends, and soon.
func TestNothingReadIsBounded(t *testing.T) {
	deep := strings.Repeat("a: {", 50) + strings.Repeat("}", 50)
	var wide strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&wide, "k%d: {enabled: true}\n", i)
	}
	bomb := "a: &a {x: 1}\nb: &b {p: *a, q: *a}\nc: &c {p: *b, q: *b}\nd: &d {p: *c, q: *c}\ne: &e {p: *d, q: *d}\nf: &f {p: *e, q: *e}\ng: {p: *f, q: *f}\n"
	for _, text := range []string{deep, wide.String(), bomb, "a: &a {b: *a}\n"} {
		if _, err := config.Parse([]byte(text), config.Environ(nil)); err != nil && !strings.Contains(err.Error(), "alias") {
			t.Error(err)
		}
	}
}

// Names of other programs are told with what is meant by them here.
func TestForeignNames(t *testing.T) {
	exporter := func(typ string) string { return "exporters: [{type: " + typ + "}]" }
	sampler := func(typ string) string { return "samplers: [{type: " + typ + "}]" }
	for text, want := range map[string]string{
		exporter("console"):                 `exporters[0].type: unknown exporter "console": spans are printed by type: stdout`,
		exporter("debug"):                   `exporters[0].type: unknown exporter "debug": spans are printed by type: stdout`,
		exporter("logging"):                 `exporters[0].type: unknown exporter "logging": spans are printed by type: stdout`,
		exporter("otlphttp"):                `exporters[0].type: unknown exporter "otlphttp": write type: otlp with protocol: http/protobuf`,
		exporter("otlp-http"):               `exporters[0].type: unknown exporter "otlp-http": write type: otlp with protocol: http/protobuf`,
		exporter("otlp_grpc"):               `exporters[0].type: unknown exporter "otlp_grpc": write type: otlp, whose protocol is grpc unless it says another`,
		exporter("otlpgrpc"):                `exporters[0].type: unknown exporter "otlpgrpc": write type: otlp, whose protocol is grpc unless it says another`,
		exporter("zipkin"):                  `exporters[0].type: unknown exporter "zipkin": riffle comes without one: send OTLP to a Collector that has one, or see the plugin in examples/plugins`,
		exporter("datadog"):                 `exporters[0].type: unknown exporter "datadog": write type: otlp with preset: datadog, or with the endpoint of an Agent that takes OTLP`,
		exporter("otpl"):                    `exporters[0].type: unknown exporter "otpl" (did you mean "otlp"?)`,
		sampler("always_on"):                `samplers[0].type: unknown sampler "always_on": write type: ratio with rate: 1, or no samplers at all`,
		sampler("always_off"):               `samplers[0].type: unknown sampler "always_off": write type: ratio with rate: 0`,
		sampler("traceidratio"):             `samplers[0].type: unknown sampler "traceidratio": write type: ratio with rate`,
		sampler("traceidratiobased"):        `samplers[0].type: unknown sampler "traceidratiobased": write type: ratio with rate`,
		sampler("parentbased_traceidratio"): `samplers[0].type: unknown sampler "parentbased_traceidratio": write type: ratio with rate; what a parent means is said by remote_parent`,
		sampler("parentbased_always_on"):    `samplers[0].type: unknown sampler "parentbased_always_on": write type: ratio with rate: 1, or no samplers at all; what a parent means is said by remote_parent`,
		sampler("probabilistic"):            `samplers[0].type: unknown sampler "probabilistic": write type: ratio with rate, a share from 0 to 1 and not a percentage`,
		sampler("rate_limiting"):            `samplers[0].type: unknown sampler "rate_limiting": write type: adaptive with target_per_second, limit: {per_second: ...} in the entry of an end sampler`,
		sampler("tail_sampling"):            `samplers[0].type: unknown sampler "tail_sampling": its policies are samplers of their own here: riffle import translates`,
		"headers: {a: s3cret}":              "headers: unknown key: it belongs into an entry of exporters",
		"tls: {ca_file: x}":                 "tls: unknown key: it belongs into an entry of exporters",
		"protocol: grpc":                    "protocol: unknown key: it belongs into an entry of exporters",
		"batch: {}":                         "batch: unknown key: it belongs into an entry of exporters",
		"compression: gzip":                 "compression: unknown key: it belongs into an entry of exporters",
		"timeout: 5s":                       "timeout: unknown key: it belongs into an entry of exporters",
		"threshold: 1s":                     "threshold: unknown key: it belongs into an entry of samplers",
		"match: {}":                         "match: unknown key: it belongs into an entry of samplers",
	} {
		_, err := config.Parse([]byte("tracing: {"+text+"}"), slices.Concat(registries(t), []config.Option{config.Section("tracing"), config.Environ(nil)})...)
		if err == nil || strings.Count(err.Error(), "config:") != 1 || !strings.Contains(err.Error(), ": tracing."+want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got %v\nwant %s", text, err, want)
		}
	}
}
