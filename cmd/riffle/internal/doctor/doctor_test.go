package doctor

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	_ "github.com/riffletrace/riffle/exporters/standard"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret is in configurations of tests, and never in a report.
const secret = "hunter2-hunter2"

// stuck is how long a step may take on a slow machine.
const stuck = time.Minute

func options(t *testing.T, yaml string) Options {
	t.Helper()
	o := Options{
		Source: command.Source{
			Section: config.DefaultSection, Samplers: sampling.Samplers, Exporters: component.Exporters, MeterProviders: component.MeterProviders,
		},
		Program: "riffle", Timeout: stuck, system: t.TempDir(),
	}
	if yaml != "" {
		o.File = filepath.Join(t.TempDir(), "fluxbase.yaml")
		if err := os.WriteFile(o.File, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// tracing is a file with these lines in the section.
func tracing(lines ...string) string {
	return "observability:\n  tracing:\n    enabled: true\n    service_name: fluxbase\n    " + strings.Join(lines, "\n    ") + "\n"
}

// want is a result that a report must have: Found and Do have these texts in them.
type want struct {
	check     string
	status    Status
	found, do string
}

// diagnose runs all steps and finds the results that are wanted.
func diagnose(t *testing.T, o Options, wants ...want) Report {
	t.Helper()
	r := Run(t.Context(), o)
	var text strings.Builder
	if err := r.Print(&text); err != nil {
		t.Fatal(err)
	}
	for _, w := range wants {
		found := false
		for _, c := range r.Checks {
			found = found || c.Check == w.check && c.Status == w.status && strings.Contains(c.Found, w.found) && strings.Contains(c.Do, w.do)
		}
		if !found {
			t.Errorf("no %s of %s with %q that says to do %q in:\n%s", w.status, w.check, w.found, w.do, &text)
		}
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if all := string(data) + text.String(); strings.Contains(all, secret) || strings.Contains(all, "\x1b") {
		t.Errorf("a secret, or a control character, is shown in:\n%q", all)
	}
	for _, c := range r.Checks {
		if (c.Status == Fault || c.Status == Warning && c.Check != "config") && c.Do == "" {
			t.Errorf("%+v does not say what to do", c)
		}
	}
	return r
}

// one is the report with this one fault.
func oneFault(t *testing.T, o Options, check, found, do string) {
	t.Helper()
	if r := diagnose(t, o, want{check, Fault, found, do}); r.Faults != 1 {
		var text strings.Builder
		_ = r.Print(&text)
		t.Errorf("%d faults, want that one alone:\n%s", r.Faults, &text)
	}
}

// What is wrong with the configuration, and who has turned tracing off.
func TestConfiguration(t *testing.T) {
	const fine = "exporters: [{type: stdout}]"
	for _, tt := range []struct {
		name, yaml, app string
		env             map[string]string
		want            want
	}{
		{name: "disabled in the file", yaml: strings.Replace(tracing(fine), "enabled: true", "enabled: false", 1), want: want{"enabled", Fault, "fluxbase.yaml:3:5 says so", "write observability.tracing.enabled: true there"}},
		{name: "nothing enables it", yaml: strings.Replace(tracing(fine), "    enabled: true\n", "", 1), want: want{"enabled", Fault, "nothing turns it on", "write observability.tracing.enabled: true"}},
		{name: "disabled by the SDK's variable", yaml: strings.Replace(tracing(fine), "    enabled: true\n", "", 1), env: map[string]string{"OTEL_SDK_DISABLED": "true"}, want: want{"enabled", Fault, "OTEL_SDK_DISABLED", "unset OTEL_SDK_DISABLED"}},
		{name: "disabled by the application's variable", yaml: tracing(fine), app: "fluxbase", env: map[string]string{"FLUXBASE_OBSERVABILITY_TRACING_ENABLED": "false"}, want: want{"enabled", Fault, "FLUXBASE_OBSERVABILITY_TRACING_ENABLED says so, and wins over the file", "unset FLUXBASE_OBSERVABILITY_TRACING_ENABLED"}},
		{name: "the application is not named", yaml: tracing(fine), env: map[string]string{"FLUXBASE_OBSERVABILITY_TRACING_ENABLED": "false"}, want: want{"config", Warning, "not read: FLUXBASE_OBSERVABILITY_TRACING_ENABLED", "--app fluxbase"}},
		{name: "an unknown variable", yaml: tracing(fine), app: "fluxbase", env: map[string]string{"FLUXBASE_OBSERVABILITY_TRACING_SAMPLE_RAET": "1"}, want: want{"config", Warning, "did you mean FLUXBASE_OBSERVABILITY_TRACING_SAMPLE_RATE?", ""}},
		{name: "quotes in a variable", yaml: tracing(fine), app: "fluxbase", env: map[string]string{"FLUXBASE_OBSERVABILITY_TRACING_ENABLED": `"true"`}, want: want{"config", Fault, "FLUXBASE_OBSERVABILITY_TRACING_ENABLED", "with quotes and all"}},
		{name: "quotes in a variable of the SDK's", yaml: tracing(fine), env: map[string]string{"OTEL_SDK_DISABLED": `"true"`}, want: want{"config", Warning, "OTEL_SDK_DISABLED", "with quotes and all"}},
		{name: "a variable that loses", yaml: tracing(fine), env: map[string]string{"OTEL_SDK_DISABLED": "true"}, want: want{"config", Warning, "OTEL_SDK_DISABLED: overridden by", "unset the variable"}},
		{name: "no directory of a queue", yaml: tracing("exporters: [{type: otlp, endpoint: '127.0.0.1:1', queue: {storage: disk}}]"), want: want{"queue", Skipped, "queue.dir has a mistake", ""}},
		{name: "an unset key", yaml: tracing("exporters:", "  - {type: otlp, endpoint: '127.0.0.1:1', headers: {a: '${DOCTORS_KEY}'}}"), want: want{"config", Fault, "DOCTORS_KEY is not set", "set DOCTORS_KEY for the service"}},
		{name: "the wrong section", yaml: "tracing:\n  enabled: true\n  sample_rate: 1\n  service_name: x\n", want: want{"config", Fault, "--section tracing", "name the file"}},
		{name: "an unknown key", yaml: tracing("sample_raet: 1"), want: want{"config", Fault, `did you mean "sample_rate"?`, "riffle validate"}},
		{name: "an empty file", yaml: "\n", want: want{"config", Fault, "the file is empty", ""}},
		{name: "a byte order mark", yaml: "\ufeff" + tracing(fine), want: want{"enabled", OK, `tracing is on for service "fluxbase"`, ""}},
		{name: "OpenTelemetry's schema", yaml: "file_format: '1.0'\ntracer_provider:\n  processors: [{batch: {exporter: {otlp_grpc: {endpoint: 'http://127.0.0.1:1'}}}}]\n", want: want{"config", OK, "a file of OpenTelemetry's own schema", ""}},
		{name: "tabs", yaml: "observability:\n\ttracing: {}\n", want: want{"config", Fault, "fluxbase.yaml:2:", "riffle validate"}},
		{name: "no service name", yaml: strings.Replace(tracing(fine), "    service_name: fluxbase\n", "", 1), want: want{"config", Warning, "service_name: not set", "write service_name"}},
		{name: "another program's file", yaml: "receivers: {}\nservice: {pipelines: {}}\nexporters: {}\n", want: want{"config", Fault, "OpenTelemetry Collector", "name the file"}},
		{name: "the port of Jaeger's pages", yaml: tracing("endpoint: 127.0.0.1:16686"), want: want{"config", Warning, "Jaeger's web pages", ""}},
		{name: "Prometheus", yaml: tracing("endpoint: 127.0.0.1:9090"), want: want{"config", Warning, "Prometheus", ""}},
		{name: "a path for gRPC", yaml: tracing("endpoint: http://127.0.0.1:4317/v1/traces"), want: want{"config", Fault, "gRPC has no use for the path", "riffle validate"}},
		{name: "an unknown scheme for gRPC", yaml: tracing("endpoint: grpc://127.0.0.1:4317"), want: want{"config", Fault, `scheme "grpc" is not one of http, https`, "riffle validate"}},
		{name: "a directory that is not there", yaml: tracing("exporters: [{type: file, path: /riffle/is/not/here.json}]"), want: want{"config", Fault, "does not exist: create it", "riffle validate"}},
		{name: "no exporter by a variable", yaml: "observability: {tracing: {enabled: true}}", env: map[string]string{"OTEL_TRACES_EXPORTER": "none"}, want: want{"export", Fault, "says OTEL_TRACES_EXPORTER", "write an entry"}},
		{name: "no exporter", yaml: tracing("exporters: []"), want: want{"export", Fault, "there is no exporter", "endpoint: host:port"}},
		{name: "no propagators", yaml: tracing(fine, "propagators: [none]"), want: want{"propagators", Warning, "every service begins a trace of its own", "propagators: [tracecontext, baggage]"}},
		{name: "other propagators", yaml: tracing(fine, "propagators: [b3]"), want: want{"propagators", Warning, "without tracecontext", "add tracecontext"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			o := options(t, tt.yaml)
			o.Source.App = tt.app
			diagnose(t, o, tt.want)
		})
	}
}

func TestConfigurationThatIsNotThere(t *testing.T) {
	o := options(t, "")
	o.File = filepath.Join(t.TempDir(), "fluxbase.yaml")
	oneFault(t, o, "config", "no such file", "--config FILE")
	o.File = t.TempDir()
	oneFault(t, o, "config", "is a directory", "name a file")
	o.File = ""
	diagnose(t, o, want{"enabled", Fault, "nothing turns it on", "--config FILE"})
}

// What stands beside the section is told, and so is who has set what counts.
func TestOrigins(t *testing.T) {
	t.Setenv("OTEL_SERVICE_NAME", "other")
	t.Setenv("FLUXBASE_OBSERVABILITY_TRACING_SAMPLE_RATE", "0.5")
	o := options(t, "server: {port: 1}\n"+tracing("exporters: [{type: stdout}]")+"  logging: {}\n")
	o.Source.App = "fluxbase"
	r := diagnose(t, o)
	got := strings.Join(r.Checks[0].Details, "\n")
	const says = "sample_rate is set by FLUXBASE_OBSERVABILITY_TRACING_SAMPLE_RATE\nbeside the section, and not read: server, observability.logging"
	if got != says {
		t.Errorf("%s\nwant\n%s", got, says)
	}
}

// What the samplers keep of the demo's requests.
func TestSampling(t *testing.T) {
	for _, tt := range []struct {
		name, yaml string
		env        string // of OTEL_TRACES_SAMPLER
		want       want
	}{
		{name: "rate 0", yaml: "sample_rate: 0", want: want{"sampling", Fault, "keeps 0 of 1000", "fluxbase.yaml:6:5): 1 keeps"}},
		{name: "rate 0 of a sampler", yaml: "samplers: [{type: ratio, rate: 0}]", want: want{"sampling", Fault, "keeps 0 of 1000", "fluxbase.yaml:6:16): 1 keeps"}},
		{name: "nearly 0", yaml: "sample_rate: 0.0001", want: want{"sampling", Warning, "about 1 of 10000", "raise sample_rate"}},
		{name: "a rule drops all", yaml: "samplers: [{type: route, name: quiet, rules: [{route: /, sample: drop}]}]", want: want{"sampling", Fault, `all are dropped: 1000 by sampler "quiet" (rules[0]: /)`, "narrow the rule"}},
		{name: "errors, slow ones and one in a hundred", yaml: "samplers: [{type: error}, {type: slow, threshold: 250ms}, {type: ratio, rate: 0.01}]", want: want{"sampling", OK, "100% of errors, 100% of slow ones, 1% of the rest", ""}},
		{name: "the SDK's variable", yaml: "", env: "always_off", want: want{"sampling", Fault, "keeps 0 of 1000", "correct OTEL_TRACES_SAMPLER, or write sample_rate"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.env != "" {
				t.Setenv("OTEL_TRACES_SAMPLER", tt.env)
			}
			yaml := tracing("exporters: [{type: stdout}]", tt.yaml)
			diagnose(t, options(t, yaml), tt.want)
		})
	}
}

// Below a gateway that samples, a service may keep nothing.
func TestSamplingBelowAGateway(t *testing.T) {
	for parent, told := range map[string]bool{"follow": true, "watch": false, "ignore": false} {
		r := diagnose(t, options(t, tracing("exporters: [{type: stdout}]", "remote_parent: "+parent, "samplers: [{type: error}, {type: ratio, rate: 1}]")))
		for _, c := range r.Checks {
			if got := strings.Contains(strings.Join(c.Details, "\n"), "such as a gateway"); c.Check == "sampling" && got != told {
				t.Errorf("remote_parent %s: %q", parent, c.Details)
			}
		}
	}
}

// What is left when it is interrupted is not done.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := Run(ctx, options(t, tracing("endpoint: 127.0.0.1:1")))
	skipped := 0
	for _, c := range r.Checks {
		if c.Status == Skipped && c.Found == "interrupted" {
			skipped++
		}
	}
	if skipped < 5 || r.OK {
		t.Errorf("%+v", r.Checks)
	}
}

// An interrupt ends what hangs: the first connection only tells that there is one, the
// second is the exporter's, and never answered.
func TestInterruptedWhileItHangs(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			if n == 2 {
				cancel()
			}
		}
	}()
	o := options(t, exporter(overHTTP, "http://"+l.Addr().String()))
	o.Timeout = 10 * stuck // no step is given up
	r := Run(ctx, o)
	_ = l.Close()
	<-done
	if r.OK || r.Faults > 0 || r.Checks[len(r.Checks)-1].Found != "interrupted" {
		t.Errorf("%+v", r)
	}
}
