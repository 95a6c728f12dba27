package delivery

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/otelconv"
)

const scopeName = "github.com/riffletrace/riffle/core/delivery"

// metrics are what a line measures of itself. What Stats counts is read when
// metrics are collected, so that it costs nothing else.
type metrics struct {
	// line is nil when the line has ended. Its last figures stay, for whoever collects
	// later: an observation of two lines, one after the other, is their sum.
	mu        sync.Mutex
	line      *Line
	last      Stats
	duration  metric.Float64Histogram
	succeeded metric.MeasurementOption
	failed    [outcomes]metric.MeasurementOption // by outcome
}

func newMetrics(l *Line, s Settings) *metrics {
	attrs := []attribute.KeyValue{semconv.OTelComponentName(s.Name), semconv.OTelComponentTypeKey.String(s.Type)}
	if host, port, err := net.SplitHostPort(l.traits.Endpoint); err == nil {
		attrs = append(attrs, semconv.ServerAddress(host))
		if n, err := strconv.Atoi(port); err == nil {
			attrs = append(attrs, semconv.ServerPort(n))
		}
	}
	with := func(cause string) metric.MeasurementOption {
		set := attrs
		if cause != "" {
			set = append(slices.Clip(attrs), semconv.ErrorTypeKey.String(cause))
		}
		return metric.WithAttributeSet(attribute.NewSet(set...))
	}
	m := &metrics{
		line: l, succeeded: with(""),
		failed: [...]metric.MeasurementOption{Refused: with("refused"), Invalid: with("invalid"), Retry: with("retry"), TooLarge: with("too_large")},
	}
	if err := m.register(l, s.MeterProvider.Meter(scopeName), with); err != nil {
		otel.Handle(err)
		m.duration = noop.Float64Histogram{}
	}
	return m
}

func (m *metrics) register(l *Line, meter metric.Meter, with func(cause string) metric.MeasurementOption) error {
	var errs []error
	check := func(err error) { errs = append(errs, err) }
	duration, err := otelconv.NewSDKExporterOperationDuration(meter)
	check(err)
	exported, err := otelconv.NewSDKExporterSpanExportedObservable(meter)
	check(err)
	inflight, err := otelconv.NewSDKExporterSpanInflightObservable(meter)
	check(err)
	processed, err := otelconv.NewSDKProcessorSpanProcessedObservable(meter)
	check(err)
	waiting, err := otelconv.NewSDKProcessorSpanQueueSize(meter)
	check(err)
	bytes, err := meter.Int64ObservableGauge("riffle.exporter.queue.size", metric.WithUnit("By"), metric.WithDescription("What the queue of the exporter holds."))
	check(err)
	capacity, err := meter.Int64ObservableGauge("riffle.exporter.queue.capacity", metric.WithUnit("By"), metric.WithDescription("What the queue of the exporter can hold."))
	check(err)
	oldest, err := meter.Float64ObservableGauge("riffle.exporter.queue.oldest", metric.WithUnit("s"), metric.WithDescription("How long the first span that waits has waited."))
	check(err)
	retried, err := meter.Int64ObservableCounter("riffle.exporter.retries", metric.WithUnit("{batch}"), metric.WithDescription("Attempts that failed and will be repeated."))
	check(err)
	split, err := meter.Int64ObservableCounter("riffle.exporter.splits", metric.WithUnit("{batch}"), metric.WithDescription("Batches that went on in pieces."))
	check(err)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	m.duration = duration.Inst()

	room := int64(l.config.Queue.maxBytes())
	rejected := with("rejected")
	var lost [causes]metric.MeasurementOption
	for c := range causes {
		lost[c] = with(c.String())
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s, live := m.stats()
		observe := func(i metric.Int64Observable, n uint64, with metric.MeasurementOption) {
			o.ObserveInt64(i, int64(n), with)
		}
		observe(exported.Inst(), s.Sent, m.succeeded)
		observe(exported.Inst(), s.Rejected, rejected)
		for c, n := range [causes]uint64{
			tooLarge: s.Dropped.TooLarge, refused: s.Dropped.Refused, poisoned: s.Dropped.Poisoned,
			expired: s.Dropped.Expired, leftBehind: s.Dropped.LeftBehind,
			tooOld: s.Dropped.TooOld, damaged: s.Dropped.Damaged, tooNew: s.Dropped.TooNew,
		} {
			if cause(c) != queueFull {
				observe(exported.Inst(), n, lost[c])
			}
		}
		observe(processed.Inst(), s.HandedOver-s.Waiting-s.Dropped.QueueFull, m.succeeded)
		observe(processed.Inst(), s.Dropped.QueueFull, lost[queueFull])
		observe(retried, s.Retried, m.succeeded)
		observe(split, s.Split, m.succeeded)
		if !live {
			return nil
		}
		observe(inflight.Inst(), s.Sending, m.succeeded)
		observe(waiting.Inst(), s.Waiting-min(s.Waiting, s.Sending), m.succeeded)
		o.ObserveInt64(bytes, s.Bytes, m.succeeded)
		o.ObserveInt64(capacity, room, m.succeeded)
		o.ObserveFloat64(oldest, s.Oldest.Seconds(), m.succeeded)
		return nil
	}, exported.Inst(), inflight.Inst(), processed.Inst(), waiting.Inst(), bytes, capacity, oldest, retried, split)
	return err
}

// attempted records one attempt.
func (m *metrics) attempted(took time.Duration, f *ExportError) {
	with := m.succeeded
	if f != nil {
		with = m.failed[min(max(f.Outcome, 0), outcomes-1)]
	}
	m.duration.Record(context.Background(), took.Seconds(), with)
}

func (m *metrics) stats() (s Stats, live bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.line == nil {
		return m.last, false
	}
	return m.line.Stats(), true
}

// end keeps what the line has counted. It comes when nothing changes any more.
func (m *metrics) end() {
	s, _ := m.stats()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last, m.line = s, nil
}
