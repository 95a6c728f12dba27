package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/exporters/file"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/exporters/sdk"
	"github.com/riffletrace/riffle/exporters/stdout"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// schemaRegistries have what the schema's exporters are made of.
func schemaRegistries(tb testing.TB, opts ...config.Option) []config.Option {
	tb.Helper()
	exporters := component.NewExporters()
	exporters.MustAdd(otlp.Factory)
	exporters.MustAdd(stdout.Factory)
	exporters.MustAdd(file.Factory)
	exporters.MustAdd(sdk.HTTP)
	return append([]config.Option{
		config.Samplers(samplersWithout()), config.Exporters(exporters), config.App("fluxbase"), config.File("otel.yaml"),
	}, opts...)
}

func parseOTel(tb testing.TB, text string, env ...string) core.Spec {
	tb.Helper()
	spec, err := config.Parse([]byte(text), schemaRegistries(tb, config.Environ(env))...)
	if err != nil {
		tb.Fatal(err)
	}
	return spec
}

// console is a provider with one exporter.
const console = "file_format: '1.1'\ntracer_provider:\n  processors: [{simple: {exporter: {console: }}}]\n"

// An exporter becomes an entry of riffle's, with the defaults of the schema.
func TestOpenTelemetryExporters(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ processor, want string }{
		{"simple: {exporter: {console: }}", "stdout console tree stdout; 1 spans, 0s, 30s, 0B"},
		{"batch: {exporter: {console: {}}}", "stdout console tree stdout; 512 spans, 5s, 30s, 0B"},
		{
			"batch: {schedule_delay: 0, export_timeout: 0, max_queue_size: 1, max_export_batch_size: 1000000, exporter: {console: }}",
			"stdout console tree stdout; 65536 spans, 0s, 24h, 64KiB",
		},
		{
			"batch: {schedule_delay: 0xff, export_timeout: 100.0, max_queue_size: 2048, max_export_batch_size: null, exporter: {console: }}",
			"stdout console tree stdout; 512 spans, 255ms, 100ms, 2MiB",
		},
		{"simple: {exporter: {otlp_file/development: }}", "stdout otlp_file otlp_json stdout; 1 spans, 0s, 30s, 0B"},
		{"simple: {exporter: {otlp_file/development: {output_stream: 'file://" + dir + "/t.jsonl'}}}", "file otlp_file " + dir + "/t.jsonl otlp_json 0B; 1 spans, 0s, 30s, 0B"},
		{
			"batch: {exporter: {otlp_http: }}",
			"otlp otlp_http http/protobuf http://localhost:4318/v1/traces  none 10s map[] {}; 512 spans, 5s, 30s, 0B",
		},
		{
			"batch: {exporter: {otlp_http: {endpoint: 'https://a.example:8443', timeout: 0, compression: gzip}}}",
			"otlp otlp_http http/protobuf https://a.example:8443 / gzip 24h map[] {}; 512 spans, 5s, 30s, 0B",
		},
		{
			"batch: {exporter: {otlp_http: {endpoint: 'https://a.example/in/x?key=1', headers_list: 'a=1,B=%20b', headers: [{name: b, value: '2'}, {name: c, value: null}]}}}",
			"otlp otlp_http http/protobuf https://a.example /in/x?key=1 none 10s map[a:1 b:2] {}; 512 spans, 5s, 30s, 0B",
		},
		{
			"batch: {exporter: {otlp_http: {endpoint: 'http://a.example/v1/traces', tls: {ca_file: /nowhere}}}}",
			"otlp otlp_http http/protobuf http://a.example/v1/traces  none 10s map[] {}; 512 spans, 5s, 30s, 0B",
		},
		{
			"batch: {exporter: {otlp_http: {encoding: json}}}",
			"otlptracehttp otlp_http json http://localhost:4318/v1/traces; 512 spans, 5s, 30s, 0B",
		},
		{
			"batch: {exporter: {otlp_grpc: {endpoint: null}}}",
			"otlp otlp_grpc grpc http://localhost:4317  none 10s map[] {}; 512 spans, 5s, 30s, 0B",
		},
		{
			"batch: {exporter: {otlp_grpc: {endpoint: 'localhost:4317'}}}",
			"otlp otlp_grpc grpc localhost:4317 insecure=false  none 10s map[] {}; 512 spans, 5s, 30s, 0B",
		},
		{
			"batch: {exporter: {otlp_grpc: {endpoint: 'a.example:4317', tls: {insecure: true}}}}",
			"otlp otlp_grpc grpc a.example:4317 insecure=true  none 10s map[] {}; 512 spans, 5s, 30s, 0B",
		},
		{ // a component of riffle's, with the keys of its line
			"batch: {schedule_delay: 100, exporter: {otlp: {endpoint: 'a.example:4317', name: a, batch: {max_spans: 7}, queue: {max_bytes: 5MiB}}}}",
			"otlp a  a.example:4317   0s map[] {}; 7 spans, 100ms, 30s, 5MiB",
		},
	} {
		spec := parseOTel(t, "file_format: '1.0'\ntracer_provider: {processors: [{"+tt.processor+"}]}\n",
			"OTEL_EXPORTER_OTLP_ENDPOINT=https://other.example", "OTEL_BSP_SCHEDULE_DELAY=1", "OTEL_TRACES_SAMPLER=always_off")
		if len(spec.Exporters) != 1 || !spec.Enabled {
			t.Fatalf("%s: %v", tt.processor, spec.Exporters)
		}
		if diff := cmp.Diff(tt.want, describeExporter(spec.Exporters[0])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.processor, diff)
		}
	}
}

