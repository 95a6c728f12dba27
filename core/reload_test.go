package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/sampling"
)

// backend is what exporters of a test send to.
type backend struct {
	down     atomic.Bool
	attempts atomic.Int64
	built    atomic.Int64
	shutdown atomic.Int64

	mu  sync.Mutex
	got map[string]int
}

type backendConfig struct {
	Label string `yaml:"label"`
}

// entry is an exporter to it.
func (b *backend) entry(name, label string, change func(*delivery.Config)) core.ExporterEntry {
	f := component.NewFactory("backend", backendConfig{}, func(context.Context, component.Settings, backendConfig) (sdktrace.SpanExporter, error) {
		b.built.Add(1)
		return (*toBackend)(b), nil
	})
	c := delivery.Defaults()
	c.Batch.MaxAge = component.Duration(time.Millisecond)
	c.Send.Backoff.Initial, c.Send.Backoff.Max = component.Duration(10*time.Millisecond), component.Duration(20*time.Millisecond)
	if change != nil {
		change(&c)
	}
	return core.UseExporter(f, name, backendConfig{label}).WithDelivery(c)
}

type toBackend backend

func (b *toBackend) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	b.attempts.Add(1)
	if b.down.Load() {
		return &delivery.ExportError{Err: errors.New("the backend is down")}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range spans {
		b.got[s.Name()]++
	}
	return nil
}

func (b *toBackend) Shutdown(context.Context) error {
	b.shutdown.Add(1)
	return nil
}

func (b *backend) count() (spans, twice int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.got {
		if n > 1 {
			twice++
		}
	}
	return len(b.got), twice
}

func specOf(exporters ...core.ExporterEntry) core.Spec {
	return core.Spec{Enabled: true, Samplers: []core.SamplerEntry{baseline(1)}, Exporters: exporters}
}

func reloaded(t *testing.T, p *core.Provider, spec core.Spec) {
	t.Helper()
	if err := p.Reload(t.Context(), func() (core.Spec, error) { return spec, nil }); err != nil {
		t.Fatal(err)
	}
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to it: " + what)
		}
	}
}

// What waits while a backend is down survives reloads: in the queue of a line that stays,
// of one that is replaced, and on a disk. An exporter that is gone sends what it has.
func TestReloadWhileABackendIsDown(t *testing.T) {
	const spans = 20
	disk := func(dir string) func(*delivery.Config) {
		return func(c *delivery.Config) { c.Queue.Storage, c.Queue.Dir = delivery.StorageDisk, dir }
	}
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		before, after func(*backend) []core.ExporterEntry
		built         int64
	}{
		"an entry that stays": {
			func(b *backend) []core.ExporterEntry { return []core.ExporterEntry{b.entry("one", "", nil)} },
			func(b *backend) []core.ExporterEntry { return []core.ExporterEntry{b.entry("one", "", nil)} }, 1,
		},
		"of two that share batches, one goes": {
			func(b *backend) []core.ExporterEntry {
				return []core.ExporterEntry{(&backend{got: map[string]int{}}).entry("other", "", nil), b.entry("one", "", nil)}
			},
			func(b *backend) []core.ExporterEntry { return []core.ExporterEntry{b.entry("one", "", nil)} }, 1,
		},
		"an entry that changes": {
			func(b *backend) []core.ExporterEntry { return []core.ExporterEntry{b.entry("one", "", nil)} },
			func(b *backend) []core.ExporterEntry { return []core.ExporterEntry{b.entry("one", "changed", nil)} }, 2,
		},
		"an entry that changes, on disk": {
			func(b *backend) []core.ExporterEntry { return []core.ExporterEntry{b.entry("one", "", disk(dir))} },
			func(b *backend) []core.ExporterEntry {
				return []core.ExporterEntry{b.entry("one", "changed", disk(dir))}
			}, 2,
		},
		"an entry that is gone": {
			func(b *backend) []core.ExporterEntry { return []core.ExporterEntry{b.entry("one", "", nil)} },
			func(*backend) []core.ExporterEntry { return nil }, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := &backend{got: map[string]int{}}
			b.down.Store(true)
			p := newProvider(t, specOf(tt.before(b)...))
			tracer := p.TracerProvider().Tracer("test")
			for i := range spans {
				_, s := tracer.Start(context.Background(), fmt.Sprint("before ", i))
				s.End()
			}
			until(t, "an attempt", func() bool { return b.attempts.Load() > 0 })
			after := tt.after(b)
			reloaded(t, p, specOf(after...))
			want := spans
			for i := range spans {
				_, s := tracer.Start(context.Background(), fmt.Sprint("after ", i))
				s.End()
			}
			if len(after) > 0 {
				want += spans
			}
			b.down.Store(false)
			until(t, "all arrive", func() bool { n, _ := b.count(); return n == want })
			if n := b.built.Load(); n != tt.built {
				t.Errorf("%d exporters were built, want %d", n, tt.built)
			}
			if err := p.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			if n, twice := b.count(); n != want || twice > 0 {
				t.Errorf("%d spans arrived, %d of them twice; want %d", n, twice, want)
			}
			var sent uint64
			for _, e := range p.Stats().Exporters {
				if e.Name == "one" {
					sent += e.Sent
				}
			}
			if sent != uint64(want) {
				t.Errorf("the stats have %d sent spans, want %d", sent, want)
			}
		})
	}
}

