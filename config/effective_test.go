package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/exporters/otlp"
)

func inspect(tb testing.TB, text string, env []string, options ...config.Option) *config.Inspection {
	tb.Helper()
	in, err := config.Inspect([]byte(text), slices.Concat(registries(tb), []config.Option{config.File("f.yaml"), config.App("fluxbase"), config.Environ(env)}, options)...)
	if err != nil {
		tb.Fatal(err)
	}
	return in
}

// same is what makes two specs the same, secrets apart, and apart from what only a file
// of OpenTelemetry's can say: that variables do not count.
func same(spec core.Spec) any {
	type entry struct {
		Type, Name string
		Config     any
		Keys       any
	}
	var all []entry
	for _, e := range spec.Samplers {
		all = append(all, entry{e.Type(), e.ID(), e.Config(), e.SamplerKeys})
	}
	for _, e := range spec.Exporters {
		c := e.Config()
		if o, ok := c.(otlp.Config); ok {
			for name := range o.Headers {
				o.Headers[name] = "secret"
			}
			if o.Key != "" {
				o.Key = "secret"
			}
			o.NoEnvironment = false
			c = o
		}
		all = append(all, entry{e.Type(), e.ID(), c, e.Delivery})
	}
	if spec.SpanMetrics != nil {
		full := spec.SpanMetrics.WithDefaults()
		spec.SpanMetrics = &full
	}
	spec.Source, spec.Samplers, spec.Exporters = nil, nil, nil
	spec.ExactResource = nil
	return []any{spec, all}
}

