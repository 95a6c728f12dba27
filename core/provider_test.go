package core_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// closing records whether it was shut down.
type closing struct {
	answering
	shut atomic.Int32
}

func (s *closing) Shutdown(context.Context) error { s.shut.Add(1); return nil }

type closingExporter struct {
	tracetest.InMemoryExporter
	shut atomic.Int32
}

func (e *closingExporter) Shutdown(context.Context) error { e.shut.Add(1); return nil }

// fromFile places mistakes as a file's section would.
type fromFile struct{}

func (fromFile) Place(path string, err error) *core.ConfigError {
	return &core.ConfigError{Path: "observability.tracing." + path, Err: err}
}

func (fromFile) Warnings() core.ConfigErrors { return nil }
func (fromFile) Files() []string             { return nil }

func TestFailedStartIsUnwound(t *testing.T) {
	sampler, exporter := &closing{}, &closingExporter{}
	broken := core.UseExporter(component.NewFactory("broken", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
		return nil, errors.New("no such place")
	}), "b1", struct{}{})
	_, err := core.New(t.Context(), core.Spec{
		Enabled:   true,
		Source:    fromFile{},
		Samplers:  []core.SamplerEntry{use("s", sampler)},
		Exporters: []core.ExporterEntry{useExporter("e", exporter), broken},
	})
	if want := `observability.tracing.exporters[1]: building exporter "b1": no such place`; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	if sampler.shut.Load() != 1 || exporter.shut.Load() != 1 {
		t.Errorf("shut down: sampler %d times, exporter %d times, want once each", sampler.shut.Load(), exporter.shut.Load())
	}
}

func TestSpecErrorsComeTogether(t *testing.T) {
	_, err := core.New(t.Context(), core.Spec{
		Enabled:      true,
		RemoteParent: "trust",
		Propagators:  []string{"tracecontext", "b33", "tracecontext"},
		Samplers:     []core.SamplerEntry{use("s", &answering{}), use("s", &answering{}), {Plan: sampling.NewSamplers().Plan("nix", "", nil)}},
	})
	want := strings.Join([]string{
		`remote_parent: "trust" is not one of watch, follow, ask, ignore, restart`,
		`propagators[1]: unknown propagator "b33" (did you mean "b3"?): known are tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace, none`,
		`propagators[2]: "tracecontext" is listed twice`,
		`samplers[1].name: samplers[0] is called "s" too: give one of them another name`,
		`samplers[2].type: unknown sampler "nix": none is registered (forgotten import of samplers/standard?)`,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestDisabledRecordsNothing(t *testing.T) {
	p, err := core.New(t.Context(), core.Spec{Samplers: []core.SamplerEntry{use("s", &answering{})}})
	if err != nil {
		t.Fatal(err)
	}
	parent := remoteContext(t, "000000000000000000000000000000ff", "ot=th:8", true)
	_, s := p.TracerProvider().Tracer("").Start(parent, "root")
	if s.IsRecording() {
		t.Error("a span of a disabled provider is recorded")
	}
	if got, want := s.SpanContext(), trace.SpanContextFromContext(parent); !got.Equal(want) {
		t.Errorf("span context = %v: a disabled provider must pass the parent on, %v", got, want)
	}
	if err := errors.Join(p.ForceFlush(t.Context()), p.Shutdown(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestInstallAndUndo(t *testing.T) {
	tp, prop := otel.GetTracerProvider(), otel.GetTextMapPropagator()
	p := newProvider(t, core.Spec{Propagators: []string{"b3multi", "baggage"}})
	undo := p.Install()
	if otel.GetTracerProvider() != p.TracerProvider() {
		t.Error("the provider is not the global one")
	}
	if got := strings.Join(otel.GetTextMapPropagator().Fields(), " "); !strings.Contains(got, "x-b3-traceid") || !strings.Contains(got, "baggage") {
		t.Errorf("global propagators write %s", got)
	}
	undo()
	if otel.GetTracerProvider() != tp || otel.GetTextMapPropagator() != prop {
		t.Error("undo left the globals")
	}
}

// Somebody else's provider that becomes the global one is told of once; that Install
// is undone, or the provider shut down, is not.
func TestGlobalProviderIsReplaced(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(p *core.Provider, undo func())
		told int
	}{
		{"replaced", func(*core.Provider, func()) { otel.SetTracerProvider(sdktrace.NewTracerProvider()) }, 1},
		{"undone", func(_ *core.Provider, undo func()) { undo() }, 0},
		{"shut down", func(p *core.Provider, _ func()) {
			_ = p.Shutdown(context.Background())
			otel.SetTracerProvider(sdktrace.NewTracerProvider())
		}, 0},
		{"left alone", func(*core.Provider, func()) {}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &syncBuffer{}
				p := newProvider(t, core.Spec{}, core.Logger(slog.New(slog.NewTextHandler(log, nil))))
				undo := p.Install()
				defer undo()
				time.Sleep(time.Minute)
				tt.do(p, undo)
				time.Sleep(time.Minute)
				if n := strings.Count(log.String(), "not riffle's any more"); n != tt.told || n > 0 && !strings.Contains(log.String(), "provider=*trace.TracerProvider") {
					t.Errorf("told %d times, want %d:\n%s", n, tt.told, log)
				}
				_ = p.Shutdown(context.Background())
			})
		})
	}
}

// switchable fails, or hangs until its context is done, or works.
type switchable struct {
	tracetest.InMemoryExporter
	err  atomic.Pointer[error]
	hang atomic.Bool
}

func (e *switchable) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if e.hang.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if err := e.err.Load(); err != nil {
		return *err
	}
	return e.InMemoryExporter.ExportSpans(ctx, spans)
}

func (e *switchable) fail(err error) {
	if err == nil {
		e.err.Store(nil)
	} else {
		e.err.Store(&err)
	}
}

func TestDeadBackendIsReportedOnce(t *testing.T) {
	exporter := &switchable{}
	log := &syncBuffer{}
	p, err := core.New(t.Context(), core.Spec{Enabled: true, Exporters: []core.ExporterEntry{useExporter("jaeger", exporter)}},
		core.Logger(slog.New(slog.NewTextHandler(log, nil))))
	if err != nil {
		t.Fatal(err)
	}
	send := func() error {
		_, s := p.TracerProvider().Tracer("").Start(t.Context(), "root")
		s.End()
		return p.ForceFlush(t.Context())
	}
	exporter.fail(errors.New("connection refused"))
	for range 5 {
		if err := send(); err == nil || err.Error() != `exporter "jaeger": 1 span was lost: connection refused` {
			t.Fatalf("ForceFlush = %v, want the backend's error", err)
		}
	}
	exporter.fail(nil)
	for range 5 {
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, log)
	}
	if n := strings.Count(log.String(), "exporter has recovered"); n != 1 {
		t.Errorf("%d recoveries logged, want 1:\n%s", n, log)
	}
	got := p.Stats().Exporters[0]
	if got.HandedOver != 10 || got.Lost != 5 || got.Sent != 5 {
		t.Errorf("stats = %+v, want 10 handed, 5 failed, 5 sent", got)
	}
	if err := p.Shutdown(t.Context()); err == nil || err.Error() != `exporter "jaeger": 5 spans were lost: connection refused` {
		t.Errorf("Shutdown = %v", err)
	}
}

