//go:build unix

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/plugins"
	"github.com/riffletrace/riffle/plugins/internal/wire"
)

func TestSamplerOverProcess(t *testing.T) {
	p, logs := opened(t, "good", nil)
	built, err := p.Sampler(t.Context(), settings(logs), "tier", `{"gold": "initech", "rate": 0.25}`)
	if err != nil {
		t.Fatal(err)
	}
	defer built.(component.Shutdowner).Shutdown(context.Background())
	s := built.(sampling.StartSampler)
	if got, want := s.Traits().Description, "plugin test: tier of initech"; got != want {
		t.Errorf("Description is %q, want %q", got, want)
	}
	if got := fmt.Sprint(s.Traits().Keys); got != "[tenant plan]" {
		t.Errorf("Keys are %s", got)
	}
	if a := s.SampleStart(start("initech")); !a.IsAbstain() {
		t.Errorf("the first answer is %v: want it to abstain", a)
	}
	if got := answered(t, s, start("initech")).String(); got != "threshold 0: gold" {
		t.Errorf("the answer about initech is %q", got)
	}
	if got := answered(t, s, start("other")).String(); got != "threshold c" {
		t.Errorf("the answer about others is %q", got)
	}
	eventually(t, "the plugin's log arrives under its name", func() bool {
		return strings.Contains(logs.String(), `msg="tier is made" plugin=test gold=initech`)
	})
}

// Who explains gets the answer that the first start would not wait for.
func TestPrepareOverProcess(t *testing.T) {
	p, logs := opened(t, "good", nil)
	built, err := p.Sampler(t.Context(), settings(logs), "tier", `{"gold": "initech", "rate": 0.25}`)
	if err != nil {
		t.Fatal(err)
	}
	s := built.(sampling.StartSampler)
	if err := built.(sampling.Preparer).Prepare(t.Context(), start("initech")); err != nil {
		t.Fatal(err)
	}
	if got := s.SampleStart(start("initech")).String(); got != "threshold 0: gold" {
		t.Errorf("the first answer is %q", got)
	}
	if err := built.(component.Shutdowner).Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = built.(sampling.Preparer).Prepare(t.Context(), start("other"))
	if want := `sampler "tier" of plugin "test" is shut down`; err == nil || err.Error() != want {
		t.Errorf("after Shutdown the error is %v, want %s", err, want)
	}
}

// An explanation has what a plugin answers at a start, or why it does not.
func TestExplainOverProcess(t *testing.T) {
	spec, err := config.Parse(fmt.Appendf(nil, `observability:
  tracing:
    enabled: true
    plugins: {dir: %s, allow_unpinned: true}
    samplers:
      - {type: plugin, name: tier, plugin: test, component: tier, config: {gold: initech, rate: 0.25}}
      - {type: plugin, name: roots, plugin: test, component: slow_root}
      - {type: ratio, rate: 0.5}
`, program(t, "test", "good")))
	if err != nil {
		t.Fatal(err)
	}
	p := start("initech")
	for _, tt := range []struct {
		name string
		span core.Case
		want string
	}{
		{"gold", core.Case{Name: p.Name, Attributes: p.Attributes}, "[threshold 0: gold, not asked: tier has decided, abstain] 0"},
		{"others", core.Case{Name: p.Name}, "[threshold c, not asked: tier has decided, abstain] c"},
		{"slow", core.Case{Name: p.Name, Duration: time.Second}, "[threshold c, not asked: tier has decided, threshold 0] 0"},
		{
			"too much",
			core.Case{Name: strings.Repeat("long", 1000)},
			"[abstain: nobody is asked about a name or an attribute of over 1024 bytes, threshold 8, abstain] 8",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, err := core.Explain(t.Context(), spec, core.Trace{Spans: []core.Case{tt.span}}, core.Logger((&logs{}).logger()))
			if err != nil {
				t.Fatal(err)
			}
			var answers []string
			for _, s := range x.Steps {
				answers = append(answers, s.Answer)
			}
			if got := fmt.Sprintf("[%s] %s", strings.Join(answers, ", "), x.Threshold); got != tt.want {
				t.Errorf("the answers and the threshold are\n%s, want\n%s", got, tt.want)
			}
			if left := Stats(); len(left) != 0 {
				t.Errorf("plugins still run: %+v", left)
			}
		})
	}
}