func describeExporter(e core.ExporterEntry) string {
	said := e.Type() + " " + e.ID() + " "
	switch c := e.Config().(type) {
	case otlp.Config:
		insecure := ""
		if c.Insecure != nil {
			insecure = fmt.Sprintf(" insecure=%v", *c.Insecure)
		}
		headers := map[string]string{}
		for k, v := range c.Headers {
			headers[k] = string(v)
		}
		said += fmt.Sprintf("%s %s%s %s %s %s %v {%s}", c.Protocol, c.Endpoint, insecure, c.URLPath, c.Compression, c.Timeout, headers, c.TLS.CAFile)
		if !c.NoEnvironment {
			said += " and the environment"
		}
	case sdk.HTTPConfig:
		said += c.Encoding + " " + c.Endpoint
	case stdout.Config:
		said += c.Format + " " + c.Output
	case file.Config:
		said += c.Path + " " + c.Format + " " + c.MaxSize.String()
	}
	d := *e.Delivery
	return said + fmt.Sprintf("; %d spans, %s, %s, %s", d.Batch.MaxSpans, d.Batch.MaxAge, d.Send.Timeout, d.Queue.MaxBytes)
}

// Exporters of one kind get names of their own.
func TestOpenTelemetryNames(t *testing.T) {
	spec := parseOTel(t, `file_format: "1.1"
tracer_provider:
  processors:
    - batch: {exporter: {console: }}
    - batch: {exporter: {console: }}
    - batch: {exporter: {otlp_http: }}
distribution: {riffle: {exporters: [{type: otlp, endpoint: "a:1"}], samplers: [{type: ratio, rate: 0.5}]}}
`)
	var ids []string
	for _, e := range spec.Exporters {
		ids = append(ids, e.ID())
	}
	for _, e := range spec.Samplers {
		ids = append(ids, e.ID())
	}
	if diff := cmp.Diff([]string{"console", "console_2", "otlp_http", "otlp", "ratio", "ratio_2"}, ids); diff != "" {
		t.Error(diff)
	}
}

// A sampler becomes the list of samplers and what a remote parent means.
func TestOpenTelemetrySamplers(t *testing.T) {
	for _, tt := range []struct{ lines, want string }{
		{"", "follow: ratio 1"},
		{"  sampler: null\n", ""},
		{"  sampler: {always_on: }\n", "ask: ratio 1"},
		{"  sampler: {always_off: }\n", "ask: ratio 0"},
		{"  sampler: {trace_id_ratio_based: {ratio: 0.25}}\n", "ask: ratio 0.25"},
		{"  sampler: {probability/development: }\n", "ask: ratio 1"},
		{"  sampler: {parent_based: }\n", "follow: ratio 1"},
		{"  sampler: {parent_based: {root: {trace_id_ratio_based: {ratio: 0.25}}, remote_parent_sampled: {always_on: }, local_parent_not_sampled: {always_off: }}}\n", "follow: ratio 0.25"},
		{"  sampler: {always_record: {root: {parent_based: {root: {always_off: }}}}}\n", "watch: ratio 0 (all recorded)"},
		{"  sampler: {slow: {threshold: 1s}}\n", "watch: slow 1s"},
		{"  sampler: {parent_based: {root: {slow: {threshold: 1s}}}}\n", "watch: slow 1s"},
		{"distribution: {riffle: {samplers: [{type: slow, threshold: 2s}]}}\n", "watch: slow 2s, ratio 1"},
		{"distribution: {riffle: {samplers: [{type: slow, threshold: 2s}], remote_parent: ignore}}\n", "ignore: slow 2s, ratio 1"},
		{"  sampler: {always_on: }\ndistribution: {riffle: {samplers: [{type: slow, threshold: 2s}]}}\n", "ask: slow 2s, ratio 1"},
	} {
		spec, err := config.Parse([]byte(console+tt.lines), schemaRegistries(t, config.Environ(nil))...)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%s: no error", tt.lines)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if got := describeSamplers(spec); got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.lines, got, tt.want)
		}
	}
}

