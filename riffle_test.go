package riffle_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/sampling"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	ctx := context.Background()
	tracing, err := riffle.Start(ctx, "testdata/fluxbase.yaml", riffle.App("fluxbase"))
	if err != nil {
		log.Fatal(err)
	}
	defer tracing.Shutdown(ctx)

	_, span := otel.Tracer("example").Start(ctx, "GET /products")
	defer span.End()
	fmt.Println("sampled:", span.SpanContext().IsSampled())
	// Output: sampled: true
}

// memory is an exporter that tells where it sends to, for tests.
type memory struct{ *tracetest.InMemoryExporter }

func (memory) Traits() delivery.Traits        { return delivery.Traits{Endpoint: "memory:1"} }
func (memory) Shutdown(context.Context) error { return nil } // the SDK's forgets

// memoryRegistry has exporters that remember.
func memoryRegistry() (*tracetest.InMemoryExporter, *component.Registry[sdktrace.SpanExporter]) {
	spans := tracetest.NewInMemoryExporter()
	exporters := component.NewExporters()
	for _, name := range []string{"otlp", "memory"} {
		type options struct {
			Endpoint string `yaml:"endpoint"`
		}
		exporters.MustAdd(component.NewFactory(name, options{}, func(context.Context, component.Settings, options) (sdktrace.SpanExporter, error) {
			return memory{spans}, nil
		}))
	}
	return spans, exporters
}