// A match selects what a plugin is asked about, and its moment is that of the plugin.
func TestMatchOverProcess(t *testing.T) {
	dir := program(t, "test", "good")
	parse := func(start, segment string) (core.Spec, error) {
		return config.Parse(fmt.Appendf(nil, `observability:
  tracing:
    enabled: true
    service_name: shop
    plugins: {dir: %s, allow_unpinned: true}
    samplers:
      - {type: plugin, name: tier, plugin: test, component: tier, config: {gold: initech, rate: 0.25}, match: %s}
      - {type: plugin, name: roots, plugin: test, component: slow_root, match: %s, sample: 0.5}
      - {type: ratio, rate: 0}
`, dir, start, segment))
	}
	spec, err := parse("{service.name: shop, name: buy*}", `{status: error, root.cause: {regex: "^disk"}, any_span: {duration: {min: 1ms}}}`)
	if err != nil {
		t.Fatal(err)
	}
	cause := []attribute.KeyValue{attribute.String("root.cause", "disk full")}
	for _, tt := range []struct {
		name string
		span core.Case
		want string
	}{
		{"start", core.Case{Name: "buy"}, "c"},
		{"neither", core.Case{Name: "sell", Duration: time.Second, Late: cause}, "never"},
		{"segment", core.Case{Name: "sell", Duration: time.Second, Late: cause, Status: sdktrace.Status{Code: codes.Error}}, "8"},
	} {
		x, err := core.Explain(t.Context(), spec, core.Trace{Spans: []core.Case{tt.span}}, core.Logger((&logs{}).logger()))
		if err != nil {
			t.Fatal(err)
		}
		if got := x.Threshold; got != tt.want {
			t.Errorf("%s: threshold %s, want %s: %+v", tt.name, got, tt.want, x.Steps)
		}
	}
	spec, err = parse("{status: error}", "{status: error}")
	if err != nil {
		t.Fatal(err)
	}
	_, err = core.Explain(t.Context(), spec, core.Trace{Spans: []core.Case{{Name: "buy"}}}, core.Logger((&logs{}).logger()))
	if err == nil || !strings.Contains(err.Error(), "samplers[0].match.status: a start sampler is asked before") {
		t.Errorf("a start sampler that is asked about the status: %v", err)
	}
}

func TestSegmentSamplerOverProcess(t *testing.T) {
	p, logs := opened(t, "good", nil)
	built, err := p.Sampler(t.Context(), settings(logs), "slow_root", "")
	if err != nil {
		t.Fatal(err)
	}
	defer built.(component.Shutdowner).Shutdown(context.Background())
	if _, ok := built.(sampling.StartSampler); ok {
		t.Error("a segment sampler is a start sampler too")
	}
	now := time.Unix(100, 0)
	// All are of one trace, as where a service calls itself.
	segment := func(took time.Duration, attrs ...attribute.KeyValue) sampling.Segment {
		root := tracetest.SpanStub{
			Name: "root", StartTime: now, EndTime: now.Add(took), Attributes: attrs,
			SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}),
		}.Snapshot()
		return sampling.Segment{TraceID: trace.TraceID{1}, Root: root, Spans: spans(0, 3), Complete: true}
	}
	segments := []sampling.Segment{
		{TraceID: trace.TraceID{1}}, segment(time.Minute), segment(time.Millisecond), segment(time.Minute, attribute.String("tenant", "bot")),
	}
	answers := make([]sampling.Answer, len(segments))
	built.(sampling.SegmentSampler).SampleSegments(t.Context(), segments, answers)
	if got := fmt.Sprint(answers); got != "[abstain threshold 0 abstain discard: a bot]" {
		t.Errorf("the answers are %s", got)
	}
}

// All instances of one program share its process, which ends with the last.
func TestOneProcessPerProgram(t *testing.T) {
	dir, tmp := program(t, "shared", "good"), shortDir(t)
	s := component.Settings{ID: "a", Logger: (&logs{}).logger()}
	c := Config{Plugin: "shared", StartTimeout: startDefaults.StartTimeout, Component: "tier", Dir: dir, AllowUnpinned: true, RunDir: tmp}
	var made []sampling.Sampler
	for range 3 {
		sampler, err := NewSampler(t.Context(), s, SamplerConfig{Config: c, MaxLeases: 100})
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, sampler)
	}
	c.Component = ""
	exporter, err := NewExporter(t.Context(), s, ExporterConfig{Config: c, Timeout: defaultTimeout})
	if err != nil {
		t.Fatal(err)
	}
	stats := Stats()
	if len(stats) != 1 || stats[0].State != Running || stats[0].PID == 0 {
		t.Fatalf("the plugins that run are %+v: want one", stats)
	}
	if dirs := privateDirs(t, tmp); len(dirs) != 1 {
		t.Errorf("%d private copies: want one", len(dirs))
	}
	for _, sampler := range made {
		if err := sampler.(component.Shutdowner).Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := exporter.ExportSpans(t.Context(), spans(0, 1)); err != nil {
		t.Errorf("the exporter does not work any more: %v", err)
	}
	if err := exporter.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got := Stats(); len(got) != 0 {
		t.Errorf("after the last instance there are %+v", got)
	}
	if err := syscall.Kill(stats[0].PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process is still there: %v", err)
	}
	if dirs := privateDirs(t, tmp); len(dirs) != 0 {
		t.Errorf("private copies are left: %v", dirs)
	}
}

