package observability

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// requestMetrics measure requests. Their attributes are those that the conventions ask
// for, and not what clients choose, as the server's address is.
//
// Source: https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#http-server
type requestMetrics struct {
	duration          metric.Float64Histogram
	received, written metric.Int64Histogram

	// series are the attributes that were made before, as an option.
	series      atomic.Pointer[map[requestSeries][]metric.RecordOption]
	seriesWrite sync.Mutex
}

// requestSeries is what requests have in common that are measured as one.
type requestSeries struct {
	method, scheme, protocol, version, route, failure string
	status                                            int // 0 if there was none
}

// maxRequestSeries bounds those that are remembered.
const maxRequestSeries = 2000

func newRequestMetrics(p metric.MeterProvider) *requestMetrics {
	meter := p.Meter(ScopeName)
	m := &requestMetrics{}
	var errs [3]error
	m.duration, errs[0] = meter.Float64Histogram("http.server.request.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of HTTP server requests."),
		metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	m.received, errs[1] = meter.Int64Histogram("http.server.request.body.size", metric.WithUnit("By"),
		metric.WithDescription("Size of HTTP server request bodies."))
	m.written, errs[2] = meter.Int64Histogram("http.server.response.body.size", metric.WithUnit("By"),
		metric.WithDescription("Size of HTTP server response bodies."))
	for _, err := range errs {
		if err != nil {
			otel.Handle(err)
		}
	}
	return m
}

// enabled tells whether anybody reads what is measured.
func (m *requestMetrics) enabled(ctx context.Context) bool {
	return m.duration.Enabled(ctx) || m.received.Enabled(ctx) || m.written.Enabled(ctx)
}

// measure measures a request that ended, or panicked with v.
func (m *requestMetrics) measure(e *exchange, v any) {
	if e.start.IsZero() {
		return
	}
	s := requestSeries{method: methodOf(e.inner.Method), route: route(e.inner.Pattern), status: int(e.response.status.Load())}
	s.scheme, _ = schemeOf(e.inner)
	s.protocol, s.version = protocolOf(e.inner.Proto)
	switch {
	case v != nil:
		s.failure = fmt.Sprintf("%T", v)
	case e.status() >= 500:
		s.status = e.status()
		s.failure = strconv.Itoa(s.status)
	default:
		s.status = e.status()
	}
	options, ctx := m.options(s), e.inner.Context()
	m.received.Record(ctx, e.body.read.Load(), options...)
	m.written.Record(ctx, e.response.written.Load(), options...)
	m.duration.Record(ctx, time.Since(e.start).Seconds(), options...)
}

// options are the attributes of a series.
func (m *requestMetrics) options(s requestSeries) []metric.RecordOption {
	if known := m.series.Load(); known != nil {
		if o, ok := (*known)[s]; ok {
			return o
		}
	}
	o := []metric.RecordOption{metric.WithAttributeSet(s.attributes())}
	m.seriesWrite.Lock()
	defer m.seriesWrite.Unlock()
	next := map[requestSeries][]metric.RecordOption{}
	if known := m.series.Load(); known != nil {
		if len(*known) >= maxRequestSeries {
			return o
		}
		maps.Copy(next, *known)
	}
	next[s] = o
	m.series.Store(&next)
	return o
}

func (s *requestSeries) attributes() attribute.Set {
	attrs := []attribute.KeyValue{attribute.String("http.request.method", s.method), attribute.String("url.scheme", s.scheme)}
	for key, value := range map[attribute.Key]string{
		"network.protocol.name": s.protocol, "network.protocol.version": s.version, "http.route": s.route, "error.type": s.failure,
	} {
		if value != "" {
			attrs = append(attrs, key.String(value))
		}
	}
	if s.status != 0 {
		attrs = append(attrs, attribute.Int("http.response.status_code", s.status))
	}
	return attribute.NewSet(attrs...)
}
