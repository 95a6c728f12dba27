package delivery

import (
	"context"
	"errors"
	"net"
	"reflect"
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

// meters are what all lines measure of themselves with one meter provider. What Stats
// counts is read when metrics are collected, so that it costs nothing else.
type meters struct {
	provider metric.MeterProvider

	duration                                                metric.Float64Histogram
	exported, inflight, processed, waiting, retries, splits metric.Int64Observable
	bytes, capacity                                         metric.Int64Observable
	oldest                                                  metric.Float64Observable

	mu    sync.Mutex
	lines []*metrics // that have not ended
	// ended has the figures of those that have, by their attributes: a line that takes
	// the place of another of the same name goes on with its counts.
	ended map[attribute.Distinct]*figures
	order []*figures // of ended
}

// figures are what is observed under the same attributes.
type figures struct {
	*metrics
	Stats
	room int64
	live bool
}

// maxEnded bounds of how many names and endpoints the counts are observed when no line
// has them any more.
const maxEnded = 1000

// metrics are what a line measures of itself.
type metrics struct {
	meters    *meters
	line      *Line
	key       attribute.Distinct
	succeeded metric.MeasurementOption
	rejected  metric.MeasurementOption
	lost      [causes]metric.MeasurementOption
	failed    [outcomes]metric.MeasurementOption // by outcome
}

// newMetrics begins to measure a line.
func (f *Lines) newMetrics(l *Line, s Settings) *metrics {
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
	set := attribute.NewSet(attrs...)
	m := &metrics{
		line: l, key: set.Equivalent(), succeeded: with(""), rejected: with("rejected"),
		failed: [...]metric.MeasurementOption{Refused: with("refused"), Invalid: with("invalid"), Retry: with("retry"), TooLarge: with("too_large")},
	}
	for c := range causes {
		m.lost[c] = with(c.String())
	}
	m.meters = f.metersOf(s.MeterProvider)
	m.meters.mu.Lock()
	defer m.meters.mu.Unlock()
	m.meters.lines = append(m.meters.lines, m)
	return m
}

// metersOf are those of a meter provider.
func (f *Lines) metersOf(p metric.MeterProvider) *meters {
	for _, m := range f.meters {
		if reflect.TypeOf(p).Comparable() && p == m.provider {
			return m
		}
	}
	m := &meters{provider: p, ended: map[attribute.Distinct]*figures{}}
	if err := m.register(p.Meter(scopeName)); err != nil {
		otel.Handle(err)
		m.duration = noop.Float64Histogram{}
	}
	f.meters = append(f.meters, m)
	return m
}

func (m *meters) register(meter metric.Meter) error {
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
	m.bytes, err = meter.Int64ObservableGauge("riffle.exporter.queue.size", metric.WithUnit("By"), metric.WithDescription("What the queue of the exporter holds."))
	check(err)
	m.capacity, err = meter.Int64ObservableGauge("riffle.exporter.queue.capacity", metric.WithUnit("By"), metric.WithDescription("What the queue of the exporter can hold."))
	check(err)
	m.oldest, err = meter.Float64ObservableGauge("riffle.exporter.queue.oldest", metric.WithUnit("s"), metric.WithDescription("How long the first span that waits has waited."))
	check(err)
	m.retries, err = meter.Int64ObservableCounter("riffle.exporter.retries", metric.WithUnit("{batch}"), metric.WithDescription("Attempts that failed and will be repeated."))
	check(err)
	m.splits, err = meter.Int64ObservableCounter("riffle.exporter.splits", metric.WithUnit("{batch}"), metric.WithDescription("Batches that went on in pieces."))
	check(err)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	m.duration, m.exported, m.inflight, m.processed, m.waiting = duration.Inst(), exported.Inst(), inflight.Inst(), processed.Inst(), waiting.Inst()
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, f := range m.collect() {
			m.observe(o, f)
		}
		return nil
	}, m.exported, m.inflight, m.processed, m.waiting, m.bytes, m.capacity, m.oldest, m.retries, m.splits)
	return err
}

// collect returns what all lines have counted, each attributes once.
func (m *meters) collect() []*figures {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]*figures, 0, len(m.order)+len(m.lines))
	of := make(map[attribute.Distinct]*figures, cap(all))
	add := func(f figures) {
		if same := of[f.key]; same != nil {
			same.Add(f.Stats)
			same.room, same.live = same.room+f.room, same.live || f.live
			return
		}
		of[f.key] = &f
		all = append(all, &f)
	}
	for _, f := range m.order {
		add(*f)
	}
	for _, l := range m.lines {
		add(figures{metrics: l, Stats: l.line.Stats(), room: int64(l.line.config.Queue.maxBytes()), live: true})
	}
	return all
}

func (m *meters) observe(o metric.Observer, f *figures) {
	observe := func(i metric.Int64Observable, n uint64, with metric.MeasurementOption) {
		o.ObserveInt64(i, int64(n), with)
	}
	s := &f.Stats
	observe(m.exported, s.Sent, f.succeeded)
	observe(m.exported, s.Rejected, f.rejected)
	for c, n := range [causes]uint64{
		tooLarge: s.Dropped.TooLarge, refused: s.Dropped.Refused, poisoned: s.Dropped.Poisoned,
		expired: s.Dropped.Expired, leftBehind: s.Dropped.LeftBehind,
		tooOld: s.Dropped.TooOld, damaged: s.Dropped.Damaged, tooNew: s.Dropped.TooNew,
	} {
		if cause(c) != queueFull {
			observe(m.exported, n, f.lost[c])
		}
	}
	observe(m.processed, s.HandedOver-s.Waiting-s.Dropped.QueueFull, f.succeeded)
	observe(m.processed, s.Dropped.QueueFull, f.lost[queueFull])
	observe(m.retries, s.Retried, f.succeeded)
	observe(m.splits, s.Split, f.succeeded)
	if !f.live {
		return
	}
	observe(m.inflight, s.Sending, f.succeeded)
	observe(m.waiting, s.Waiting-min(s.Waiting, s.Sending), f.succeeded)
	o.ObserveInt64(m.bytes, s.Bytes, f.succeeded)
	o.ObserveInt64(m.capacity, f.room, f.succeeded)
	o.ObserveFloat64(m.oldest, s.Oldest.Seconds(), f.succeeded)
}

// attempted records one attempt.
func (m *metrics) attempted(took time.Duration, f *ExportError) {
	with := m.succeeded
	if f != nil {
		with = m.failed[min(max(f.Outcome, 0), outcomes-1)]
	}
	m.meters.duration.Record(context.Background(), took.Seconds(), with)
}

// end keeps what the line has counted, and no more of it. It comes when nothing changes
// any more.
func (m *metrics) end() {
	all := m.meters
	all.mu.Lock()
	defer all.mu.Unlock()
	all.lines = slices.DeleteFunc(all.lines, func(o *metrics) bool { return o == m })
	s := m.line.Stats().Ended()
	m.line = nil
	if f := all.ended[m.key]; f != nil {
		f.Add(s)
	} else if len(all.order) < maxEnded {
		f = &figures{metrics: m, Stats: s}
		all.ended[m.key] = f
		all.order = append(all.order, f)
	}
}