// Mistakes in the configuration of a plugin's component are shown where they
// stand in the file, before anything starts.
func TestMistakesHaveTheirPlace(t *testing.T) {
	dir := program(t, "test", "good")
	file := fmt.Sprintf(`observability:
  tracing:
    enabled: true
    plugins: {dir: %s, allow_unpinned: true}
    samplers:
      - type: plugin
        plugin: test
        component: tier
        config:
          gold: acme
          rate: 7
          glod: x
    exporters:
      - type: plugin
        plugin: tset
`, dir)
	spec, err := config.Parse([]byte(file), config.File("app.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = core.New(t.Context(), spec, core.Logger((&logs{}).logger()))
	if err == nil {
		t.Fatal("no mistake was found")
	}
	for _, want := range []string{
		`app.yaml:12:11: observability.tracing.samplers[0].config.glod: unknown key (did you mean "gold"?)`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the mistakes are\n%v\nwithout\n%s", err, want)
		}
	}
	fixed := strings.Replace(file, "          glod: x\n", "", 1)
	spec, err = config.Parse([]byte(fixed), config.File("app.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = core.New(t.Context(), spec, core.Logger((&logs{}).logger()))
	if want := `app.yaml:11:11: observability.tracing.samplers[0].config.rate: 7 is not a rate: want a number from 0 to 1`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the mistakes are\n%v\nwithout\n%s", err, want)
	}
	fixed = strings.Replace(fixed, "rate: 7", "rate: 0.7", 1)
	spec, err = config.Parse([]byte(fixed), config.File("app.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = core.New(t.Context(), spec, core.Logger((&logs{}).logger()))
	if want := `app.yaml:14:9: observability.tracing.exporters[0].plugin: there is no ` + filepath.Join(dir, "riffle-plugin-tset") + ` (did you mean "test"?)`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the mistakes are\n%v\nwithout\n%s", err, want)
	}
}

func TestConfigMistakes(t *testing.T) {
	tests := []struct{ name, entry, want string }{
		{"nothing", "{}", "plugin: missing: want the name of a plugin, or path"},
		{"both", "{plugin: a, path: /b}", "path: plugin names the program already: keep one of them"},
		{"no name", "{plugin: ../a}", `plugin: "../a" is not the name of a plugin`},
		{"env", "{plugin: a, env: [A=b]}", `env[0]: "A=b" is not the name of a variable`},
		{"leases", "{plugin: a, max_leases: 0}", "max_leases: 0 is not between 1 and 1000000"},
		{"start", "{plugin: a, start_timeout: 0s}", "start_timeout: 0s is not above 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			entry := strings.Replace(strings.Replace(tt.entry, "{", "{type: plugin, ", 1), ", }", "}", 1)
			_, err := config.Parse([]byte("observability: {tracing: {enabled: true, samplers: [" + entry + "]}}"))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the mistakes are\n%v\nwithout\n%s", err, tt.want)
			}
		})
	}
}

// What a plugin cannot serve is refused at its start, by name and reason.
func TestRefused(t *testing.T) {
	_, _, err := tryOpen(t, "refused", fast)
	for _, want := range []string{
		`starting plugin "test"`, `sampler "end" (host.endSampler) is an EndSampler`, `sampler "unkeyed" (host.unkeyed) is a StartSampler whose Traits do not say Keyed`,
		`a Component that neither Exporter nor Sampler made`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is\n%v\nwithout\n%s", err, want)
		}
	}
}

