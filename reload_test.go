package riffle_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/internal/untrustedtest"
)

// counting is an exporter that counts what it gets, by the name of the span.
type counting struct {
	built, shutdown atomic.Int64

	mu  sync.Mutex
	got map[string]int
}

func (c *counting) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range spans {
		c.got[s.Name()]++
	}
	return nil
}

func (c *counting) Shutdown(context.Context) error {
	c.shutdown.Add(1)
	return nil
}

func (c *counting) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for name := range c.got {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// reloading is a service with a configuration that tests change.
type reloading struct {
	*riffle.Tracing
	t        *testing.T
	file     string
	exporter *counting
	tracer   trace.Tracer
	log      *untrustedtest.Log
}

// serve starts a service. Its file has the lines of the section.
func serve(t *testing.T, section string, opts ...riffle.Option) *reloading {
	t.Helper()
	r := &reloading{t: t, file: filepath.Join(t.TempDir(), "app.yaml"), exporter: &counting{got: map[string]int{}}, log: &untrustedtest.Log{}}
	exporters := component.NewExporters()
	exporters.MustAdd(component.NewFactory("counting", struct {
		Label string `yaml:"label"`
	}{}, func(context.Context, component.Settings, struct {
		Label string `yaml:"label"`
	},
	) (sdktrace.SpanExporter, error) {
		r.exporter.built.Add(1)
		return r.exporter, nil
	}))
	r.write(section)
	var err error
	r.Tracing, err = riffle.Start(t.Context(), r.file, append([]riffle.Option{
		riffle.Exporters(exporters), riffle.Logger(r.log.Logger()), riffle.Config(config.Environ(nil)),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Shutdown(context.Background()) })
	r.tracer = r.Provider().TracerProvider().Tracer("test")
	return r
}

func (r *reloading) write(section string) {
	r.t.Helper()
	text := "observability:\n  tracing:\n    enabled: true\n    service_name: test\n"
	for line := range strings.Lines(section) {
		text += "    " + line
	}
	next := r.file + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(next, r.file); err != nil {
		r.t.Fatal(err)
	}
}

func (r *reloading) span(name string) {
	_, s := r.tracer.Start(context.Background(), name)
	s.End()
}

// eventually waits for a state.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to it: " + what)
		}
	}
}

const (
	keepsNone = "samplers:\n- type: ratio\n  rate: 0\nexporters:\n- type: counting\n"
	keepsAll  = "samplers:\n- type: ratio\n  rate: 1\nexporters:\n- type: counting\n"
)

// What changed is in force when Reload returns; an exporter whose entry did not change
// is the same one.
func TestReload(t *testing.T) {
	r := serve(t, keepsNone)
	r.span("before")
	r.write(keepsAll)
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.span("after")
	if err := r.ForceFlush(t.Context()); err != nil {
		t.Error(err)
	}
	if got := r.exporter.names(); !slices.Equal(got, []string{"after"}) {
		t.Errorf("the exporter has %q", got)
	}
	if n := r.exporter.built.Load(); n != 1 {
		t.Errorf("the exporter was built %d times", n)
	}
	r.write(keepsAll + "  label: other\n")
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := r.exporter.built.Load(); n != 2 {
		t.Errorf("the exporter was built %d times after its entry changed", n)
	}
	eventually(t, "the former exporter is shut down", func() bool { return r.exporter.shutdown.Load() == 1 })
	r.span("last")
	if err := r.ForceFlush(t.Context()); err != nil {
		t.Error(err)
	}
	s := r.Stats()
	if len(s.Exporters) != 1 || s.Exporters[0].Sent != 2 {
		t.Errorf("the stats have %+v, want one exporter that sent 2 spans", s.Exporters)
	}
	if s.Reloads.Succeeded != 2 || s.Reloads.Failed != 0 || s.Reloads.Last.IsZero() {
		t.Errorf("the stats have %+v", s.Reloads)
	}
}

