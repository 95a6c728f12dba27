package core_test

import (
	"context"
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/spanmetrics"
)

func measuredProvider(tb testing.TB, c spanmetrics.Config, rate float64, meters metric.MeterProvider) trace.TracerProvider {
	return providerOf(tb, core.Spec{SpanMetrics: &c}, rate, core.MeterProvider(meters))
}

func sdkMeters() metric.MeterProvider {
	return sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
}

// What span_metrics cost: riffle's part alone, without a metrics SDK, and with it.
func BenchmarkMeasured(b *testing.B) {
	dimensions := spanmetrics.Config{Dimensions: []string{"http.route", "http.response.status_code"}}
	for _, n := range []int{1, 6} {
		b.Run(fmt.Sprintf("spans=%d", n), func(b *testing.B) {
			run(b, n, []variant{
				{"not-kept", sampledProvider(b, 0)},
				{"measured-no-sdk", measuredProvider(b, spanmetrics.Config{}, 0, noop.NewMeterProvider())},
				{"measured", measuredProvider(b, spanmetrics.Config{}, 0, sdkMeters())},
				{"measured-dimensions", measuredProvider(b, dimensions, 0, sdkMeters())},
			})
		})
	}
}

// Measuring allocates nothing once a series exists, of a span that is kept or not.
func TestMeasuringAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates; .ci/run runs this without it, too")
	}
	c := spanmetrics.Config{Dimensions: []string{"http.route", "http.response.status_code"}, HTTPDurations: true}
	for _, rate := range []float64{0, 1} {
		allocs := func(p trace.TracerProvider) float64 {
			tracer := p.Tracer("test")
			return testing.AllocsPerRun(1000, func() { request(context.Background(), tracer, 6) })
		}
		without, with := allocs(sampledProvider(t, rate)), allocs(measuredProvider(t, c, rate, sdkMeters()))
		if with > without {
			t.Errorf("rate %v: %v allocations, without metrics %v", rate, with, without)
		}
	}
}
