package config_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/file"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/exporters/stdout"
)

// otelRegistries have an exporter besides that needs a key.
func otelRegistries(tb testing.TB) []config.Option {
	tb.Helper()
	exporters := component.NewExporters()
	for _, f := range []component.Factory[sdktrace.SpanExporter]{otlp.Factory, stdout.Factory, file.Factory} {
		exporters.MustAdd(f)
	}
	return []config.Option{config.Samplers(samplersWithout()), config.Exporters(exporters)}
}

// Of every variable: what its values set, and what is said about those that it ignores.
func TestOTelValues(t *testing.T) {
	type values map[string]string // a value leads to its effect, and a warning behind a |

	send := func(s core.Spec) string {
		e, err := s.Exporters[0].Build(t.Context(), component.Settings{})
		if err != nil {
			return err.Error()
		}
		defer func() { _ = e.Shutdown(t.Context()) }()
		traits := e.(delivery.Exporter).Traits()
		return traits.Endpoint + " " + string(traits.Compression)
	}
	line := func(get func(*delivery.Config) fmt.Stringer) func(core.Spec) string {
		return func(s core.Spec) string { return get(s.Exporters[0].Delivery).String() }
	}
	limit := func(get func(core.SpanLimits) *int) func(core.Spec) string {
		return func(s core.Spec) string {
			if n := get(s.Limits); n != nil {
				return strconv.Itoa(*n)
			}
			return "unset"
		}
	}
	rate := func(s core.Spec) string {
		if len(s.Samplers) == 0 {
			return "unset"
		}
		return formatFloat(rateOf(t, s.Samplers[0]))
	}
	exporters := func(s core.Spec) string {
		var ids []string
		for _, e := range s.Exporters {
			ids = append(ids, e.ID())
		}
		return strings.Join(ids, ",")
	}
	const (
		samplers     = "always_on, always_off, traceidratio, jaeger_remote, parentbased_always_on, parentbased_always_off, parentbased_traceidratio, parentbased_jaeger_remote"
		milliseconds = "is not a number of milliseconds from 0 to 2147483647"
		one          = "is not a whole number from 1 to 2147483647"
		zero         = "is not a whole number from 0 to 2147483647"
		propagators  = "tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace, none"
		types        = "file, otlp, stdout, console, none"
	)
	limits := values{
		"5": "5", " 5 ": "5", "0": "0", "": "unset", " ": "unset",
		"-1":   `unset|"-1" ` + zero + ": ignored",
		"what": `unset|"what" ` + zero + ": ignored",
		"10s":  `unset|"10s" ` + zero + ": ignored",
		"1e3":  `unset|"1e3" ` + zero + ": ignored",
	}
	unreadable := "localhost:4317 none"
	tested := map[string]bool{}
	for _, tt := range []struct {
		variables []string
		file      string // what the section says besides
		env       string // besides
		get       func(core.Spec) string
		values    values
	}{
		{[]string{"OTEL_SDK_DISABLED"}, "service_name: x", "", func(s core.Spec) string { return strconv.FormatBool(s.Enabled) }, values{
			"true": "false", "TRUE": "false", "False": "true", " false ": "true", "": "false", " ": "false",
			"0":    `false|"0" is neither true nor false: ignored`,
			"1":    `false|"1" is neither true nor false: ignored`,
			"-1":   `false|"-1" is neither true nor false: ignored`,
			"what": `false|"what" is neither true nor false: ignored`,
		}},
		{[]string{"OTEL_SERVICE_NAME"}, "enabled: true", "", func(s core.Spec) string { return "<" + s.ServiceName + ">" }, values{
			"x": "<x>", "X": "<X>", " x ": "<x>", "": "<>", " ": "<>", "0": "<0>", "~": "<~>", "null": "<null>", "{a: b}": "<{a: b}>",
		}},
		{[]string{"OTEL_RESOURCE_ATTRIBUTES"}, "enabled: true", "", func(s core.Spec) string { return fmt.Sprint(s.ServiceName, s.Resource) }, values{
			"team=a": "map[team:a]", " Team = A , b = 0 ": "map[Team:A b:0]", "": "map[]", " ": "map[]",
			"service.name=y%20z,t%2C=a%3D": "y zmap[t,:a=]", "a=1,a=2": "map[a:2]", "a=": "map[a:]", "a=b=c": "map[a:b=c]",
			"team=a,":         "map[team:a]|entry 2 is empty: ignored",
			"what":            "map[]|entry 1 is not key=value: ignored",
			"=b,a=1":          "map[a:1]|entry 1 is not key=value: ignored",
			"a=%zz,b=1,c":     "map[b:1]|entry 1 is not percent-encoded (a % is written %25), entry 3 is not key=value: ignored",
			"a,b,c,d,e,f,g=1": "map[g:1]|entry 1 is not key=value, entry 2 is not key=value, entry 3 is not key=value, entry 4 is not key=value, entry 5 is not key=value, and 1 more: ignored",
		}},
		{[]string{"OTEL_PROPAGATORS"}, "enabled: true", "", func(s core.Spec) string { return strings.Join(s.Propagators, ",") }, values{
			"b3": "b3", "B3, Jaeger,b3": "b3,jaeger", "none": "none", "": "tracecontext,baggage", " ": "tracecontext,baggage", ",": "tracecontext,baggage",
			"b3,None": "none|none stands alone: the others are ignored",
			"what,b3": "b3|unknown propagators are ignored: what (known are " + propagators + ")",
			"0":       "tracecontext,baggage|unknown propagators are ignored: 0 (known are " + propagators + ")",
		}},
		{[]string{"OTEL_TRACES_SAMPLER"}, "enabled: true", "OTEL_TRACES_SAMPLER_ARG=0.5", rate, values{
			"always_on": "1", "Always_Off": "0", " traceidratio ": "0.5", "ParentBased_TraceIDRatio": "0.5", "parentbased_always_on": "1", "": "unset", " ": "unset",
			"jaeger_remote":             `unset|no sampler "jaeger_remote" is registered (forgotten import of samplers/standard?): ignored`,
			"parentbased_JAEGER_remote": `unset|no sampler "jaeger_remote" is registered (forgotten import of samplers/standard?): ignored`,
			"XRay":                      `unset|"xray" is not supported by this variable (supported are ` + samplers + "): ignored",
			"what":                      `unset|"what" is not one of ` + samplers + ": ignored",
			"parentbased_":              `unset|"parentbased_" is not one of ` + samplers + ": ignored",
			"0":                         `unset|"0" is not one of ` + samplers + ": ignored",
		}},
		{[]string{"OTEL_TRACES_SAMPLER_ARG"}, "enabled: true", "OTEL_TRACES_SAMPLER=traceidratio", rate, values{
			"0.25": "0.25", " 1E-2 ": "0.01", "0": "0", "1": "1", "0x1p-2": "0.25", "": "1", " ": "1",
			"-1":   `1|"-1" is not a number from 0 to 1: 1 is taken`,
			"2":    `1|"2" is not a number from 0 to 1: 1 is taken`,
			"NaN":  `1|"NaN" is not a number from 0 to 1: 1 is taken`,
			"50%":  `1|"50%" is not a number from 0 to 1: 1 is taken`,
			"what": `1|"what" is not a number from 0 to 1: 1 is taken`,
		}},
		{[]string{"OTEL_TRACES_EXPORTER"}, "enabled: true", "", exporters, values{
			"otlp": "otlp", "Console, OTLP,stdout": "stdout,otlp", "None": "", "": "otlp", " ": "otlp", ",": "otlp",
			"otlp,none":   "|none stands alone: the others are ignored",
			"file,stdout": "stdout|exporter file needs an entry in the file: ignored",
			"file":        "otlp|exporter file needs an entry in the file: ignored",
			"what,stdout": "stdout|unknown exporters are ignored: what (known are " + types + ")",
			"logging":     "otlp|unknown exporters are ignored: logging (known are " + types + ")",
			"0":           "otlp|unknown exporters are ignored: 0 (known are " + types + ")",
		}},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}, "enabled: true", "", send, values{
			"http://a:1": "a:1 none", " HTTPS://A:1 ": "A:1 none", "": "localhost:4317 none", " ": "localhost:4317 none", "what": "what:4317 none",
			"a:0":  `localhost:4317 none|port "0" is not a number from 1 to 65535: ignored`,
			"a:-1": `localhost:4317 none|port "-1" is not a number from 1 to 65535: ignored`,
		}},
		{[]string{"OTEL_EXPORTER_OTLP_INSECURE", "OTEL_EXPORTER_OTLP_TRACES_INSECURE"}, "exporters: [{type: otlp, protocol: http/protobuf}]", "", send, values{
			"true": "http://localhost:4318/v1/traces gzip", "TRUE": "http://localhost:4318/v1/traces gzip", "False": "https://localhost:4318/v1/traces gzip", "": "http://localhost:4318/v1/traces gzip",
			"0":    `https://localhost:4318/v1/traces gzip|"0" is neither true nor false: false is taken`,
			"1":    `https://localhost:4318/v1/traces gzip|"1" is neither true nor false: false is taken`,
			"what": `https://localhost:4318/v1/traces gzip|"what" is neither true nor false: false is taken`,
		}},
		{[]string{"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"}, "enabled: true", "", send, values{
			"grpc": "localhost:4317 none", "gRPC": "localhost:4317 none", " HTTP/protobuf ": "http://localhost:4318/v1/traces gzip", "": "localhost:4317 none", " ": "localhost:4317 none",
			"http/json": `http://localhost:4318/v1/traces gzip|"http/json" is not spoken: http/protobuf is used`,
			"what":      `localhost:4317 none|"what" is not one of grpc, http/protobuf: ignored`,
			"0":         `localhost:4317 none|"0" is not one of grpc, http/protobuf: ignored`,
		}},
		{[]string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"}, "enabled: true", "", send, values{
			"a=b": "localhost:4317 none", " A = b , c = 0 ": "localhost:4317 none", "": "localhost:4317 none", " ": "localhost:4317 none",
			"what":       "localhost:4317 none|entry 1 is not key=value: ignored",
			"a=b,c=s%zz": "localhost:4317 none|entry 2 is not percent-encoded (a % is written %25): ignored",
			"a=b,":       "localhost:4317 none|entry 2 is empty: ignored",
		}},
		{[]string{"OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"}, "enabled: true", "", send, values{
			"gzip": "localhost:4317 gzip", "GZIP": "localhost:4317 gzip", " None ": "localhost:4317 none", "Zstd": "localhost:4317 zstd", "": "localhost:4317 none", " ": "localhost:4317 none",
			"what": `localhost:4317 none|"what" is not one of none, gzip, zstd: ignored`,
			"0":    `localhost:4317 none|"0" is not one of none, gzip, zstd: ignored`,
		}},
		{[]string{"OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"}, "enabled: true", "", send, values{
			"500": unreadable, " 500 ": unreadable, "0": unreadable, "": unreadable, " ": unreadable,
			"-1":   unreadable + `|"-1" ` + milliseconds + ": ignored",
			"10s":  unreadable + `|"10s" ` + milliseconds + " (did you mean 10000?): ignored",
			"what": unreadable + `|"what" ` + milliseconds + ": ignored",
		}},
		{[]string{"OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"}, "enabled: true", "", send, values{
			"": unreadable, " ": unreadable, "what.pem": unreadable + "|open what.pem: no such file or directory: ignored", "0": unreadable + "|open 0: no such file or directory: ignored",
		}},
		{[]string{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE"}, "enabled: true", "", send, values{
			"": unreadable, " ": unreadable, "what.pem": unreadable + "|OTEL_EXPORTER_OTLP_CLIENT_KEY is not set, which it needs: ignored",
		}},
		{[]string{"OTEL_EXPORTER_OTLP_CLIENT_KEY", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"}, "enabled: true", "", send, values{
			"": unreadable, " ": unreadable, "what.pem": unreadable + "|OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is not set, which it needs: ignored",
		}},
		{[]string{"OTEL_BSP_SCHEDULE_DELAY"}, "enabled: true", "", line(func(c *delivery.Config) fmt.Stringer { return c.Batch.MaxAge }), values{
			"200": "200ms", " 200 ": "200ms", "0": "0s", "": "1s", " ": "1s",
			"-1":   `1s|"-1" ` + milliseconds + ": ignored",
			"5s":   `1s|"5s" ` + milliseconds + " (did you mean 5000?): ignored",
			"what": `1s|"what" ` + milliseconds + ": ignored",
		}},
		{[]string{"OTEL_BSP_EXPORT_TIMEOUT"}, "enabled: true", "", line(func(c *delivery.Config) fmt.Stringer { return c.Send.Timeout }), values{
			"200": "200ms", " 200 ": "200ms", "0": "596h31m23.647s", "": "30s", " ": "30s",
			"-1":   `30s|"-1" ` + milliseconds + ": ignored",
			"5s":   `30s|"5s" ` + milliseconds + " (did you mean 5000?): ignored",
			"what": `30s|"what" ` + milliseconds + ": ignored",
		}},
		{[]string{"OTEL_BSP_MAX_QUEUE_SIZE"}, "enabled: true", "", line(func(c *delivery.Config) fmt.Stringer { return c.Queue.MaxBytes }), values{
			"1024": "1MiB", " 1024 ": "1MiB", "": "0B", " ": "0B",
			"0":    `0B|"0" ` + one + ": ignored",
			"-1":   `0B|"-1" ` + one + ": ignored",
			"1k":   `0B|"1k" ` + one + ": ignored",
			"what": `0B|"what" ` + one + ": ignored",
		}},
		{[]string{"OTEL_BSP_MAX_QUEUE_SIZE"}, "exporters: [{type: otlp, batch: {max_bytes: 2MiB}}]", "", line(func(c *delivery.Config) fmt.Stringer { return c.Queue.MaxBytes }), values{
			"2048": "2MiB", "1024": "0B|1MiB is less than batch.max_bytes (2MiB): ignored",
		}},
		{[]string{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE"}, "enabled: true", "", func(s core.Spec) string { return strconv.Itoa(s.Exporters[0].Delivery.Batch.MaxSpans) }, values{
			"10": "10", " 10 ": "10", "": "2048", " ": "2048",
			"0":     `2048|"0" ` + one + ": ignored",
			"-1":    `2048|"-1" ` + one + ": ignored",
			"65537": "2048|65537 is more than 65536: ignored",
			"what":  `2048|"what" ` + one + ": ignored",
		}},
		{[]string{"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"}, "enabled: true", "", limit(func(l core.SpanLimits) *int { return l.AttributeCount }), limits},
		{[]string{"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"}, "enabled: true", "", limit(func(l core.SpanLimits) *int { return l.AttributeValueLength }), limits},
		{[]string{"OTEL_SPAN_EVENT_COUNT_LIMIT"}, "enabled: true", "", limit(func(l core.SpanLimits) *int { return l.EventCount }), limits},
		{[]string{"OTEL_SPAN_LINK_COUNT_LIMIT"}, "enabled: true", "", limit(func(l core.SpanLimits) *int { return l.LinkCount }), limits},
		{[]string{"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"}, "enabled: true", "", limit(func(l core.SpanLimits) *int { return l.EventAttributeCount }), limits},
		{[]string{"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"}, "enabled: true", "", limit(func(l core.SpanLimits) *int { return l.LinkAttributeCount }), limits},
	} {
		for _, name := range tt.variables {
			tested[name] = true
			for value, want := range tt.values {
				t.Run(name+"="+value, func(t *testing.T) {
					t.Setenv(name, value)
					opts := append(otelRegistries(t), config.Environ([]string{name + "=" + value, tt.env}))
					spec, err := config.Parse([]byte(tracing(tt.file)), opts...)
					if err != nil {
						t.Fatal(err)
					}
					want, warning, _ := strings.Cut(want, "|")
					if got := tt.get(spec); got != want {
						t.Errorf("got %q, want %q", got, want)
					}
					if warning != "" {
						warning = name + ": " + warning
					}
					if diff := cmp.Diff(warning, withoutSnippets(warnings(spec))); diff != "" {
						t.Errorf("warnings (-want +got):\n%s", diff)
					}
				})
			}
		}
	}
	for _, v := range config.Describe().OTelVariables {
		if !tested[v.Name] && v.Name != "OTEL_CONFIG_FILE" { // which has tests of its own
			t.Errorf("%s is not tested", v.Name)
		}
	}
}