func TestRunByHand(t *testing.T) {
	dir := program(t, "good", "good")
	run := func(args ...string) (out string, code int) {
		cmd := exec.Command(filepath.Join(dir, wire.Prefix+"good"), args...)
		b, err := cmd.CombinedOutput()
		if e := (*exec.ExitError)(nil); errors.As(err, &e) {
			code = e.ExitCode()
		}
		return string(b), code
	}
	out, code := run()
	if code != 2 || !strings.Contains(out, "is a plugin of riffle") || !strings.Contains(out, "sampler tier: keeps traces by tenant and plan") {
		t.Errorf("run by hand it exits with %d and says\n%s", code, out)
	}
	out, code = run("--describe")
	if code != 0 || !strings.Contains(out, `"name": "tier"`) || !strings.Contains(out, `"additionalProperties": false`) {
		t.Errorf("--describe exits with %d and prints\n%s", code, out)
	}
}

func TestExporterVerdicts(t *testing.T) {
	backend := &countExporter{}
	factory := component.NewFactory("count", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
		return backend, nil
	})
	p := serveHere(t, plugins.Exporter(factory))
	e, err := p.Exporter(t.Context(), settings(&logs{}), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.ExportSpans(t.Context(), spans(0, 5)); err != nil || len(backend.spans) != 5 {
		t.Fatalf("%d of 5 spans arrived: %v", len(backend.spans), err)
	}
	tests := []struct {
		name string
		err  error
		want delivery.ExportError
	}{
		{"plain", errors.New("no"), delivery.ExportError{Outcome: delivery.Refused}},
		{"about size, but refused", errors.New("name too large"), delivery.ExportError{Outcome: delivery.Refused}},
		{"network", syscall.ECONNREFUSED, delivery.ExportError{Outcome: delivery.Retry}},
		{"retry", &delivery.ExportError{Outcome: delivery.Retry, RetryAfter: 3 * time.Second, Err: errors.New("x")}, delivery.ExportError{Outcome: delivery.Retry, RetryAfter: 3 * time.Second}},
		{"throttled", &delivery.ExportError{Outcome: delivery.Retry, RetryAfter: time.Second, Throttled: true, Err: errors.New("x")}, delivery.ExportError{Outcome: delivery.Retry, RetryAfter: time.Second, Throttled: true}},
		{"too large", &delivery.ExportError{Outcome: delivery.TooLarge, Err: errors.New("x")}, delivery.ExportError{Outcome: delivery.TooLarge}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			backend.err = tt.err
			_, err := e.(delivery.RequestExporter).ExportRequest(t.Context(), delivery.Request{})
			var got *delivery.ExportError
			if !errors.As(err, &got) {
				t.Fatalf("the error is %v: want an ExportError", err)
			}
			if got.Outcome != tt.want.Outcome || got.RetryAfter != tt.want.RetryAfter || got.Throttled != tt.want.Throttled {
				t.Errorf("the error is %+v, want %+v", *got, tt.want)
			}
			if !strings.Contains(err.Error(), tt.err.Error()) {
				t.Errorf("the error %q does not have the words of %q", err, tt.err)
			}
		})
	}
	if err := e.Shutdown(t.Context()); err != nil || !backend.shut {
		t.Errorf("Shutdown of the exporter was not passed on: %v", err)
	}
}

// The environment of the host, its standard input and its files stay its own.
func TestCleanEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_HOST", "x")
	t.Setenv("NAMED", "y")
	dir := t.TempDir()
	seen := filepath.Join(dir, "seen")
	script := "#!/bin/sh\nenv > " + seen + "\nls -l /proc/self/fd >> " + seen + "\nexit 3\n"
	if err := os.WriteFile(filepath.Join(dir, wire.Prefix+"env"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	open, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	loose, err := syscall.Dup(int(open.Fd())) // would be inherited
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(loose)
	s := component.Settings{Logger: (&logs{}).logger()}
	_, err = NewSampler(t.Context(), s, SamplerConfig{Config: Config{Dir: dir, AllowUnpinned: true, Plugin: "env", Env: []string{"NAMED", "NOT_SET"}, StartTimeout: startDefaults.StartTimeout}, MaxLeases: 1})
	if err == nil || !strings.Contains(err.Error(), "it ended before the handshake (exit status 3)") {
		t.Errorf("the error is %v", err)
	}
	b, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	got := string(b)
	if strings.Contains(got, "SECRET_OF_HOST") || !strings.Contains(got, "NAMED=y") || !strings.Contains(got, wire.MagicCookieKey+"=") || !strings.Contains(got, wire.DirVariable+"="+dir) {
		t.Errorf("the program sees\n%s", got)
	}
	if strings.Contains(got, "-> "+dir+"\n") || strings.Count(got, "pipe:") != 2 {
		t.Errorf("the program has other descriptors than its three pipes, of which one is redirected here:\n%s", got)
	}
}
