package bound

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.opentelemetry.io/otel/trace"
)

// sampled is the context of a span that is sampled.
func sampled(n int) context.Context {
	return trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, byte(n >> 8), byte(n)}, SpanID: trace.SpanID{2, byte(n)}, TraceFlags: trace.FlagsSampled,
	}))
}

const scopeName = "test"

func collect(t *testing.T, r *sdkmetric.ManualReader) metricdata.ScopeMetrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := r.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	if len(all.ScopeMetrics) != 1 {
		t.Fatalf("%d scopes", len(all.ScopeMetrics))
	}
	return all.ScopeMetrics[0]
}

// What is bound is what the SDK would have made of the same measurements.
func TestLikeTheSDK(t *testing.T) {
	options := []metric.Float64HistogramOption{
		metric.WithUnit("ms"), metric.WithDescription("how long"), metric.WithExplicitBucketBoundaries(1, 2, 5, 10),
	}
	want, bound := sdkmetric.NewManualReader(), &Producer{}
	got := sdkmetric.NewManualReader(sdkmetric.WithProducer(bound))
	sdk, err := sdkmetric.NewMeterProvider(sdkmetric.WithReader(want)).Meter(scopeName).Float64Histogram("h", options...)
	if err != nil {
		t.Fatal(err)
	}
	meter := bound.MeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(got))).Meter(scopeName)
	h, err := meter.Float64Histogram("h", options...)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := meter.Float64Histogram("h", options...); err != nil || again != h {
		t.Errorf("made again: %v, %v", again, err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	var sets []attribute.Set
	var record []func(context.Context, float64)
	for i := range 3 {
		sets = append(sets, attribute.NewSet(attribute.Int("n", i)))
		record = append(record, h.(*Histogram).Bind(sets[i]))
	}
	for round := range 3 {
		for i := range 1000 {
			ctx, n, v := context.Background(), random.IntN(len(sets)), float64(random.IntN(48))/4
			if i%100 == 0 {
				ctx = sampled(i + 1000*round)
			}
			sdk.Record(ctx, v, metric.WithAttributeSet(sets[n]))
			record[n](ctx, v)
		}
		theirs, ours := collect(t, want), collect(t, got)
		metricdatatest.AssertEqual(t, extremeless(theirs), ours, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
		checkExemplars(t, ours, 1000*(round+1))
	}
}

// extremeless leaves out the extremes, which nothing reads that is cumulative.
func extremeless(s metricdata.ScopeMetrics) metricdata.ScopeMetrics {
	for _, m := range s.Metrics {
		points := m.Data.(metricdata.Histogram[float64]).DataPoints
		for i := range points {
			points[i].Min, points[i].Max = metricdata.Extrema[float64]{}, metricdata.Extrema[float64]{}
		}
	}
	return s
}

// checkExemplars looks for those of the measurements before one.
func checkExemplars(t *testing.T, s metricdata.ScopeMetrics, before int) {
	t.Helper()
	n := 0
	for _, p := range s.Metrics[0].Data.(metricdata.Histogram[float64]).DataPoints {
		for _, e := range p.Exemplars {
			n++
			if of := int(e.TraceID[1])<<8 + int(e.TraceID[2]); of >= before || of%100 != 0 || e.SpanID[0] != 2 || e.Time.IsZero() {
				t.Errorf("an exemplar of %d: %+v", of, e)
			}
		}
	}
	if n == 0 || n > 15 {
		t.Errorf("%d exemplars, want no more than three series have buckets", n)
	}
}

// Each who reads has the last exemplar of a bucket: one who looks takes it from nobody.
func TestExemplars(t *testing.T) {
	p := &Producer{}
	h, err := p.MeterProvider(sdkmetric.NewMeterProvider()).Meter(scopeName).Float64Histogram("h", metric.WithExplicitBucketBoundaries(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	record := h.(*Histogram).Bind(*attribute.EmptySet())
	for _, m := range []struct {
		trace int
		value float64
	}{{1, 1}, {2, 2}, {3, 1.5}, {4, 3}} {
		record(sampled(m.trace), m.value)
	}
	for range 2 {
		all, err := p.Produce(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for _, e := range all[0].Metrics[0].Data.(metricdata.Histogram[float64]).DataPoints[0].Exemplars {
			got = append(got, e.TraceID[2])
		}
		if want := []byte{1, 3, 4}; !slices.Equal(got, want) {
			t.Errorf("exemplars of traces %v, want %v", got, want)
		}
	}
}

// Attributes that are bound twice, as by two providers of a process, are one series.
func TestBoundTwice(t *testing.T) {
	p := &Producer{}
	meters := p.MeterProvider(sdkmetric.NewMeterProvider())
	for range 2 {
		h, err := meters.Meter(scopeName).Float64Histogram("h", metric.WithExplicitBucketBoundaries(1, 2))
		if err != nil {
			t.Fatal(err)
		}
		h.(*Histogram).Bind(attribute.NewSet(attribute.Int("n", 1)))(t.Context(), 1)
	}
	all, err := p.Produce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if points := all[0].Metrics[0].Data.(metricdata.Histogram[float64]).DataPoints; len(points) != 1 || points[0].Count != 2 {
		t.Errorf("%+v, want one point with 2 measurements", points)
	}
}

// Nothing is lost where several measure and one reads.
func TestConcurrently(t *testing.T) {
	p := &Producer{}
	h, err := p.MeterProvider(sdkmetric.NewMeterProvider()).Meter(scopeName).Float64Histogram("h", metric.WithExplicitBucketBoundaries(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	const goroutines, each = 8, 2000
	record := h.(*Histogram).Bind(*attribute.EmptySet())
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				ctx := context.Background()
				if i%10 == 0 {
					ctx = sampled(i)
				}
				record(ctx, float64((g+i)%3))
				if i%500 == 0 {
					_, _ = p.Produce(ctx)
				}
			}
		})
	}
	wg.Wait()
	all, err := p.Produce(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	point := all[0].Metrics[0].Data.(metricdata.Histogram[float64]).DataPoints[0]
	if want := float64(goroutines * each / 3 * 3); point.Count != goroutines*each || point.Sum < want-3 || point.Sum > want+3 {
		t.Errorf("%d measurements of %v, want %d of about %v", point.Count, point.Sum, goroutines*each, want)
	}
}

// Histograms without buckets of their own are the SDK's.
func TestWithoutBuckets(t *testing.T) {
	p := &Producer{}
	h, err := p.MeterProvider(sdkmetric.NewMeterProvider()).Meter(scopeName).Float64Histogram("h")
	if err != nil {
		t.Fatal(err)
	}
	if _, binds := h.(interface {
		Bind(attribute.Set) func(context.Context, float64)
	}); binds {
		t.Error("it binds")
	}
	if all, err := p.Produce(context.Background()); err != nil || len(all) > 0 {
		t.Errorf("%v, %v", all, err)
	}
}

func BenchmarkRecord(b *testing.B) {
	h, err := new(Producer).MeterProvider(sdkmetric.NewMeterProvider()).Meter(scopeName).Float64Histogram("h", metric.WithExplicitBucketBoundaries(2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000))
	if err != nil {
		b.Fatal(err)
	}
	record := h.(*Histogram).Bind(*attribute.EmptySet())
	for name, ctx := range map[string]context.Context{"no": context.Background(), "yes": sampled(1)} {
		b.Run(fmt.Sprintf("exemplar=%s", name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				record(ctx, 77)
			}
		})
	}
}
