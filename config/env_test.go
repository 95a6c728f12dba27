package config_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/exporters/otlp"
)

// summary writes down what a spec says, in lines that a table can hold.
func summary(tb testing.TB, spec core.Spec) []string {
	tb.Helper()
	var lines []string
	add := func(key, value string) {
		if value != "" {
			lines = append(lines, key+" "+value)
		}
	}
	if spec.Enabled {
		lines = append(lines, "enabled")
	}
	add("name", spec.ServiceName)
	add("version", spec.ServiceVersion)
	if spec.ServiceNamespace != "fluxbase" {
		add("namespace", spec.ServiceNamespace)
	}
	add("environment", spec.Environment)
	if spec.RemoteParent != record.Watch {
		add("remote_parent", string(spec.RemoteParent))
	}
	if p := strings.Join(spec.Propagators, ","); p != "tracecontext,baggage" {
		add("propagators", p)
	}
	for _, k := range []string{"team", "region", "service.name"} {
		add("resource "+k, spec.Resource[k])
	}
	if spec.Limits != (core.SpanLimits{}) {
		lines = append(lines, "limits")
	}
	for _, c := range spec.Samplers {
		line := "sampler " + c.ID()
		if c.Type() == "ratio" {
			line += " " + formatFloat(rateOf(tb, c))
		}
		lines = append(lines, line)
	}
	for _, c := range spec.Exporters {
		line := "exporter " + c.ID()
		if c.Type() == "otlp" {
			o := decoded[otlp.Config](tb, c)
			if o.Endpoint != "" {
				line += " " + o.Endpoint
			}
			if o.Insecure != nil && *o.Insecure {
				line += " insecure"
			}
			if o.Insecure != nil && !*o.Insecure {
				line += " secure"
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

const lead = "FLUXBASE_OBSERVABILITY_TRACING_"

func TestPrecedence(t *testing.T) {
	for _, tt := range []struct {
		name string
		file string // lines of the section, with | between
		env  string // words
		want string // with | between
	}{
		{name: "nothing", want: ""},
		{name: "enabled alone", file: "enabled: true", want: "enabled|exporter otlp"},
		{name: "by variable", env: lead + "ENABLED=true", want: "enabled|exporter otlp"},
		{name: "variable over file", file: "enabled: true", env: lead + "ENABLED=false", want: ""},
		{name: "file over OTEL", file: "enabled: true", env: "OTEL_SDK_DISABLED=true", want: "enabled|exporter otlp"},
		{name: "OTEL over default", env: "OTEL_SDK_DISABLED=false", want: "enabled|exporter otlp"},
		{
			name: "all three",
			file: "service_name: file|service_version: file",
			env:  lead + "SERVICE_NAME=app OTEL_SERVICE_NAME=otel OTEL_RESOURCE_ATTRIBUTES=service.version=otel,service.namespace=otel,team=otel",
			want: "name app|version file|namespace otel|resource team otel",
		},
		{
			name: "every scalar",
			env: lead + "ENABLED=true " + lead + "ENDPOINT=c:1 " + lead + "INSECURE=true " + lead + "SAMPLE_RATE=0.5 " + lead + "SERVICE_NAME=n " +
				lead + "SERVICE_VERSION=1.10 " + lead + "SERVICE_NAMESPACE=ns " + lead + "ENVIRONMENT=e " + lead + "REMOTE_PARENT=follow",
			want: "enabled|name n|version 1.10|namespace ns|environment e|remote_parent follow|sampler ratio 0.5|exporter otlp c:1 insecure",
		},
		{name: "empty is not set", file: "service_name: file", env: lead + "SERVICE_NAME=", want: "name file"},
		{name: "resource by key", file: "resource: {team: file}", env: "OTEL_RESOURCE_ATTRIBUTES=team=otel,region=otel", want: "resource team file|resource region otel"},
		{name: "attribute is the key", file: "resource: {service.name: file}", env: "OTEL_SERVICE_NAME=otel", want: "name file"},
		{name: "attribute below variable", file: "resource: {service.name: file}", env: lead + "SERVICE_NAME=app", want: "name app"},

		{name: "rate over rate", file: "sample_rate: 0.1", env: lead + "SAMPLE_RATE=0.25", want: "sampler ratio 0.25"},
		{name: "rate of the only ratio", file: "samplers: [{type: slow}, {type: ratio, name: base, rate: 0.1}]", env: lead + "SAMPLE_RATE=0.25", want: "sampler slow|sampler base 0.25"},
		{name: "rate without a ratio", file: "samplers: [{type: slow}]", env: lead + "SAMPLE_RATE=0.25", want: "sampler slow|sampler ratio 0.25"},
		{name: "rate at the end", file: "sample_rate: 0|samplers: [{type: slow}]", want: "sampler slow|sampler ratio 0"},
		{name: "OTEL rate", env: "OTEL_TRACES_SAMPLER=traceidratio OTEL_TRACES_SAMPLER_ARG=0.25", want: "remote_parent ask|sampler ratio 0.25"},
		{name: "rate over OTEL", file: "sample_rate: 0.5", env: "OTEL_TRACES_SAMPLER=always_off", want: "sampler ratio 0.5"},
		{name: "samplers over OTEL", file: "samplers: [{type: slow}]", env: "OTEL_TRACES_SAMPLER=always_off", want: "sampler slow"},

		{name: "endpoint over endpoint", file: "endpoint: a:1|insecure: true", env: lead + "ENDPOINT=b:2", want: "exporter otlp b:2 insecure"},
		{name: "insecure over insecure", file: "endpoint: a:1|insecure: true", env: lead + "INSECURE=false", want: "exporter otlp a:1 secure"},
		{name: "endpoint of the only otlp", file: "exporters: [{type: stdout}, {type: otlp, name: main, endpoint: a:1}]", env: lead + "ENDPOINT=b:2 " + lead + "INSECURE=true", want: "exporter stdout|exporter main b:2 insecure"},
		{name: "endpoint without an otlp", file: "exporters: [{type: stdout}]", env: lead + "ENDPOINT=b:2", want: "exporter stdout|exporter otlp b:2"},
		{name: "insecure alone", file: "enabled: true|insecure: true", want: "enabled|exporter otlp insecure"},
		{name: "no exporters on purpose", file: "enabled: true|exporters: []", want: "enabled"},
		{name: "OTEL exporters", file: "enabled: true", env: "OTEL_TRACES_EXPORTER=console,otlp", want: "enabled|exporter stdout|exporter otlp"},
		{name: "OTEL none", file: "enabled: true", env: "OTEL_TRACES_EXPORTER=none", want: "enabled"},
		{name: "exporters over OTEL", file: "exporters: [{type: stdout}]", env: "OTEL_TRACES_EXPORTER=none", want: "exporter stdout"},
		{name: "endpoint over OTEL", file: "endpoint: a:1", env: "OTEL_TRACES_EXPORTER=console", want: "exporter otlp a:1"},
		{name: "insecure with OTEL", file: "enabled: true|insecure: true", env: "OTEL_TRACES_EXPORTER=console,otlp", want: "enabled|exporter stdout|exporter otlp insecure"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := tracing(strings.Split(tt.file, "|")...)
			spec := mustParse(t, text, strings.Fields(tt.env)...)
			if diff := cmp.Diff(tt.want, strings.Join(summary(t, spec), "|")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFromEnv(t *testing.T) {
	spec, err := config.FromEnv(append(registries(t), config.App("fluxbase"), config.Environ([]string{lead + "ENABLED=true"}))...)
	if err != nil || !spec.Enabled {
		t.Errorf("FromEnv = %+v, %v", spec, err)
	}
	spec, err = config.FromEnv(config.Environ(nil), config.Exporters(component.NewExporters()))
	if err != nil || spec.Enabled || spec.Exporters != nil || warnings(spec) != nil {
		t.Errorf("FromEnv without variables = %+v, %v", spec, err)
	}
}

func TestApp(t *testing.T) {
	opts := append(registries(t), config.App("my-shop"), config.Environ([]string{"MY_SHOP_OBSERVABILITY_TRACING_SERVICE_NAME=x", lead + "SERVICE_NAME=y"}))
	spec, err := config.FromEnv(opts...)
	if err != nil || spec.ServiceName != "x" || spec.ServiceNamespace != "my-shop" {
		t.Errorf("spec = %+v, %v", spec, err)
	}
}

func TestWarnings(t *testing.T) {
	for _, tt := range []struct{ name, env, want string }{
		{name: "misspelled", env: lead + "SERVICENAME=x", want: lead + "SERVICENAME: unknown variable (did you mean " + lead + "SERVICE_NAME?)"},
		{name: "case", env: lead + "Endpoint=x", want: lead + "Endpoint: unknown variable (did you mean " + lead + "ENDPOINT?)"},
		{name: "nothing near", env: lead + "QUUX=x", want: lead + "QUUX: unknown variable"},
		{name: "a list", env: lead + "EXPORTERS=stdout", want: lead + "EXPORTERS: not read: exporters is set in the file, where ${NAME} stands for a variable"},
		{name: "another application", env: "FLUX_OBSERVABILITY_TRACING_QUUX=x FLUXBASE_OBSERVABILITY_METRICS_X=1"},
		{name: "ignored in one", env: "OTEL_METRICS_EXPORTER=x OTEL_LOG_LEVEL=debug OTEL_GO_X_RESOURCE=true OTEL_EMPTY= OTEL_TRACE_ID=1 OTEL_SPAN_ID=1 OTEL_SEMCONV_STABILITY_OPT_IN=database", want: "variables that riffle does not read: OTEL_LOG_LEVEL, OTEL_METRICS_EXPORTER"},
		{name: "disabled in vain", env: "OTEL_SDK_DISABLED=true", want: "OTEL_SDK_DISABLED: overridden by fluxbase.yaml:3:5"},
		{name: "disabled badly", env: "OTEL_SDK_DISABLED=off", want: `OTEL_SDK_DISABLED: "off" is neither true nor false: ignored`},
		{name: "propagators", env: "OTEL_PROPAGATORS=b3,b4", want: "OTEL_PROPAGATORS: unknown propagators are ignored: b4 (known are tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace, none)"},
		{name: "exporters", env: "OTEL_TRACES_EXPORTER=zipkin", want: "OTEL_TRACES_EXPORTER: unknown exporters are ignored: zipkin (known are otlp, otlptracegrpc, stdout, console, none)"},
		{name: "sampler", env: "OTEL_TRACES_SAMPLER=xray", want: `OTEL_TRACES_SAMPLER: "xray" is not supported by this variable (supported are always_on, always_off, traceidratio, jaeger_remote, parentbased_always_on, parentbased_always_off, parentbased_traceidratio, parentbased_jaeger_remote): ignored`},
		{name: "sampler's rate", env: "OTEL_TRACES_SAMPLER=traceidratio OTEL_TRACES_SAMPLER_ARG=2", want: `OTEL_TRACES_SAMPLER_ARG: "2" is not a number from 0 to 1: 1 is taken`},
		{name: "attributes", env: "OTEL_RESOURCE_ATTRIBUTES=a", want: `OTEL_RESOURCE_ATTRIBUTES: entry 1 is not key=value: ignored`},
		{name: "limits", env: "OTEL_SPAN_LINK_COUNT_LIMIT=few", want: `OTEL_SPAN_LINK_COUNT_LIMIT: "few" is not a whole number from 0 to 2147483647: ignored`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := mustParse(t, tracing("enabled: true"), strings.Fields(tt.env)...)
			if diff := cmp.Diff(tt.want, withoutSnippets(warnings(spec))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func withoutSnippets(errs core.ConfigErrors) string {
	var lines []string
	for _, e := range errs {
		line, _, _ := strings.Cut(e.Error(), "\n")
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