// The effective configuration says the same as the sources that it is made of, and
// where each of it comes from.
func TestEffective(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		section    string
		env        []string
		has        []string // lines
		hasNot     []string
	}{
		{name: "nothing", text: "observability: {tracing: {enabled: true}}", section: config.DefaultSection, has: []string{
			"    enabled: true  # f.yaml:1:27", "    service_namespace: fluxbase  # default", "    samplers: []", "      - type: otlp", "    max_bytes: 64MiB  # default",
		}},
		{name: "short form", text: "tracing: {enabled: true, sample_rate: .5, endpoint: 'a:4317', insecure: true}", section: "tracing", has: []string{
			"  samplers:", "    - type: ratio  # f.yaml:1:26", "      rate: .5  # f.yaml:1:26", `      endpoint: "a:4317"  # f.yaml:1:43`, "      insecure: true  # f.yaml:1:63",
		}},
		{
			name: "all sources", text: "service_name: a\nresource: {team: \"b c\", service.version: '1.10', on: \"true\", n: null-ish}\nlimits: {event_count: 5}\nenabled: true\nsamplers: [{type: ratio, rate: 0.25}]\n", section: "",
			env: []string{
				"FLUXBASE_TRACING_SAMPLE_RATE=0.5", "FLUXBASE_TRACING_ENDPOINT=http://c:4318", "OTEL_SERVICE_NAME=z", "OTEL_RESOURCE_ATTRIBUTES=host=h%20h,team=x,deployment.environment=prod",
				"OTEL_SPAN_LINK_COUNT_LIMIT=7", "OTEL_PROPAGATORS=b3", "OTEL_BSP_SCHEDULE_DELAY=1500", "FLUXBASE_TRACING_MAX_WAIT=3m", "FLUXBASE_TRACING_ENVIRONMENT=null",
			}, has: []string{
				"service_name: a  # f.yaml:1:1", `service_version: "1.10"  # f.yaml:2:25`, `  team: "b c"  # f.yaml:2:12`, `  host: "h h"  # OTEL_RESOURCE_ATTRIBUTES`,
				`environment: "null"  # FLUXBASE_TRACING_ENVIRONMENT`, "  link_count: 7  # OTEL_SPAN_LINK_COUNT_LIMIT", "  event_count: 5  # f.yaml:3:10",
				"  - b3  # OTEL_PROPAGATORS", "max_wait: 3m  # FLUXBASE_TRACING_MAX_WAIT", "    rate: 0.5  # FLUXBASE_TRACING_SAMPLE_RATE",
				"    endpoint: http://c:4318  # FLUXBASE_TRACING_ENDPOINT", "      max_age: 1.5s  # OTEL_BSP_SCHEDULE_DELAY", "      max_spans: 2048  # default", `  on: "true"  # f.yaml:2:50`,
			},
		},
		{name: "secrets", text: `tracing:
  enabled: true
  service_version: "${VERSION}"
  environment: "cost$$5 ${NONE:-dev el}"
  exporters:
    - type: otlp
      headers: {a: hunter2literal, b: "${KEY}", c: "Bearer ${KEY}", d: "${KEY:-hunter2default}"}
    - {type: otlp, name: n, preset: honeycomb, key: "${KEY}"}
    - {type: otlp, name: u, protocol: http/protobuf, endpoint: "http://h:4318/x?key=hunter2query"}
`, section: "tracing", env: []string{"KEY=hunter2environment", "VERSION=v1"}, has: []string{
			`  service_version: "${VERSION}"  # f.yaml:3:3`, `  environment: "cost$$5 ${NONE:-dev el}"  # f.yaml:4:3`,
			`        a: "***"  # f.yaml:7:17`, `        b: "${KEY}"  # f.yaml:7:36`, `        c: "***"  # f.yaml:7:49`, `        d: "***"  # f.yaml:7:69`, `      key: "${KEY}"  # f.yaml:8:48`,
			`      endpoint: "http://h:4318/x?***"  # f.yaml:9:54`,
		}},
		{name: "lists and matches", text: `tracing:
  enabled: true
  redact: {rules: [{keys: [password, "a b"], action: drop}, {value: "https?://[a-z]+\\$"}]}
  samplers:
    - type: route
      name: rules
      rules: [{route: "GET /x # y", sample: drop}, {route: '/a/{id}', sample: "0.5"}]
      match: {attributes: {a: gold, b: [1, x, true], c: {min: 3, max: 4.5}, "d e": {exists: true}}, kind: [server, client], not: {any: [{name: "a*"}, {route: /x}]}}
    - {type: slow, threshold: 1s, limit: {per_second: 5}}
    - &r {type: ratio, rate: 1e-3}
    - {<<: *r, name: second}
  exporters:
    - {type: stdout, filter: {of: traces, match: {attributes: {x: "1"}}}, queue: {max_bytes: 5MB}}
`, section: "tracing", has: []string{
			"      match:", "            - 1  # f.yaml:8:41", "            - true  # f.yaml:8:47", `          "d e":`, "        not:", "          any:", `            - name: "a*"  # f.yaml:8:138`, "      rate: 1e-3  # f.yaml:10:24",
			`            x: "1"  # f.yaml:13:64`, "        max_bytes: 5MB  # f.yaml:13:83",
		}},
		{name: "keys with a dot", text: `tracing:
  enabled: true
  samplers:
    - {type: ratio, rate: 1, match: {db.system: mysql, http.status: {min: 500}, not: {a.b: [1, "2"]}, root: {any: [{c.d: x}]}, event: {e.f: "1"}, duration: {min: 1s}, links: {max: 0}}}
`, section: "tracing", has: []string{
			"        db.system: mysql  # f.yaml:4:38", "        http.status:", "          min: 500  # f.yaml:4:70", "          a.b:", "            - c.d: x  # f.yaml:4:117",
			`          e.f: "1"  # f.yaml:4:136`, "          min: 1s  # f.yaml:4:158", "          max: 0  # f.yaml:4:176",
		}},
		{name: "a plugin", text: "tracing:\n  enabled: true\n  plugins: {dir: /p}\n  samplers: [{type: plugin, plugin: x}, {type: ratio, rate: 1}]\n", section: "tracing", has: []string{
			"      plugin: x  # f.yaml:4:29", "      dir: /p  # f.yaml:3:13", "      allow_unpinned: false  # default",
		}, hasNot: []string{"  plugins:"}},
		{name: "OpenTelemetry's", text: `file_format: "1.1"
disabled: ${OTEL_SDK_DISABLED:-false}
resource: {attributes: [{name: service.name, value: "${NAME:-shop}"}, {name: a, value: "x${NONE}"}, {name: b, value: "${env:NONE:-}"}], attributes_list: "${ATTRIBUTES}"}
propagator: {composite_list: "${PROPAGATORS:-tracecontext,b3}"}
tracer_provider:
  processors:
    - batch:
        schedule_delay: ${DELAY:-1500}
        exporter: {otlp_http: {endpoint: "${BASE:-http://localhost:4318}/v1/traces", headers: [{name: k, value: "${KEY}"}], headers_list: "${HEADERS}"}}
distribution: {riffle: {exporters: [{type: stdout}]}}
`, section: config.DefaultSection, env: []string{"ATTRIBUTES=c=d,e=f", "KEY=hunter2key", "HEADERS=x=hunter2x,y=hunter2y", "OTEL_BSP_SCHEDULE_DELAY=7000"}, has: []string{
			"    enabled: true  # f.yaml:2:11", `    service_name: "${NAME:-shop}"  # f.yaml:3:46`, `    service_namespace: ""  # f.yaml:1:1`, `      a: "x"  # f.yaml:3:81`, `      b: ""  # f.yaml:3:111`, `      c: "d"  # f.yaml:3:154`,
			"      - tracecontext  # f.yaml:4:30", "      - b3  # f.yaml:4:30", `        endpoint: "${BASE:-http://localhost:4318}/v1/traces"  # f.yaml:9:32`,
			`          x: "***"  # f.yaml:9:139`, `          k: "${KEY}"  # f.yaml:9:96`, "          max_age: 1500ms  # f.yaml:8:25", "          max_age: 1s  # default",
		}},
		{name: "span metrics", text: "tracing: {enabled: true, span_metrics: {}}", section: "tracing", has: []string{
			"  span_metrics:", "    max_series: 2000  # default", "    exemplars: true  # default", "    exponential: false  # default",
			"    buckets: [2ms, 4ms, 6ms, 8ms, 10ms, 50ms, 100ms, 200ms, 400ms, 800ms, 1s, 1.4s, 2s, 5s, 10s, 15s]  # default",
		}},
		{name: "exponential span metrics", text: "tracing: {enabled: true, span_metrics: {exponential: true, max_series: 7}}", section: "tracing", has: []string{
			"    exponential: true  # f.yaml:1:41", "    max_series: 7  # f.yaml:1:60",
		}, hasNot: []string{"    buckets: []  # default"}},
		{name: "off", text: "tracing: {enabled: false}", section: "tracing", has: []string{"  enabled: false  # f.yaml:1:11", "  exporters: []"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := inspect(t, tt.text, tt.env, config.Section(tt.section))
			if len(in.Mistakes) > 0 {
				t.Fatal(in.Mistakes)
			}
			text := string(in.Effective())
			lines := strings.Split(text, "\n")
			for _, line := range tt.has {
				if !slices.Contains(lines, line) {
					t.Errorf("no line %q", line)
				}
			}
			for _, line := range tt.hasNot {
				if slices.Contains(lines, line) {
					t.Errorf("there is a line %q", line)
				}
			}
			if strings.Contains(text, "hunter2") {
				t.Error("a secret is shown")
			}
			again := inspect(t, text, tt.env, config.Section(tt.section))
			if len(again.Mistakes) > 0 {
				t.Errorf("it cannot be loaded: %v", again.Mistakes)
			} else if diff := cmp.Diff(same(in.Spec), same(again.Spec), cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" && tt.name != "secrets" {
				t.Errorf("it says something else (-want +got):\n%s", diff)
			}
			if t.Failed() {
				t.Logf("\n%s", text)
			}
		})
	}
}