// Which of two variables for one thing wins.
func TestOTelPrecedence(t *testing.T) {
	limit := func(f func(*core.SpanLimits) **int) func(core.Spec) string {
		return func(s core.Spec) string {
			if p := *f(&s.Limits); p != nil {
				return formatFloat(float64(*p))
			}
			return "none"
		}
	}
	name := func(s core.Spec) string { return s.ServiceName }
	exporters := func(s core.Spec) string {
		var ids []string
		for _, e := range s.Exporters {
			ids = append(ids, e.ID())
		}
		return strings.Join(ids, ",")
	}
	attributeCount := limit(func(l *core.SpanLimits) **int { return &l.AttributeCount })
	valueLength := limit(func(l *core.SpanLimits) **int { return &l.AttributeValueLength })

	for _, tt := range []struct {
		env  string
		get  func(core.Spec) string
		want string
	}{
		{"OTEL_SERVICE_NAME=x OTEL_RESOURCE_ATTRIBUTES=service.name=y", name, "x"},
		{"OTEL_RESOURCE_ATTRIBUTES=deployment.environment=e", func(s core.Spec) string { return s.Environment }, "e"},
		{"OTEL_TRACES_EXPORTER=console OTEL_SDK_DISABLED=false", exporters, "stdout"},
		{"OTEL_TRACES_EXPORTER=what OTEL_SDK_DISABLED=false", exporters, "otlp"},
		{"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=1 OTEL_ATTRIBUTE_COUNT_LIMIT=2", attributeCount, "1"},
		{"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=-1 OTEL_ATTRIBUTE_COUNT_LIMIT=2", attributeCount, "2"},
		{"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT=3 OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=4", valueLength, "3"},
		{"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT=x OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=4", valueLength, "4"},
	} {
		t.Run(tt.env, func(t *testing.T) {
			if got := tt.get(mustParse(t, tracing(""), strings.Fields(tt.env)...)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A warning is told once, not for each exporter.
func TestOTelWarnings(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")
	spec := mustParse(t, tracing("enabled: true", "exporters: [{type: otlp, name: a}, {type: otlp, name: b}, {type: stdout}]"),
		"OTEL_BSP_SCHEDULE_DELAY=1s", "OTEL_BSP_EXPORT_TIMEOUT=-1", "OTEL_EXPORTER_OTLP_TIMEOUT=10s")
	want := `OTEL_BSP_SCHEDULE_DELAY: "1s" is not a number of milliseconds from 0 to 2147483647 (did you mean 1000?): ignored
OTEL_BSP_EXPORT_TIMEOUT: "-1" is not a number of milliseconds from 0 to 2147483647: ignored
OTEL_EXPORTER_OTLP_TIMEOUT: "10s" is not a number of milliseconds from 0 to 2147483647 (did you mean 10000?): ignored`
	if got := withoutSnippets(warnings(spec)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestOTLPVariables: the exporters read them, for what an entry leaves out.
func TestOTLPVariables(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "otel:1")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	for _, tt := range []struct{ file, want string }{
		{"sample_rate: 1", "https://otel:1/v1/traces"},
		{"endpoint: file:2", "file:2"}, // nothing is theirs
		{"endpoint: otel:1", "https://otel:1/v1/traces"},
		{"exporters: [{type: otlp, endpoint: 'file:2', protocol: grpc}]", "file:2"},
	} {
		spec, err := config.Parse([]byte(tracing("enabled: true", tt.file)), registries(t)...)
		if err != nil {
			t.Fatal(err)
		}
		e, err := spec.Exporters[0].Build(t.Context(), component.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Shutdown(t.Context())
		if got := e.(delivery.Exporter).Traits().Endpoint; got != tt.want {
			t.Errorf("%s: sends to %s, want %s", tt.file, got, tt.want)
		}
	}
}