func TestShutdownWithContextThatIsDone(t *testing.T) {
	exporter := &switchable{}
	exporter.hang.Store(true)
	p, err := core.New(t.Context(), core.Spec{Enabled: true, Exporters: []core.ExporterEntry{useExporter("slow", exporter)}})
	if err != nil {
		t.Fatal(err)
	}
	_, s := p.TracerProvider().Tracer("").Start(t.Context(), "root")
	s.End()
	done, cancel := context.WithCancel(t.Context())
	cancel()
	err = p.Shutdown(done)
	if err == nil || !strings.Contains(err.Error(), "1 span was left behind") {
		t.Errorf("Shutdown = %v, want an error that counts what was left behind", err)
	}
	// TestMain finds a goroutine that is left.
}

func TestSecondShutdownWaitsForTheFirst(t *testing.T) {
	exporter := &switchable{}
	exporter.hang.Store(true)
	p, err := core.New(t.Context(), core.Spec{Enabled: true, Exporters: []core.ExporterEntry{useExporter("slow", exporter)}})
	if err != nil {
		t.Fatal(err)
	}
	_, s := p.TracerProvider().Tracer("").Start(t.Context(), "root")
	s.End()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() { errs[i] = p.Shutdown(ctx) })
	}
	wg.Wait()
	if errs[0] == nil || errs[1] == nil {
		t.Errorf("Shutdown = %v and %v, want the error of the first from both", errs[0], errs[1])
	}
	_, s = p.TracerProvider().Tracer("").Start(t.Context(), "late")
	if s.IsRecording() {
		t.Error("a span that starts after Shutdown is recorded")
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestResource(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=from-env,team=core")
	out := &collector{}
	p := newProvider(t, core.Spec{
		ServiceVersion:   "1.2.3",
		ServiceNamespace: "fluxbase",
		Environment:      "production",
		Resource:         map[string]string{"region": "eu"},
		Exporters:        []core.ExporterEntry{useExporter("out", out)},
	})
	_, s := p.TracerProvider().Tracer("").Start(t.Context(), "root")
	s.End()
	if err := p.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	set := out.byName()["root"].Resource().Set()
	for key, want := range map[attribute.Key]string{
		"service.version":             "1.2.3",
		"service.namespace":           "fluxbase",
		"deployment.environment":      "production",
		"deployment.environment.name": "production",
		"region":                      "eu",
		"team":                        "core",
		"telemetry.sdk.language":      "go",
	} {
		if v, _ := set.Value(key); v.AsString() != want {
			t.Errorf("%s = %q, want %q", key, v.AsString(), want)
		}
	}
	if v, _ := set.Value("service.name"); !strings.HasPrefix(v.AsString(), "unknown_service:") {
		t.Errorf("service.name = %q of a service that nobody named", v.AsString())
	}
	if set.HasValue("process.command_args") {
		t.Error("the process's arguments are in the resource: they may hold secrets")
	}
}