func describeSamplers(spec core.Spec) string {
	all := make([]string, len(spec.Samplers))
	for i, e := range spec.Samplers {
		switch c := e.Config().(type) {
		case ratio.Config:
			all[i] = fmt.Sprint("ratio ", c.Rate)
		case slowConfig:
			all[i] = "slow " + c.Threshold.String()
		default:
			all[i] = e.Type()
		}
	}
	said := string(spec.RemoteParent) + ": " + strings.Join(all, ", ")
	if spec.AlwaysRecord {
		said += " (all recorded)"
	}
	return said
}

// Limits, propagators and what belongs to the section are the schema's.
func TestOpenTelemetryScalars(t *testing.T) {
	spec := parseOTel(t, console)
	l := spec.Limits
	if got, want := fmt.Sprint(*l.AttributeCount, *l.AttributeValueLength, *l.EventCount, *l.LinkCount, *l.EventAttributeCount, *l.LinkAttributeCount), "128 -1 128 128 128 128"; got != want {
		t.Errorf("the default limits are %s, want %s", got, want)
	}
	if diff := cmp.Diff([]string{"none"}, spec.Propagators); diff != "" {
		t.Error(diff)
	}
	spec = parseOTel(t, console+`  limits: {attribute_value_length_limit: 0, event_count_limit: 3}
attribute_limits: {attribute_value_length_limit: 9, attribute_count_limit: 7}
propagator: {composite: [{b3: }, {tracecontext: }], composite_list: "baggage,b3,none"}
disabled: true
distribution: {riffle: {max_bytes: 5MiB}, other: {key: 1}}
`)
	l = spec.Limits
	if got, want := fmt.Sprint(*l.AttributeCount, *l.AttributeValueLength, *l.EventCount, *l.LinkCount), "7 0 3 128"; got != want {
		t.Errorf("the limits are %s, want %s", got, want)
	}
	if diff := cmp.Diff([]string{"b3", "tracecontext", "baggage"}, spec.Propagators); diff != "" {
		t.Error(diff)
	}
	if spec.Enabled || spec.MaxBytes != 5<<20 {
		t.Errorf("enabled is %v, max_bytes %s", spec.Enabled, spec.MaxBytes)
	}
	if w := warnings(spec).Error(); !strings.Contains(w, "not read: distribution.other\n") {
		t.Error(w)
	}
}

// What is not about traces is named in one warning, what is missing too.
func TestOpenTelemetryPassedOver(t *testing.T) {
	spec := parseOTel(t, `file_format: "1.7"
log_level: debug
meter_provider: {readers: []}
instrumentation/development: {go: {}}
tracer_providr: {}
`)
	want := `otel.yaml:1:1: file_format 1.7 is newer than 1.1, the newest that is known: what is new in it is an error, or not read
file_format: "1.7"
^
otel.yaml:1:1: tracer_provider is missing: tracing is off
file_format: "1.7"
^
otel.yaml:1:1: not read: log_level, meter_provider, instrumentation/development, tracer_providr (did you mean tracer_provider?)
file_format: "1.7"
^`
	if diff := cmp.Diff(want, warnings(spec).Error()); diff != "" || spec.Enabled {
		t.Errorf("enabled %v; (-want +got):\n%s", spec.Enabled, diff)
	}
}

