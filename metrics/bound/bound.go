// Package bound has histograms of which a series is found once, for all of its
// measurements, as the Bind of OpenTelemetry's specification does (in development,
// November 2026). The metrics SDK (v1.47) has none: it finds the series anew for each
// measurement, which takes longer than the measurement.
//
// What is bound is measured here and read by a reader of the SDK as what a
// [sdkmetric.Producer] produces: explicit buckets, cumulative, without extremes. Everything
// else, also of the same meter, is the SDK's. No view changes what is bound. An instrument
// that is measured both ways is two metrics of one name: bind all of its series, or none.
//
// riffle's span_metrics bind. A service with a MeterProvider of its own has the benefit of
// it so:
//
//	producer := &bound.Producer{}
//	reader := sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithProducer(producer))
//	meters := producer.MeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
package bound

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"
)

// Producer produces what is bound. The zero value is ready; it is safe for concurrent use.
type Producer struct {
	mu         sync.Mutex
	histograms []*Histogram
}

// MeterProvider returns one that is of, with histograms that bind. Give the producer to
// the readers of that, by [sdkmetric.WithProducer]: what is bound is read by those alone.
func (p *Producer) MeterProvider(of metric.MeterProvider) metric.MeterProvider {
	return &provider{MeterProvider: of, producer: p}
}

type provider struct {
	metric.MeterProvider
	producer *Producer
}

// Meter returns the meter of a scope.
func (p *provider) Meter(name string, options ...metric.MeterOption) metric.Meter {
	c := metric.NewMeterConfig(options...)
	return &meter{Meter: p.MeterProvider.Meter(name, options...), producer: p.producer, scope: instrumentation.Scope{
		Name: name, Version: c.InstrumentationVersion(), SchemaURL: c.SchemaURL(), Attributes: c.InstrumentationAttributes(),
	}}
}

// Produce returns what was measured since the start.
func (p *Producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	p.mu.Lock()
	histograms := slices.Clone(p.histograms)
	p.mu.Unlock()
	var all []metricdata.ScopeMetrics
	now := time.Now()
	for _, h := range histograms {
		data, ok := h.read(now)
		if !ok {
			continue
		}
		i := slices.IndexFunc(all, func(s metricdata.ScopeMetrics) bool { return s.Scope == h.scope })
		if i < 0 {
			i = len(all)
			all = append(all, metricdata.ScopeMetrics{Scope: h.scope})
		}
		all[i].Metrics = append(all[i].Metrics, data)
	}
	return all, nil
}

type meter struct {
	metric.Meter
	producer *Producer
	scope    instrumentation.Scope
}

// Float64Histogram makes a histogram that binds, if its buckets are given.
func (m *meter) Float64Histogram(name string, options ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	h, err := m.Meter.Float64Histogram(name, options...)
	c := metric.NewFloat64HistogramConfig(options...)
	if err != nil || len(c.ExplicitBucketBoundaries()) == 0 {
		return h, err
	}
	p := m.producer
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.histograms, func(o *Histogram) bool { return o.scope == m.scope && o.name == name })
	if i < 0 {
		i = len(p.histograms)
		p.histograms = append(p.histograms, &Histogram{
			Float64Histogram: h, scope: m.scope, name: name, unit: c.Unit(), description: c.Description(),
			bounds: slices.Clone(c.ExplicitBucketBoundaries()), start: time.Now(),
			bySet: map[attribute.Distinct]*series{},
		})
	}
	return p.histograms[i], nil
}

// Histogram is one of the SDK's that also binds.
type Histogram struct {
	metric.Float64Histogram
	scope                   instrumentation.Scope
	name, unit, description string
	bounds                  []float64
	start                   time.Time

	mu     sync.Mutex
	series []*series
	bySet  map[attribute.Distinct]*series
}

// Bind returns what measures with these attributes. What measures allocates nothing but,
// once, room for exemplars, and waits for nobody but others with an exemplar for the series, and who reads those.
func (h *Histogram) Bind(set attribute.Set) func(context.Context, float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.bySet[set.Equivalent()]; s != nil {
		return s.record
	}
	s := &series{attributes: set, bounds: h.bounds, counts: make([]atomic.Uint64, len(h.bounds)+1)}
	h.series = append(h.series, s)
	h.bySet[set.Equivalent()] = s
	return s.record
}

// read returns what was measured, if anything was.
func (h *Histogram) read(now time.Time) (metricdata.Metrics, bool) {
	h.mu.Lock()
	all := slices.Clone(h.series)
	h.mu.Unlock()
	data := metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality}
	for _, s := range all {
		if p := s.read(); p.Count > 0 {
			p.StartTime, p.Time, p.Bounds = h.start, now, slices.Clone(h.bounds)
			data.DataPoints = append(data.DataPoints, p)
		}
	}
	return metricdata.Metrics{Name: h.name, Description: h.description, Unit: h.unit, Data: data}, len(data.DataPoints) > 0
}

// series is what was measured with the same attributes. Its sum may be read without a
// measurement that its counts have, or the other way round: one for each goroutine that
// measures meanwhile.
type series struct {
	attributes attribute.Set
	bounds     []float64
	counts     []atomic.Uint64
	sum        atomic.Uint64 // the bits of a float64

	mu        sync.Mutex
	exemplars []exemplar // nil, or the last of each bucket; it stays, as counts do, for each who reads
}

type exemplar struct {
	value float64
	time  time.Time // zero if there is none
	span  trace.SpanID
	trace trace.TraceID
}

func (s *series) record(ctx context.Context, v float64) {
	i := 0
	for i < len(s.bounds) && s.bounds[i] < v { // most are in the first ones
		i++
	}
	s.counts[i].Add(1)
	for {
		old := s.sum.Load()
		if s.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			break
		}
	}
	if of := trace.SpanContextFromContext(ctx); of.IsSampled() {
		s.mu.Lock()
		if s.exemplars == nil {
			s.exemplars = make([]exemplar, len(s.counts))
		}
		s.exemplars[i] = exemplar{v, time.Now(), of.SpanID(), of.TraceID()}
		s.mu.Unlock()
	}
}

func (s *series) read() metricdata.HistogramDataPoint[float64] {
	p := metricdata.HistogramDataPoint[float64]{Attributes: s.attributes, BucketCounts: make([]uint64, len(s.counts))}
	for i := range s.counts {
		p.BucketCounts[i] = s.counts[i].Load()
		p.Count += p.BucketCounts[i]
	}
	p.Sum = math.Float64frombits(s.sum.Load())
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.exemplars {
		if !e.time.IsZero() {
			p.Exemplars = append(p.Exemplars, metricdata.Exemplar[float64]{Time: e.time, Value: e.value, SpanID: e.span[:], TraceID: e.trace[:]})
		}
	}
	return p
}

// Interface guard.
var _ sdkmetric.Producer = (*Producer)(nil)
