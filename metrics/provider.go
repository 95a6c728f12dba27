package metrics

import (
	"context"
	"errors"
	"sync"

	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/spanmetrics"
	"github.com/riffletrace/riffle/metrics/bound"
)

const (
	// sdkSeries is how many series the SDK allows an instrument.
	sdkSeries = 2000
	// The scale that histograms of the SDK begin at, and the size that OpenTelemetry
	// recommends.
	maxScale, maxSize = 20, 160
)

// durations are the histograms of spans' durations.
var durations = []string{spanmetrics.Duration, spanmetrics.HTTPDuration}

// provider is the SDK's, with what is to be ended beside it.
type provider struct {
	metric.MeterProvider // sdk's, or one whose histograms bind
	sdk                  *sdkmetric.MeterProvider
	// release ends what receivers ask; nil if it is the SDK that sends.
	release func(context.Context) error
	// failure is why the last export came to nothing; nil if there are none.
	failure func() error
	// apart is whether each export has what no other has.
	apart bool

	once sync.Once
	err  error
}

// newProvider makes one that reader reads. A producer binds histograms; nil binds none.
func newProvider(s component.MetricsSettings, reader sdkmetric.Reader, producer *bound.Producer) *provider {
	opts := []sdkmetric.Option{sdkmetric.WithReader(reader), sdkmetric.WithCardinalityLimit(limit(s))}
	if s.Resource != nil {
		opts = append(opts, sdkmetric.WithResource(s.Resource))
	}
	if s.Exponential {
		buckets := sdkmetric.Stream{Aggregation: sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: maxSize, MaxScale: maxScale}}
		for _, name := range durations {
			opts = append(opts, sdkmetric.WithView(sdkmetric.NewView(sdkmetric.Instrument{Name: name}, buckets)))
		}
	}
	sdk := sdkmetric.NewMeterProvider(opts...)
	p := &provider{MeterProvider: sdk, sdk: sdk}
	if producer != nil {
		p.MeterProvider = producer.MeterProvider(sdk)
	}
	return p
}

// limit leaves room beside riffle's series for that of what does not fit, which riffle
// makes itself, and for the SDK's own.
func limit(s component.MetricsSettings) int { return max(sdkSeries, s.MaxSeries+2) }

// ForceFlush exports what was measured.
func (p *provider) ForceFlush(ctx context.Context) error {
	err := p.sdk.ForceFlush(ctx)
	if p.failure != nil {
		err = errors.Join(err, p.failure())
	}
	return err
}

// Shutdown exports what was measured, if it is the SDK that sends, and ends everything. A
// second call waits for the first and returns the same.
func (p *provider) Shutdown(ctx context.Context) error {
	p.once.Do(func() {
		if p.release != nil {
			p.err = p.release(ctx)
		}
		if p.apart { // the SDK would break off an export that is under way
			p.err = errors.Join(p.err, p.sdk.ForceFlush(ctx))
		}
		p.err = errors.Join(p.err, p.sdk.Shutdown(ctx))
		if p.failure != nil {
			p.err = errors.Join(p.err, p.failure())
		}
	})
	return p.err
}

// Interface guard.
var _ component.MeterProvider = (*provider)(nil)
