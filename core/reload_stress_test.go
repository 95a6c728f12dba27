package core_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/record"
)

// Everything changes, again and again, under load, while others flush, collect and read:
// each span arrives once where an exporter is all the time, no count falls, and everything
// that was built is shut down.
func TestReloadUnderLoad(t *testing.T) {
	const reloads = 150
	random := rand.New(rand.NewPCG(1, 2))
	all, some := &backend{got: map[string]int{}}, &backend{got: map[string]int{}}
	var counted samplers
	reader := sdkmetric.NewManualReader()
	dir := t.TempDir()
	label := 0
	spec := func() core.Spec {
		if random.IntN(2) == 0 {
			label++
		}
		s := specOf(all.entry("all", fmt.Sprint(label), func(c *delivery.Config) {
			if random.IntN(2) == 0 {
				c.Queue.Storage, c.Queue.Dir = delivery.StorageDisk, dir
			}
		}))
		for i := range random.IntN(4) {
			s.Exporters = append(s.Exporters, some.entry(fmt.Sprint("some ", i), fmt.Sprint(random.IntN(2)), func(c *delivery.Config) {
				if random.IntN(2) == 0 {
					c.Filter = &delivery.Filter{Of: delivery.FilterTraces, Match: &match.Config{Name: "child*"}}
				}
			}))
		}
		for i := range random.IntN(3) {
			s.Samplers = append(s.Samplers, counted.entry(fmt.Sprint("s", i), nil))
		}
		s.AlwaysRecord = random.IntN(2) == 0
		s.RemoteParent = []record.RemoteParent{record.Watch, record.Ask, record.Ignore}[random.IntN(3)]
		s.MaxBytes = []component.Size{64 << 20, 128 << 20}[random.IntN(2)]
		s.Environment = fmt.Sprint(random.IntN(3))
		return s
	}
	p, err := core.New(t.Context(), spec(), core.MeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	forever := func(f func()) {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f()
				}
			}
		})
	}
	var spans atomic.Int64
	tracer := p.TracerProvider().Tracer("test")
	for range 2 {
		traces := 0
		forever(func() {
			if traces++; traces%200 == 0 { // no queue may become full
				if err := p.ForceFlush(context.Background()); err != nil {
					t.Error(err)
				}
			}
			ctx, root := tracer.Start(context.Background(), fmt.Sprint("root ", spans.Add(1)))
			_, child := tracer.Start(ctx, fmt.Sprint("child ", spans.Add(1)))
			child.End()
			root.End()
			_, late := tracer.Start(ctx, fmt.Sprint("late ", spans.Add(1)))
			late.End()
		})
	}
	forever(func() {
		if err := p.ForceFlush(context.Background()); err != nil {
			t.Error(err)
		}
	})
	forever(func() { _ = reader.Collect(context.Background(), &metricdata.ResourceMetrics{}) })
	sent := map[string]uint64{}
	forever(func() {
		for _, e := range p.Stats().Exporters {
			if e.Sent < sent[e.Name] {
				t.Errorf("%q has sent %d spans, after %d", e.Name, e.Sent, sent[e.Name])
			}
			sent[e.Name] = e.Sent
		}
	})
	for range reloads {
		reloaded(t, p, spec())
	}
	close(stop)
	others.Wait()
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if n, twice := all.count(); int64(n) != spans.Load() || twice > 0 {
		t.Errorf("%d spans arrived, %d of them twice, of %d", n, twice, spans.Load())
	}
	for _, b := range []*backend{all, some} {
		if built, shut := b.built.Load(), b.shutdown.Load(); built != shut {
			t.Errorf("%d exporters were built, and %d shut down", built, shut)
		}
	}
	if built, shut := counted.built.Load(), counted.shut.Load(); built != shut {
		t.Errorf("%d samplers were built, and %d shut down", built, shut)
	}
}