// A file with mistakes changes nothing; all of them are said, with their positions.
func TestReloadOfABrokenFile(t *testing.T) {
	for name, tt := range map[string]struct {
		section string
		want    []string
	}{
		"mistakes":        {"samplers:\n- type: ratio\n  rate: 2\nexporters:\n- type: countin\n", []string{"app.yaml:7:7", "app.yaml:9:7"}},
		"of building":     {"samplers:\n- type: error\nexporters:\n- type: counting\n", []string{"no baseline"}},
		"not YAML":        {"samplers: [\n", []string{"app.yaml:"}},
		"it turns it off": {"enabled: false\n", []string{"app.yaml:5:"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, keepsAll)
			r.write(tt.section)
			err := r.Reload(t.Context())
			if err == nil {
				t.Fatal("it was reloaded")
			}
			if mistakes := core.ConfigErrors(nil); !errors.As(err, &mistakes) {
				t.Errorf("it is no ConfigErrors: %v", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) || !strings.Contains(r.Stats().Reloads.Error, want) {
					t.Errorf("the error is\n%v\nand the stats have\n%v\nwant %q in both", err, r.Stats().Reloads.Error, want)
				}
			}
			r.span("after")
			if err := r.ForceFlush(t.Context()); err != nil || len(r.exporter.names()) != 1 {
				t.Errorf("the exporter has %q, %v", r.exporter.names(), err)
			}
			if s := r.Stats().Reloads; s.Failed != 1 || s.Succeeded != 0 {
				t.Errorf("the stats have %+v", s)
			}
		})
	}
}

// A file that is gone is no reason to fall back to the environment.
func TestReloadWithoutTheFile(t *testing.T) {
	r := serve(t, keepsAll)
	if err := os.Remove(r.file); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the error is %v", err)
	}
}

func TestReloadOnSignal(t *testing.T) {
	r := serve(t, keepsNone, riffle.ReloadOn(syscall.SIGHUP))
	hangUp := func() {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	r.write("samplers: 7\n")
	hangUp()
	eventually(t, "the mistake is logged", func() bool { return strings.Contains(strings.Join(r.log.Lines(), "\n"), "app.yaml:5:5") })
	r.write(keepsAll)
	hangUp()
	eventually(t, "it is reloaded", func() bool { return r.Stats().Reloads.Succeeded == 1 })
}

// A file that is watched is read again when it changes, as long as it says so.
func TestReloadWatch(t *testing.T) {
	r := serve(t, "reload: watch\n"+keepsNone)
	succeeded := func(n uint64) func() bool {
		return func() bool { return r.Stats().Reloads.Succeeded == n }
	}
	r.write("reload: watch\n" + keepsAll)
	eventually(t, "it is reloaded", succeeded(1))
	r.write(keepsAll)
	eventually(t, "it is reloaded, and not watched any more", succeeded(2))
	r.write("reload: watch\n" + keepsNone)
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.write("reload: watch\n" + keepsAll)
	eventually(t, "it is watched again", succeeded(4))
}

// What changes while the first configuration is built is not missed.
func TestReloadWatchFromTheStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "app.yaml")
	write := func(label string) {
		text := "observability:\n  tracing:\n    enabled: true\n    service_name: test\n    reload: watch\n    exporters:\n    - type: slow\n      label: " + label + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	type labelled struct {
		Label string `yaml:"label"`
	}
	exporters := component.NewExporters()
	exporters.MustAdd(component.NewFactory("slow", labelled{}, func(_ context.Context, _ component.Settings, c labelled) (sdktrace.SpanExporter, error) {
		if c.Label == "one" {
			write("two")
		}
		return &counting{}, nil
	}))
	write("one")
	tracing, err := riffle.Start(t.Context(), file, riffle.Exporters(exporters),
		riffle.Logger(slog.New(slog.DiscardHandler)), riffle.Config(config.Environ(nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer tracing.Shutdown(context.Background())
	eventually(t, "it is reloaded", func() bool { return tracing.Stats().Reloads.Succeeded == 1 })
}

var reloadsUnderLoad = flag.Int("reloads", 200, "how often TestReloadUnderLoad reloads; many of them are compared with a quiet time")

// latency remembers how long ends of spans take.
type latency struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latency) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, d)
}

// p99 returns the 99th percentile, and begins anew.
func (l *latency) p99() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.all)
	p := l.all[len(l.all)*99/100]
	l.all = nil
	return p
}