// released is a sampler that says when it is shut down.
type released struct {
	sampling.Sampler
	n *atomic.Int64
}

func (released) SampleEnd(sampling.EndParameters) sampling.Answer { return sampling.Abstain() }

func (r released) Shutdown(context.Context) error {
	r.n.Add(1)
	return nil
}

func (released) Traits() sampling.Traits { return sampling.Traits{Description: "released"} }

// A sampler that stays is not built again; one that is gone is shut down when no segment
// needs it, also where the reload fails.
func TestReloadSamplers(t *testing.T) {
	var built, shut atomic.Int64
	type config struct {
		N int `yaml:"n"`
	}
	f := component.NewFactory("counted", config{}, func(_ context.Context, _ component.Settings, c config) (sampling.Sampler, error) {
		if c.N < 0 {
			return nil, errors.New("negative")
		}
		built.Add(1)
		return released{n: &shut}, nil
	})
	spec := func(list ...int) core.Spec {
		s := core.Spec{Enabled: true}
		for i, n := range list {
			s.Samplers = append(s.Samplers, core.UseSampler(f, fmt.Sprint("s", i), config{n}))
		}
		s.Samplers = append(s.Samplers, baseline(0))
		return s
	}
	check := func(wantBuilt, wantShut int64) {
		t.Helper()
		until(t, fmt.Sprintf("%d are built and %d shut down", wantBuilt, wantShut), func() bool {
			return built.Load() == wantBuilt && shut.Load() == wantShut
		})
	}
	p := newProvider(t, spec(1, 2))
	reloaded(t, p, spec(1, 3))
	check(3, 1)
	err := p.Reload(t.Context(), func() (core.Spec, error) { return spec(1, 4, -1), nil })
	if mistakes := core.ConfigErrors(nil); !errors.As(err, &mistakes) || len(mistakes) != 1 || mistakes[0].Path != "samplers[2]" {
		t.Errorf("the error is %v", err)
	}
	check(4, 2)
	var names []string
	for _, s := range p.Stats().Samplers {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []string{"s0", "s1", "ratio"}) {
		t.Errorf("the samplers are %q", names)
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	check(4, 4)
}

// Propagators change with the rest, also where tracing is off.
func TestReloadPropagators(t *testing.T) {
	for _, enabled := range []bool{true, false} {
		p, err := core.New(t.Context(), core.Spec{Enabled: enabled})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Shutdown(context.Background())
		spec := core.Spec{Enabled: enabled, Propagators: []string{"b3"}}
		prop := p.Propagator()
		reloaded(t, p, spec)
		if got := prop.Fields(); !slices.Equal(got, []string{"b3"}) {
			t.Errorf("the propagators write %q", got)
		}
	}
}

// Those who wait for their turn give up with their context.
func TestReloadWaitsForItsTurn(t *testing.T) {
	p := newProvider(t, core.Spec{Enabled: true})
	begun, goOn := make(chan struct{}), make(chan struct{})
	var first sync.WaitGroup
	first.Go(func() {
		_ = p.Reload(context.Background(), func() (core.Spec, error) {
			close(begun)
			<-goOn
			return core.Spec{Enabled: true}, nil
		})
	})
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Reload(ctx, func() (core.Spec, error) { return core.Spec{}, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	close(goOn)
	first.Wait()
	if r := p.Stats().Reloads; r.Succeeded != 1 || r.Failed != 1 {
		t.Errorf("the stats have %+v", r)
	}
}
