package core

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// scopeName is the instrumentation scope of riffle's own metrics.
const scopeName = "github.com/riffletrace/riffle"

// ExemplarFilter is an exemplar filter for the metrics SDK: it offers exemplars
// for every recorded span, where the SDK's own offers them for sampled ones. A
// trace that is kept at its end is not sampled while it is measured. Exemplars
// of traces that are then not kept point to nothing.
func ExemplarFilter(ctx context.Context) bool {
	return trace.SpanFromContext(ctx).IsRecording()
}

// registerMetrics registers the metrics of what waits and of the samplers. They are
// read when the metrics SDK collects; spans pay nothing for them.
func (pl *pipeline) registerMetrics(provider metric.MeterProvider) (unregister func() error, err error) {
	m := provider.Meter(scopeName)
	var all []metric.Observable
	var errs []error
	counter := func(name, unit, doc string) metric.Int64Observable {
		c, err := m.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(doc))
		all, errs = append(all, c), append(errs, err)
		return c
	}
	gauge := func(name, unit, doc string) metric.Int64Observable {
		g, err := m.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(doc))
		all, errs = append(all, g), append(errs, err)
		return g
	}
	started := counter("riffle.traces.started", "{trace}", "Local roots that started, by what became of them at once.")
	kept := counter("riffle.traces.kept", "{trace}", "Traces kept, by the sampler that answered with the least threshold.")
	notKept := counter("riffle.traces.not_kept", "{trace}", "Traces recorded and not kept, by reason.")
	early := counter("riffle.traces.decided_early", "{trace}", "Traces decided before they were complete, by reason.")
	spans := counter("riffle.spans.ended", "{span}", "Recorded spans that ended, by what became of them.")
	late := counter("riffle.spans.late", "{span}", "Spans that ended after their trace was decided.")
	suspensions := counter("riffle.samplers.suspensions", "{event}", "Times a sampler was suspended because it panicked or was slow.")
	held := gauge("riffle.buffer.size", "By", "What the traces that wait hold.")
	traces := gauge("riffle.buffer.traces", "{trace}", "Traces that wait, undecided or remembered.")
	probability, err := m.Float64ObservableGauge("riffle.buffer.probability", metric.WithUnit("1"), metric.WithDescription("1, or less when memory is short."))
	all, errs = append(all, probability), append(errs, err)
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	by := func(key, value string) metric.ObserveOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String(key, value)))
	}
	const outcome, reason, sampler = "riffle.outcome", "riffle.reason", "riffle.sampler"
	r, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		starts, dropped := pl.start.counted()
		o.ObserveInt64(started, int64(dropped), by(outcome, "dropped"))
		for _, g := range pl.samplers.guards {
			o.ObserveInt64(suspensions, int64(g.switched.Load()), by(sampler, g.name))
		}
		if pl.buffer == nil {
			o.ObserveInt64(started, int64(starts), by(outcome, "decided"))
			return nil
		}
		s := pl.buffer.stats()
		o.ObserveInt64(started, int64(starts-s.NotRecorded), by(outcome, "recorded"))
		o.ObserveInt64(started, int64(s.NotRecorded), by(outcome, "no_room"))
		for name, n := range s.Kept {
			o.ObserveInt64(kept, int64(n), by(sampler, name))
		}
		o.ObserveInt64(notKept, int64(s.Forgotten-s.UnderPressure-s.Discarded), by(reason, "not_selected"))
		o.ObserveInt64(notKept, int64(s.UnderPressure), by(reason, "no_room"))
		o.ObserveInt64(notKept, int64(s.Discarded), by(reason, "discarded"))
		o.ObserveInt64(early, int64(s.Overdue), by(reason, "overdue"))
		o.ObserveInt64(early, int64(s.TooLarge), by(reason, "too_large"))
		o.ObserveInt64(spans, int64(s.SpansKept), by(outcome, "kept"))
		o.ObserveInt64(spans, int64(s.SpansForgotten), by(outcome, "forgotten"))
		o.ObserveInt64(late, int64(s.LateSpans))
		o.ObserveInt64(held, s.HeldBytes)
		o.ObserveInt64(traces, int64(s.Undecided), by("riffle.state", "undecided"))
		o.ObserveInt64(traces, int64(s.Remembered), by("riffle.state", "remembered"))
		o.ObserveFloat64(probability, s.Probability)
		return nil
	}, all...)
	if err != nil {
		return nil, err
	}
	return r.Unregister, nil
}
