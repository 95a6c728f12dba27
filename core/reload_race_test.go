package core_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
)

// samplers makes end samplers that count themselves.
type samplers struct{ built, shut atomic.Int64 }

func (s *samplers) entry(name string, building func()) core.SamplerEntry {
	f := component.NewFactory("counted", struct{}{}, func(context.Context, component.Settings, struct{}) (sampling.Sampler, error) {
		if building != nil {
			building()
		}
		s.built.Add(1)
		return released{n: &s.shut}, nil
	})
	return core.UseSampler(f, name, struct{}{})
}

// A reload that is under way while the provider is shut down takes nothing from it any
// more, and later ones do not begin.
func TestReloadAndShutdown(t *testing.T) {
	for _, enabled := range []bool{true, false} {
		var s samplers
		spec := core.Spec{Enabled: enabled, Samplers: []core.SamplerEntry{s.entry("stays", nil), baseline(0)}}
		p, err := core.New(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		shutdown := func() {
			if err := p.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}
		next := spec
		next.Samplers = append([]core.SamplerEntry{s.entry("new", shutdown)}, spec.Samplers...)
		err = p.Reload(t.Context(), func() (core.Spec, error) {
			if !enabled {
				shutdown()
			}
			return next, nil
		})
		if !errors.Is(err, core.ErrShutDown) {
			t.Errorf("enabled: %v: the error is %v", enabled, err)
		}
		if built, shut := s.built.Load(), s.shut.Load(); built != shut {
			t.Errorf("%d samplers were built, and %d shut down", built, shut)
		}
		for range 20 {
			err := p.Reload(t.Context(), func() (core.Spec, error) {
				t.Error("a configuration is read after Shutdown")
				return spec, nil
			})
			if !errors.Is(err, core.ErrShutDown) {
				t.Errorf("enabled: %v: a reload after Shutdown comes to %v", enabled, err)
			}
		}
	}
}

// Whoever has the tracer provider can shut it down: reloads after that leave nothing.
func TestReloadAfterTheTracerProviderIsShutDown(t *testing.T) {
	var s samplers
	b := &backend{got: map[string]int{}}
	p := newProvider(t, specOf(b.entry("one", "", nil)))
	if err := p.TracerProvider().(*record.TracerProvider).Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	spec := specOf(b.entry("one", "changed", nil))
	spec.Samplers = append(spec.Samplers, s.entry("new", nil))
	if err := p.Reload(t.Context(), func() (core.Spec, error) { return spec, nil }); !errors.Is(err, core.ErrShutDown) {
		t.Errorf("the error is %v", err)
	}
	if built, ended := b.built.Load(), b.shutdown.Load(); built != ended {
		t.Errorf("%d exporters were built, and %d shut down", built, ended)
	}
	if n := s.shut.Load(); n != 1 {
		t.Errorf("the sampler of the reload was shut down %d times, want once", n)
	}
}

// No more end samplers than a segment has bits for, also where most of them stay.
func TestReloadBoundsEndSamplers(t *testing.T) {
	var counted samplers
	spec := func(first int) core.Spec {
		s := core.Spec{Enabled: true}
		for i := first; i < record.MaxEndSamplers; i++ {
			s.Samplers = append(s.Samplers, counted.entry(fmt.Sprint("s", i), nil))
		}
		s.Samplers = append(s.Samplers, baseline(0))
		return s
	}
	p := newProvider(t, spec(0))
	err := p.Reload(t.Context(), func() (core.Spec, error) { return spec(-1), nil })
	mistakes := core.ConfigErrors(nil)
	if !errors.As(err, &mistakes) || len(mistakes) != 1 || mistakes[0].Path != "samplers[64]" {
		t.Errorf("the error is %v", err)
	}
	if n := counted.shut.Load(); n != 1 {
		t.Errorf("%d samplers were shut down, want the new one", n)
	}
}

// collecting is a meter provider under which metrics are collected while it is asked.
type collecting struct {
	metric.MeterProvider
	collect func()
}

func (c *collecting) Meter(name string, options ...metric.MeterOption) metric.Meter {
	if c.collect != nil {
		c.collect()
	}
	return c.MeterProvider.Meter(name, options...)
}

// The metrics SDK has a lock that who collects and who registers take.
func TestReloadWhileMetricsAreCollected(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	meters := &collecting{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))}
	p := newProvider(t, specOf(), core.MeterProvider(meters))
	var calls atomic.Int64
	meters.collect = func() {
		calls.Add(1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = reader.Collect(context.Background(), &metricdata.ResourceMetrics{})
			p.Stats()
		}()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Error("a collection waits for the reload that registers metrics")
		}
	}
	b := &backend{got: map[string]int{}}
	reloaded(t, p, specOf(b.entry("one", "", nil)))
}

// What was built of a reload that fails is shut down in a context that has not ended, so
// that it can tell others that it is gone.
func TestReloadThatIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var ended atomic.Value
	f := component.NewFactory("slow", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
		return endsIn{&ended}, nil
	})
	broken := component.NewFactory("broken", struct{}{}, func(ctx context.Context, _ component.Settings, _ struct{}) (sdktrace.SpanExporter, error) {
		cancel()
		return nil, ctx.Err()
	})
	p := newProvider(t, specOf())
	spec := specOf(core.UseExporter(f, "slow", struct{}{}), core.UseExporter(broken, "broken", struct{}{}))
	if err := p.Reload(ctx, func() (core.Spec, error) { return spec, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if got := ended.Load(); got != "in time" {
		t.Errorf("the exporter was shut down %v", got)
	}
}

type endsIn struct{ ended *atomic.Value }

func (endsIn) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }

func (e endsIn) Shutdown(ctx context.Context) error {
	if e.ended.Store("in time"); ctx.Err() != nil {
		e.ended.Store("too late")
	}
	return nil
}