// What exporters take from variables themselves is shown too, each key with its variable.
func TestEffectiveOfExporters(t *testing.T) {
	for name, value := range map[string]string{
		"ENDPOINT": "http://collector:4318", "TRACES_ENDPOINT": "http://a:4318/v1?key=hunter2query", "PROTOCOL": "http/protobuf", "HEADERS": "x.y=hunter2header", "TIMEOUT": "2500",
	} {
		t.Setenv("OTEL_EXPORTER_OTLP_"+name, value)
	}
	in := inspect(t, "tracing: {enabled: true, exporters: [{type: otlp, timeout: 1s}, {type: otlp, name: b, endpoint: 'b:4317'}, {type: stdout}]}", os.Environ(), config.Section("tracing"))
	text := string(in.Effective())
	var got []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, "OTEL_") || strings.Contains(line, "endpoint") || strings.Contains(line, "timeout: 1s") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{
		`endpoint: http://a:4318  # OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `url_path: "/v1?***"  # OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `protocol: http/protobuf  # OTEL_EXPORTER_OTLP_PROTOCOL`,
		`x.y: "***"  # OTEL_EXPORTER_OTLP_HEADERS`, "timeout: 1s  # f.yaml:1:51", `endpoint: "b:4317"  # f.yaml:1:87`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again := inspect(t, text, nil, config.Section("tracing")); len(again.Mistakes) > 0 || strings.Contains(text, "hunter2") {
		t.Errorf("%v in\n%s", again.Mistakes, text)
	}
}