func TestOpenTelemetryVersions(t *testing.T) {
	for version, ok := range map[string]bool{
		`"1.0"`: true, `"1.1"`: true, `1.0`: true, `"1.1.0"`: true, `"1.2"`: true, `"1.0-rc.3"`: false, `"0.4"`: false, `"0.3"`: false, `"2.0"`: false, `""`: false, `null`: false, `"1"`: false, `[]`: false,
	} {
		_, err := config.Parse([]byte(strings.Replace(console, "'1.1'", version, 1)), schemaRegistries(t, config.Environ(nil))...)
		if (err == nil) != ok {
			t.Errorf("%s: %v", version, err)
		}
	}
}

// OTEL_CONFIG_FILE takes the place of the other variables; the file and the
// application's variables still win.
func TestOpenTelemetryConfigFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otel.yaml")
	text := console + "  sampler: {trace_id_ratio_based: {ratio: 0.25}}\nresource: {attributes: [{name: service.name, value: checkout}]}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"OTEL_CONFIG_FILE=" + path, "OTEL_SERVICE_NAME=other", "OTEL_TRACES_SAMPLER=nonsense", "OTEL_SOMETHING=x"}
	for _, tt := range []struct {
		file, variable string
		want           string
	}{
		{"", "A=b", "checkout true ask: ratio 0.25 [console]"},
		{"", lead + "SAMPLE_RATE=0.5", "checkout true ask: ratio 0.5 [console]"},
		{tracing("service_name: own"), "A=b", "own true ask: ratio 0.25 [console]"},
		{tracing("enabled: false", "remote_parent: watch", "samplers: []", "exporters: [{type: otlp}]"), "A=b", "checkout false watch:  [otlp]"},
		{tracing("sample_rate: 0.1"), lead + "ENABLED=false", "checkout false ask: ratio 0.1 []"},
	} {
		opts := schemaRegistries(t, config.Environ(append(env, tt.variable)))
		spec, err := config.FromEnv(opts...)
		if tt.file != "" {
			spec, err = config.Parse([]byte(tt.file), append(opts, config.File("fluxbase.yaml"))...)
		}
		if err != nil {
			t.Error(err)
			continue
		}
		var exporters []string
		for _, e := range spec.Exporters {
			exporters = append(exporters, e.ID())
			if c, ok := e.Config().(otlp.Config); ok && !c.NoEnvironment {
				t.Error("the exporter looks at the environment")
			}
		}
		if got := fmt.Sprint(spec.ServiceName, " ", spec.Enabled, " ", describeSamplers(spec), " ", exporters); got != tt.want {
			t.Errorf("%s %s\ngot  %s\nwant %s", tt.file, tt.variable, got, tt.want)
		}
		if len(warnings(spec)) > 0 {
			t.Error(warnings(spec))
		}
	}
	if err := os.WriteFile(path, []byte("tracer_provider: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.FromEnv(schemaRegistries(t, config.Environ(env))...); err == nil || !strings.Contains(err.Error(), "it has no file_format") {
		t.Errorf("another file: %v", err)
	}
}

// A mistake in the file that the variable names has its position and path there.
func TestOpenTelemetryConfigFileMistake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otel.yaml")
	text := console + "  sampler: {slow: {threshold: soon}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Parse([]byte(tracing("max_wait: long")), schemaRegistries(t, config.File("fluxbase.yaml"), config.Environ([]string{"OTEL_CONFIG_FILE=" + path}))...)
	want := path + `:4:20: tracer_provider.sampler.slow.threshold: "soon" is not a duration: want a number with a unit, such as 250ms, 1s or 5m
  sampler: {slow: {threshold: soon}}
                   ^
fluxbase.yaml:3:5: observability.tracing.max_wait: "long" is not a duration: want a number with a unit, such as 250ms, 1s or 5m
    max_wait: long
    ^`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// A warning about what an OpenTelemetry file does not say has its path in that file.
func TestOpenTelemetryServiceName(t *testing.T) {
	for text, want := range map[string]string{
		console: "otel.yaml:1:1: resource.attributes: not set: ",
		console + "resource: {attributes: [{name: a, value: b}]}\n":             "otel.yaml:4:12: resource.attributes: not set: ",
		console + "resource: {}\n":                                              "otel.yaml:4:1: resource.attributes: not set: ",
		console + "resource: {attributes: [{name: service.name, value: ''}]}\n": "otel.yaml:4:46: resource.attributes[0].value: not set: ",
	} {
		spec := parseOTel(t, text)
		if got := spec.Source.Warnings().Error(); !strings.Contains(got, want) || strings.Contains(got, "observability.tracing") {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}