// Files change under load, half of them broken: every error arrives once with all of its
// segment, nothing is left over.
func TestReloadUnderLoad(t *testing.T) {
	reloads := *reloadsUnderLoad
	before := runtime.NumGoroutine()
	r := serve(t, "samplers:\n- type: error\n- type: ratio\n  rate: 0\nexporters:\n- type: counting\n")
	stop := make(chan struct{})
	var load sync.WaitGroup
	var errs atomic.Int64
	var ends latency
	for range 3 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n := errs.Add(1)
				ctx, root := r.tracer.Start(context.Background(), fmt.Sprint("root ", n))
				_, child := r.tracer.Start(ctx, fmt.Sprint("child ", n))
				child.SetStatus(codes.Error, "failed")
				began := time.Now()
				child.End()
				root.End()
				ends.add(time.Since(began))
				time.Sleep(50 * time.Microsecond)
			}
		})
	}
	var quiet time.Duration
	if reloads >= 5000 { // else it says nothing
		time.Sleep(10 * time.Second)
		quiet = ends.p99()
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range reloads {
		if i%2 == 1 {
			r.write([]string{"samplers: 1\n", "exporters:\n- type: unknown\n", ": :\n", "sample_rate: many\n"}[random.IntN(4)])
			if r.Reload(t.Context()) == nil {
				t.Error("a broken file was put into force")
			}
			continue
		}
		r.write(fmt.Sprintf("samplers:\n- type: error\n- type: ratio\n  name: n%d\n  rate: 0\nexporters:\n- type: counting\n  label: l%d\n", random.IntN(3), random.IntN(3)))
		if err := r.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if quiet > 0 {
		p := ends.p99()
		t.Logf("99 %% of the ends of two spans take %v at most in quiet, and %v while files change", quiet, p)
		if p > 2*quiet {
			t.Errorf("ends of spans take %.1f times as long while files change", p.Seconds()/quiet.Seconds())
		}
	}
	close(stop)
	load.Wait()
	if err := r.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	want := int(2 * errs.Load())
	if n := len(r.exporter.names()); n != want {
		t.Errorf("%d spans arrived, want %d", n, want)
	}
	for name, n := range r.exporter.got {
		if n != 1 {
			t.Errorf("%s arrived %d times", name, n)
		}
	}
	if built, shut := r.exporter.built.Load(), r.exporter.shutdown.Load(); built != shut {
		t.Errorf("%d exporters were built, and %d shut down", built, shut)
	}
	var sent uint64
	for _, e := range r.Stats().Exporters {
		sent += e.Sent
	}
	if sent != uint64(want) {
		t.Errorf("the stats have %d sent spans, want %d", sent, want)
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

// Reload and Shutdown at once leave nothing behind.
func TestReloadAndShutdown(t *testing.T) {
	for range 30 {
		r := serve(t, keepsAll)
		r.write(keepsAll + "  label: other\n")
		var both sync.WaitGroup
		both.Go(func() {
			if err := r.Reload(context.Background()); err != nil && !errors.Is(err, core.ErrShutDown) {
				t.Error(err)
			}
		})
		both.Go(func() { _ = r.Shutdown(context.Background()) })
		both.Wait()
		if built, shut := r.exporter.built.Load(), r.exporter.shutdown.Load(); built != shut {
			t.Fatalf("%d exporters were built, and %d shut down", built, shut)
		}
		if err := r.Reload(context.Background()); !errors.Is(err, core.ErrShutDown) {
			t.Fatalf("a reload after Shutdown: %v", err)
		}
	}
}

// The file that OTEL_CONFIG_FILE names is watched too.
func TestReloadWatchOfAnOpenTelemetryFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "otel.yaml")
	write := func(sampler string) {
		t.Helper()
		text := "file_format: '1.1'\ndistribution: {riffle: {reload: watch}}\ntracer_provider:\n  processors: [{simple: {exporter: {console: }}}]\n  sampler: {" + sampler + ": }\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("always_off")
	tracing, err := riffle.Start(t.Context(), "", riffle.Config(config.Environ([]string{"OTEL_CONFIG_FILE=" + file})),
		riffle.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer tracing.Shutdown(context.Background())
	write("always_on")
	eventually(t, "it is reloaded", func() bool { return tracing.Stats().Reloads.Succeeded == 1 })
}
