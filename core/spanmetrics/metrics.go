package spanmetrics

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/record"
)

// The names are those that the Collector's span metrics connector (v0.158) writes, and
// Jaeger's monitoring (1.76) reads.
const (
	Calls        = "traces.span.metrics.calls"
	Duration     = "traces.span.metrics.duration"
	HTTPDuration = "http.server.request.duration"

	serviceNameKey = semconv.ServiceNameKey
	spanNameKey    = attribute.Key("span.name")
	spanKindKey    = attribute.Key("span.kind")
	statusCodeKey  = attribute.Key("status.code")
	// overflowKey is OpenTelemetry's, of the series of what does not fit.
	overflowKey = attribute.Key("otel.metric.overflow")
)

// requestKeys are the attributes of [HTTPDuration], by the semantic conventions.
var requestKeys = [...]attribute.Key{
	semconv.HTTPRequestMethodKey, semconv.URLSchemeKey, semconv.ErrorTypeKey, semconv.HTTPResponseStatusCodeKey,
	semconv.HTTPRouteKey, semconv.NetworkProtocolNameKey, semconv.NetworkProtocolVersionKey,
}

// requestBuckets are the conventions' bounds, in seconds.
var requestBuckets = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}

// Metrics counts spans. Make it with [New]; it is safe for concurrent use.
type Metrics struct {
	dimensions []attribute.Key
	exemplars  bool
	spans      *table
	requests   *table // nil unless asked for
}

// series is what spans are counted in that have the same key.
type series struct {
	calls   atomic.Int64
	observe []metric.ObserveOption
	// record is how long a span took, in the metric's unit.
	record func(context.Context, float64)
}

// Binder is a histogram that finds a series once, for many measurements, as the Bind of
// OpenTelemetry's specification does (in development, November 2026). That of the metrics
// SDK (v1.47) is none: it finds the series for each.
type Binder interface {
	Bind(attribute.Set) func(context.Context, float64)
}

// bind returns what records into a series of a histogram.
func bind(h metric.Float64Histogram, set attribute.Set) func(context.Context, float64) {
	if b, ok := h.(Binder); ok {
		return b.Bind(set)
	}
	options := []metric.RecordOption{metric.WithAttributeSet(set)}
	return func(ctx context.Context, v float64) { h.Record(ctx, v, options...) }
}

// New makes the metrics that a config says, of a service with that resource, and
// registers them with a meter.
func New(c *Config, res *resource.Resource, m metric.Meter) (*Metrics, error) {
	full := c.WithDefaults()
	s := &Metrics{dimensions: c.dimensions(), exemplars: *full.Exemplars}
	calls, err := m.Int64ObservableCounter(Calls, metric.WithDescription("Spans that ended, kept or not."))
	errs := []error{err}
	durations, err := newHistogram(m, c, Duration, "ms", "How long spans took, kept or not.", full.buckets())
	errs = append(errs, err)
	s.spans = newTable(full.MaxSeries, s.valueOr(res), s.seriesOf(res, durations))
	if c.HTTPDurations {
		durations, err := newHistogram(m, c, HTTPDuration, "s", "Duration of HTTP server requests.", requestBuckets)
		errs = append(errs, err)
		s.requests = newTable(full.MaxSeries, requestValue, seriesOfRequests(durations))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	// It stays registered, so that what Shutdown counts is exported too.
	_, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s.spans.each(func(s *series) { o.ObserveInt64(calls, s.calls.Load(), s.observe...) })
		return nil
	}, calls)
	return s, err
}

func newHistogram(m metric.Meter, c *Config, name, unit, doc string, bounds []float64) (metric.Float64Histogram, error) {
	options := []metric.Float64HistogramOption{metric.WithUnit(unit), metric.WithDescription(doc)}
	if !c.Exponential {
		options = append(options, metric.WithExplicitBucketBoundaries(bounds...))
	}
	return m.Float64Histogram(name, options...)
}

func newSeries(durations metric.Float64Histogram, attrs ...attribute.KeyValue) *series {
	set := attribute.NewSet(attrs...)
	return &series{observe: []metric.ObserveOption{metric.WithAttributeSet(set)}, record: bind(durations, set)}
}

var overflow = overflowKey.Bool(true)

// valueOr returns what tells series apart of a value of a dimension: that of the resource
// if the span has none.
func (m *Metrics) valueOr(res *resource.Resource) func(int, attribute.Value) attribute.Value {
	others := make([]attribute.Value, len(m.dimensions))
	for i, d := range m.dimensions {
		v, _ := res.Set().Value(d)
		others[i] = textOf(i, v)
	}
	return func(i int, v attribute.Value) attribute.Value {
		if v = textOf(i, v); v.Type() == attribute.EMPTY {
			return others[i]
		}
		return v
	}
}