// start runs Start with exporters that remember, and returns what it logs.
func start(t *testing.T, file string, env ...string) (tracing *riffle.Tracing, spans *tracetest.InMemoryExporter, logs string, err error) {
	t.Helper()
	spans, exporters := memoryRegistry()
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	tracing, err = riffle.Start(t.Context(), file, riffle.App("fluxbase"), riffle.Logger(logger), riffle.Exporters(exporters), riffle.Config(config.Environ(env)))
	return tracing, spans, out.String(), err
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fluxbase.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// globals puts known values in place of OpenTelemetry's, and returns a
// function that fails the test if they are not there.
func globals(t *testing.T) (check func()) {
	t.Helper()
	tp, prop := noop.NewTracerProvider(), propagation.Baggage{}
	otel.SetTracerProvider(tp)
	otel.SetTextMapPropagator(prop)
	return func() {
		t.Helper()
		if otel.GetTracerProvider() != trace.TracerProvider(tp) || otel.GetTextMapPropagator() != propagation.TextMapPropagator(prop) {
			t.Error("the globals are not what they were before Start")
		}
	}
}

// A vendor's figures that show the sample are warned of at the start, where there is one.
func TestStartWarnsOfFiguresOfTheSample(t *testing.T) {
	for rate, want := range map[string]bool{"0.1": true, "1": false} {
		file := configFile(t, `observability: {tracing: {enabled: true, service_name: shop, sample_rate: `+rate+`, exporters: [{type: otlp, preset: datadog, key: s3cret}]}}`)
		var out bytes.Buffer
		tracing, err := riffle.Start(t.Context(), file, riffle.App("fluxbase"), riffle.Logger(slog.New(slog.NewTextHandler(&out, nil))), riffle.Config(config.Environ([]string{})))
		if err != nil {
			t.Fatal(err)
		}
		if err := tracing.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		logs := out.String()
		got := strings.Contains(logs, "level=WARN msg=\"OpenTelemetry tracing: observability.tracing.exporters[0].preset: the header compute_stats ")
		if got != want || want != strings.Contains(logs, "span_metrics") {
			t.Errorf("sample_rate %s: a warning: %v, want %v:\n%s", rate, got, want, logs)
		}
	}
}

func TestStart(t *testing.T) {
	unchanged := globals(t)
	file := configFile(t, `observability: {tracing: {enabled: true, service_name: shop, environment: test, sample_rate: 1, endpoint: "a:1"}}`)
	tracing, spans, logs, err := start(t, file, "FLUXBASE_OBSERVABILITY_TRACING_SERVICENAME=x")
	if err != nil {
		t.Fatal(err)
	}
	want := `level=WARN msg="OpenTelemetry tracing: unknown variable (did you mean FLUXBASE_OBSERVABILITY_TRACING_SERVICE_NAME?)" position=FLUXBASE_OBSERVABILITY_TRACING_SERVICENAME
level=INFO msg="OpenTelemetry tracing initialized" service_name=shop environment=test exporters=[otlp] endpoints=[memory:1] samplers="[ratio 100%]"
`
	if diff := cmp.Diff(want, logs); diff != "" {
		t.Errorf("logs (-want +got):\n%s", diff)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	carrier := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(trace.ContextWithSpan(t.Context(), span), carrier)
	if carrier["traceparent"] == "" {
		t.Error("no trace context is sent on")
	}
	span.End()
	for range 2 {
		if err := tracing.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		unchanged()
	}
	if n := len(spans.GetSpans()); n != 1 {
		t.Errorf("%d spans were exported, want 1", n)
	}
}

func TestStartOff(t *testing.T) {
	for _, tt := range []struct{ name, file, want, warns string }{
		{name: "no file named", want: `msg="OpenTelemetry tracing is disabled"`},
		{name: "no such file", file: "testdata/none.yaml", want: `msg="OpenTelemetry tracing is disabled" file_not_found=testdata/none.yaml`},
		{name: "no section", file: configFile(t, "server: {port: 80}"), want: `msg="OpenTelemetry tracing is disabled"`, warns: "nothing in it is for riffle: it has no observability.tracing; its keys are server"},
		{name: "off", file: configFile(t, "observability: {tracing: {enabled: false, endpoint: 'a:1'}}"), want: `msg="OpenTelemetry tracing is disabled"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			unchanged := globals(t)
			tracing, spans, logs, err := start(t, tt.file)
			if err != nil {
				t.Fatal(err)
			}
			warning, rest, _ := strings.Cut(logs, "level=INFO ")
			if rest != tt.want+"\n" || (tt.warns == "") != (warning == "") || !strings.Contains(warning, tt.warns) {
				t.Errorf("logs %q, want the warning %q and %q", logs, tt.warns, tt.want)
			}
			// The traces of others pass through unbroken.
			const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
			in, out := propagation.MapCarrier{"traceparent": traceparent}, propagation.MapCarrier{}
			ctx := otel.GetTextMapPropagator().Extract(t.Context(), in)
			ctx, span := otel.Tracer("test").Start(ctx, "work")
			otel.GetTextMapPropagator().Inject(ctx, out)
			span.End()
			if out["traceparent"] != traceparent {
				t.Errorf("sent on %q, want %q", out["traceparent"], traceparent)
			}
			if err := tracing.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			unchanged()
			if n := len(spans.GetSpans()); n != 0 {
				t.Errorf("%d spans were exported", n)
			}
		})
	}
}

// TestStartByVariables: a file that is not there does not turn tracing off.
func TestStartByVariables(t *testing.T) {
	defer globals(t)()
	tracing, _, logs, err := start(t, "testdata/none.yaml", "FLUXBASE_OBSERVABILITY_TRACING_ENABLED=true")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(logs, "tracing initialized") {
		t.Errorf("logs %q", logs)
	}
	if err := tracing.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStartMistake(t *testing.T) {
	defer globals(t)()
	file := configFile(t, "observability: {tracing: {enabled: true, sample_rat: 1}}")
	tracing, _, logs, err := start(t, file)
	if mistakes := core.ConfigErrors(nil); !errors.As(err, &mistakes) {
		t.Errorf("error %v", err)
	}
	if logs != "" {
		t.Errorf("logs %q", logs)
	}
	if err := tracing.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestStartMissingCertificate: a file that the configuration names and that
// is not there is no missing configuration.
func TestStartMissingCertificate(t *testing.T) {
	defer globals(t)()
	file := configFile(t, "observability: {tracing: {enabled: true, exporters: [{type: otlp, endpoint: 'a:1', tls: {ca_file: none.pem}}]}}")
	_, err := riffle.Start(t.Context(), file, riffle.Config(config.Environ(nil)), riffle.Logger(slog.New(slog.DiscardHandler)))
	if err == nil || !strings.Contains(err.Error(), "ca_file") {
		t.Errorf("error %v", err)
	}
}

// No application is assumed: without a name there are no variables of its own, and
// no namespace.
func TestNoApplication(t *testing.T) {
	defer globals(t)()
	file := configFile(t, `observability: {tracing: {enabled: true, service_name: billing, sample_rate: 1, exporters: [{type: memory}]}}`)
	spans, exporters := memoryRegistry()
	tracing, err := riffle.Start(t.Context(), file, riffle.Exporters(exporters), riffle.Logger(slog.New(slog.DiscardHandler)),
		riffle.Config(config.Environ([]string{"FLUXBASE_OBSERVABILITY_TRACING_SERVICE_NAME=other"})))
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	if err := tracing.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	resource := spans.GetSpans()[0].Resource.String()
	if !strings.Contains(resource, "service.name=billing") || strings.Contains(resource, "service.namespace") {
		t.Errorf("the resource is %s", resource)
	}
}

// A service without a name: one warning, and the log and the resource say the same.
func TestNoServiceName(t *testing.T) {
	defer globals(t)()
	file := configFile(t, `observability: {tracing: {enabled: true, sample_rate: 1, exporters: [{type: memory}]}}`)
	tracing, spans, logs, err := start(t, file)
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	if err := tracing.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	name, _ := spans.GetSpans()[0].Resource.Set().Value("service.name")
	if !strings.HasPrefix(name.AsString(), "unknown_service:") || strings.Count(logs, "service_name="+name.AsString()) != 1 || !strings.Contains(logs, "observability.tracing.service_name: not set") || strings.Count(logs, "level=WARN") != 1 {
		t.Errorf("the resource says %q, the log\n%s", name.AsString(), logs)
	}
}

// What Start returns leads to the provider and what it knows about itself.
func TestTracing(t *testing.T) {
	defer globals(t)()
	file := configFile(t, `observability: {tracing: {enabled: true, service_name: shop, samplers: [{type: error}, {type: ratio, rate: 0}], exporters: [{type: memory}]}}`)
	tracing, spans, _, err := start(t, file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, root := otel.Tracer("test").Start(t.Context(), "work")
	if !tracing.Keep(trace.SpanContextFromContext(ctx).TraceID(), sampling.Always, "wanted") {
		t.Error("an open trace cannot be kept")
	}
	root.End()
	if err := tracing.ForceFlush(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(spans.GetSpans()); n != 1 || tracing.Stats().Started != 1 || tracing.Provider().Stats().Started != 1 {
		t.Errorf("%d spans; stats %+v", n, tracing.Stats())
	}
	if err := tracing.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	var none *riffle.Tracing
	if none.Provider() != nil || none.Keep(trace.TraceID{1}, sampling.Always, "") || none.ForceFlush(t.Context()) != nil || none.Stats().Started != 0 {
		t.Error("a nil Tracing does something")
	}
}

// With a backend that is dead, a shutdown takes 5 s at most.
func TestShutdownDeadBackend(t *testing.T) {
	defer globals(t)()
	file := configFile(t, `observability: {tracing: {enabled: true, service_name: shop, sample_rate: 1, endpoint: "127.0.0.1:1"}}`)
	tracing, err := riffle.Start(t.Context(), file, riffle.Logger(slog.New(slog.DiscardHandler)), riffle.Config(config.Environ(nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	began := time.Now()
	err = tracing.Shutdown(context.Background())
	if took := time.Since(began); err == nil || took > 5*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
}

// stuck is an exporter that ignores its contexts until it is released.
type stuck struct{ released chan struct{} }

func (s stuck) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	<-s.released
	return nil
}

func (s stuck) Shutdown(context.Context) error {
	<-s.released
	return nil
}

// Components that ignore their contexts cannot make a shutdown longer.
func TestShutdownStuckExporter(t *testing.T) {
	defer globals(t)()
	released := make(chan struct{})
	exporters := component.NewExporters()
	exporters.MustAdd(component.NewFactory("stuck", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
		return stuck{released}, nil
	}))
	file := configFile(t, `observability: {tracing: {enabled: true, service_name: shop, sample_rate: 1, exporters: [{type: stuck}]}}`)
	tracing, err := riffle.Start(t.Context(), file, riffle.Logger(slog.New(slog.DiscardHandler)), riffle.Config(config.Environ(nil), config.Exporters(exporters)))
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	returned := make(chan error)
	go func() { returned <- tracing.Shutdown(context.Background()) }()
	// It is released only below.
	if err := <-returned; err == nil || !strings.Contains(err.Error(), `exporter "stuck": 1 span was left behind: ending a call of the exporter: it hangs`) {
		t.Error(err)
	}
	close(released)
	if err := tracing.Shutdown(context.Background()); err == nil {
		t.Error("no error from the second call")
	}
}

// The section stands where Section says, and an invalid path is an error.
func TestStartSection(t *testing.T) {
	defer globals(t)()
	file := configFile(t, "tracing: {enabled: true, service_name: shop, exporters: [{type: memory}]}")
	_, exporters := memoryRegistry()
	options := []riffle.Option{riffle.Exporters(exporters), riffle.Logger(slog.New(slog.DiscardHandler)), riffle.Config(config.Environ(nil))}
	tracing, err := riffle.Start(t.Context(), file, append(options, riffle.Section("tracing"))...)
	if err != nil {
		t.Fatal(err)
	}
	if got := tracing.Provider().ServiceName(); got != "shop" {
		t.Errorf("service %q", got)
	}
	if err := tracing.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := riffle.Start(t.Context(), file, append(options, riffle.Section("a..b"))...); err == nil || !strings.Contains(err.Error(), `"a..b" is not the path of a section`) {
		t.Error(err)
	}
}