// Where the secrets are not, everything else is checked.
func TestWithoutSecrets(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there.pem")
	if err := os.WriteFile(there, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"a header", "exporters: [{type: otlp, headers: {a: \"${KEY}\"}}]", ""},
		{"a key", "exporters: [{type: otlp, preset: honeycomb, key: \"${KEY}\"}]", ""},
		{"a part of an endpoint", "exporters: [{type: otlp, endpoint: \"https://${HOST}:4317\"}]", ""},
		{"an endpoint", "exporters: [{type: otlp, endpoint: \"${ENDPOINT}\"}]", ""},
		{"an endpoint of a preset", "exporters: [{type: otlp, preset: honeycomb, key: x, endpoint: \"${ENDPOINT}\"}]", ""},
		{"an unquoted number", "sample_rate: ${RATE}", ""},
		{"a duration, and an enumeration", "max_wait: \"${WAIT}\"\n  remote_parent: \"${PARENT}\"", ""},
		{"a list", "samplers: \"${SAMPLERS}\"", ""},
		{"files", "exporters: [{type: otlp, endpoint: 'https://a', tls: {ca_file: " + dir + "/none.pem, cert_file: " + dir + "/none, key_file: " + dir + "/none}}]", ""},
		{"a file that is there and wrong", "exporters: [{type: otlp, endpoint: 'https://a', tls: {ca_file: " + there + "}}]", "holds no PEM certificate"},
		{"another mistake in the entry", "exporters: [{type: otlp, headers: {a: \"${KEY}\"}, protocol: htp, endpont: \"${X}\"}]", "endpont: unknown key"},
		{"another mistake", "x: \"${KEY}\"", "x: unknown key"},
		{"not a reference", "service_name: \"${1}\"", "want ${NAME}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := inspect(t, "tracing:\n  enabled: true\n  "+tt.text+"\n", nil, config.Section("tracing"), config.WithoutSecrets())
			if got := in.Mistakes.Error(); (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
			if strings.Contains(in.Mistakes.Error(), "is not set") {
				t.Error("a variable is missed")
			}
		})
	}
}

// Mistakes that the components find come in their place among the others.
func TestInspectionWith(t *testing.T) {
	in := inspect(t, "tracing:\n  x: 1\n  enabled: true\n  samplers:\n    - {type: ratio, rate: 1}\n  y: 2\n", nil, config.Section("tracing"))
	found := in.Spec.Source.Place("samplers[0].rate", os.ErrInvalid)
	var paths []string
	for _, e := range in.With(core.ConfigErrors{found, found}) {
		paths = append(paths, e.Path)
	}
	if diff := cmp.Diff([]string{"tracing.x", "tracing.samplers[0].rate", "tracing.y"}, paths); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if found.Position != "f.yaml:5:21" || found.Snippet == "" {
		t.Errorf("%+v", found)
	}
	if _, err := config.InspectFile("none.yaml"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