// seriesOf makes the series of the spans of a service.
func (m *Metrics) seriesOf(res *resource.Resource, durations metric.Float64Histogram) func(*key) *series {
	service := serviceNameKey.String("")
	if v, ok := res.Set().Value(serviceNameKey); ok {
		service.Value = v
	}
	return func(k *key) *series {
		if k == nil {
			return newSeries(durations, overflow)
		}
		attrs := []attribute.KeyValue{
			service,
			spanNameKey.String(k.name),
			spanKindKey.String(kinds[k.kind]),
			statusCodeKey.String(statuses[k.status]),
		}
		for i, v := range k.values {
			attrs = appendValue(attrs, m.dimensions[i], v)
		}
		return newSeries(durations, attrs...)
	}
}

func seriesOfRequests(durations metric.Float64Histogram) func(*key) *series {
	return func(k *key) *series {
		if k == nil {
			return newSeries(durations, overflow)
		}
		var attrs []attribute.KeyValue
		for i, v := range k.values {
			attrs = appendValue(attrs, requestKeys[i], v)
		}
		return newSeries(durations, attrs...)
	}
}

// appendValue appends an attribute, if there is one.
func appendValue(attrs []attribute.KeyValue, key attribute.Key, v attribute.Value) []attribute.KeyValue {
	if v.Type() == attribute.EMPTY {
		return attrs
	}
	return append(attrs, attribute.KeyValue{Key: key, Value: v})
}

// requestValue is a value of [requestKeys], if it is of the type that the conventions say.
func requestValue(i int, v attribute.Value) attribute.Value {
	if requestKeys[i] != semconv.HTTPResponseStatusCodeKey {
		return textOf(i, v)
	}
	if v.Type() != attribute.INT64 {
		return attribute.Value{}
	}
	return v
}

// kinds are the names of OTLP, by [trace.SpanKind].
var kinds = [...]string{
	trace.SpanKindUnspecified: "SPAN_KIND_UNSPECIFIED",
	trace.SpanKindInternal:    "SPAN_KIND_INTERNAL",
	trace.SpanKindServer:      "SPAN_KIND_SERVER",
	trace.SpanKindClient:      "SPAN_KIND_CLIENT",
	trace.SpanKindProducer:    "SPAN_KIND_PRODUCER",
	trace.SpanKindConsumer:    "SPAN_KIND_CONSUMER",
}

// statuses are the names of OTLP, by [codes.Code]. Others have none, and count as unset.
var statuses = [...]string{codes.Unset: "STATUS_CODE_UNSET", codes.Error: "STATUS_CODE_ERROR", codes.Ok: "STATUS_CODE_OK"}

// Measure counts a span. If ctx is that of a sampled span, and exemplars are asked for,
// the measurement points to it.
func (m *Metrics) Measure(ctx context.Context, s record.Measured) {
	if !m.exemplars {
		ctx = context.Background()
	}
	took := max(0, s.Duration())
	if len(m.dimensions) == 0 {
		m.measure(ctx, s, nil, took)
	} else {
		m.measureDimensions(ctx, s, took)
	}
	if m.requests != nil && s.Kind() == trace.SpanKindServer {
		m.measureRequest(ctx, s, took)
	}
}

// measureDimensions is apart, so that who has none makes no room for them, which is cleared
// for each span.
//
//go:noinline
func (m *Metrics) measureDimensions(ctx context.Context, s record.Measured, took time.Duration) {
	var room [maxDimensions]attribute.Value
	m.measure(ctx, s, s.AppendValues(room[:0], m.dimensions), took)
}

func (m *Metrics) measure(ctx context.Context, s record.Measured, values []attribute.Value, took time.Duration) {
	k := key{name: s.Name(), kind: uint8(s.Kind()), status: uint8(s.Status()), values: values}
	if int(k.status) >= len(statuses) {
		k.status = uint8(codes.Unset)
	}
	hash := m.spans.hash(&k)
	found := m.spans.lookup(hash, &k)
	if found == nil {
		found = m.spans.findShape(hash, &k, isRoute(s))
	}
	found.calls.Add(1)
	found.record(ctx, milliseconds(took))
}

//go:noinline
func (m *Metrics) measureRequest(ctx context.Context, s record.Measured, took time.Duration) {
	var room [len(requestKeys)]attribute.Value
	k := key{values: s.AppendValues(room[:0], requestKeys[:])}
	if k.values[0].Type() != attribute.EMPTY {
		m.requests.find(&k).record(ctx, took.Seconds())
	}
}

// isRoute reports whether a span is named after its route, behind its method, as the
// semantic conventions have it: then the name is one of few.
func isRoute(s record.Measured) bool {
	var room [1]attribute.Value
	route := s.AppendValues(room[:0], routeKeys)[0].AsString()
	before, ok := strings.CutSuffix(s.Name(), route)
	return ok && route != "" && (before == "" || before[len(before)-1] == ' ')
}

var routeKeys = []attribute.Key{semconv.HTTPRouteKey}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
