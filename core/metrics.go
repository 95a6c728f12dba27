package core

import (
	"context"
	"errors"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/record"
)

// scopeName is the instrumentation scope of riffle's own metrics.
const scopeName = "github.com/riffletrace/riffle"

// ExemplarFilter is an exemplar filter for the metrics SDK: it offers exemplars
// for every recorded span too, where the SDK's own offers them for sampled ones alone. A
// trace that is kept at its end is not sampled while it is measured. Exemplars
// of traces that are then not kept point to nothing; those of span_metrics do not, which
// measure spans that have ended.
func ExemplarFilter(ctx context.Context) bool {
	s := trace.SpanFromContext(ctx)
	return s.IsRecording() || s.SpanContext().IsSampled()
}

// measured is what the metrics of a provider tell: what its recorder counts and, when
// that has shut down, what it had counted at the end.
type measured struct {
	mu       sync.Mutex
	provider *Provider // nil when it has shut down
	stats    record.Stats
	reloads  ReloadStats
}

func (m *measured) read() (s record.Stats, r ReloadStats, live bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.provider == nil {
		return m.stats, m.reloads, false
	}
	return m.provider.recorder.Stats(), m.provider.reloads.now(), true
}

// end keeps what was counted, for whoever collects later.
func (m *measured) end() {
	s, r, _ := m.read()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats, m.reloads, m.provider = s, r, nil
}

// registerMetrics registers the metrics of segments and of the samplers. They are
// read when the metrics SDK collects; spans pay nothing for them.
func (p *Provider) registerMetrics(provider metric.MeterProvider) (*measured, error) {
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
	started := counter("riffle.segments.started", "{segment}", "Local roots that started, by what became of them at once.")
	unweighed := counter("riffle.parents.unweighed", "{segment}", "Local roots below a sampled remote parent that does not say how many traces it stands for, by reason.")
	unrecorded := counter("riffle.segments.unrecorded", "{segment}", "Local roots that were not recorded for lack of memory, from the start or to their end.")
	kept := counter("riffle.segments.kept", "{segment}", "Segments of which spans were kept, by the sampler that answered with the least threshold.")
	notKept := counter("riffle.segments.not_kept", "{segment}", "Segments of which recorded spans were not kept, by reason.")
	early := counter("riffle.segments.decided_early", "{event}", "Decisions about segments that were not complete, by reason.")
	spans := counter("riffle.spans.ended", "{span}", "Recorded spans that were decided, by what became of them.")
	suspensions := counter("riffle.samplers.suspensions", "{event}", "Times a sampler was suspended because it panicked or was slow.")
	cut := counter("riffle.samplers.cut", "{segment}", "Segments that a sampler's limit kept from being kept, because clients chose their randomness.")
	asked := counter("riffle.samplers.asked", "{question}", "What a sampler was asked, by the stage.")
	answered := counter("riffle.samplers.answered", "{answer}", "What a sampler answered that did not abstain.")
	ruleAnswered := counter("riffle.rules.answered", "{answer}", "Answers of a sampler, by the rule that gave them.")
	ruleKept := counter("riffle.rules.kept", "{segment}", "Segments that a sampler has kept, by the rule.")
	reloads := counter("riffle.reloads", "{event}", "Reloads of the configuration, by what came of them.")
	held := gauge("riffle.segments.size", "By", "What segments, and what is remembered between them, hold.")
	open := gauge("riffle.segments.open", "{segment}", "Segments of which a span is open or waits.")
	waiting := gauge("riffle.segments.waiting", "{segment}", "Segments, or parts of them, that wait for answers of segment samplers.")
	remembered := gauge("riffle.traces.remembered", "{trace}", "Traces for which a sampler's answer is remembered.")
	probability, err := m.Float64ObservableGauge("riffle.segments.probability", metric.WithUnit("1"), metric.WithDescription("1, or less while memory is short."))
	all, errs = append(all, probability), append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	by := func(key, value string) metric.ObserveOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String(key, value)))
	}
	const outcome, reason, sampler = "riffle.outcome", "riffle.reason", "riffle.sampler"
	of := func(name, key, value string) metric.ObserveOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String(sampler, name), attribute.String(key, value)))
	}
	source := &measured{provider: p}
	// It stays registered, so that what Shutdown counts is exported too.
	_, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s, r, live := source.read()
		o.ObserveInt64(started, int64(s.Dropped), by(outcome, "dropped"))
		o.ObserveInt64(started, int64(s.Started-s.NoRoom), by(outcome, "recorded"))
		o.ObserveInt64(started, int64(s.NoRoom), by(outcome, "no_room"))
		o.ObserveInt64(unrecorded, int64(s.Unrecorded))
		o.ObserveInt64(unweighed, int64(s.NoThreshold), by(reason, "no_threshold"))
		o.ObserveInt64(unweighed, int64(s.ImpossibleThreshold), by(reason, "impossible_threshold"))
		o.ObserveInt64(reloads, int64(r.Succeeded), by(outcome, "succeeded"))
		o.ObserveInt64(reloads, int64(r.Failed), by(outcome, "failed"))
		for name, n := range s.Suspensions {
			o.ObserveInt64(suspensions, int64(n), by(sampler, name))
		}
		for name, n := range s.Cut {
			o.ObserveInt64(cut, int64(n), by(sampler, name))
		}
		for name := range s.Asks {
			a := s.Asks[name]
			for stage, n := range map[string]uint64{"start": a.Starts, "end": a.Ends, "segment": a.Segments} {
				if n > 0 {
					o.ObserveInt64(asked, int64(n), of(name, "riffle.stage", stage))
				}
			}
			for answer, n := range map[string]uint64{"threshold": a.Thresholds, "drop": a.Drops, "at_most": a.AtMost, "by_parent": a.ByParent} {
				if n > 0 {
					o.ObserveInt64(answered, int64(n), of(name, "riffle.answer", answer))
				}
			}
			for rule, c := range a.Rules {
				o.ObserveInt64(ruleAnswered, int64(c.Answered), of(name, "riffle.rule", rule))
				o.ObserveInt64(ruleKept, int64(c.Kept), of(name, "riffle.rule", rule))
			}
		}
		for name, n := range s.Kept {
			o.ObserveInt64(kept, int64(n), by(sampler, name))
		}
		o.ObserveInt64(notKept, int64(s.NotKept-s.UnderPressure-s.Discarded-s.OverBudget), by(reason, "not_selected"))
		o.ObserveInt64(notKept, int64(s.OverBudget), by(reason, "over_budget"))
		o.ObserveInt64(notKept, int64(s.UnderPressure-s.TooLarge), by(reason, "no_room"))
		o.ObserveInt64(notKept, int64(s.TooLarge), by(reason, "too_large"))
		o.ObserveInt64(notKept, int64(s.Discarded), by(reason, "discarded"))
		o.ObserveInt64(early, int64(s.Overdue), by(reason, "overdue"))
		o.ObserveInt64(early, int64(s.Thinned), by(reason, "too_large"))
		o.ObserveInt64(early, int64(s.Crowded), by(reason, "no_room"))
		o.ObserveInt64(spans, int64(s.SpansKept), by(outcome, "kept"))
		o.ObserveInt64(spans, int64(s.SpansNotKept), by(outcome, "not_kept"))
		if !live {
			return nil
		}
		o.ObserveInt64(held, s.HeldBytes)
		o.ObserveInt64(open, int64(s.Open))
		o.ObserveInt64(waiting, int64(s.Waiting))
		o.ObserveInt64(remembered, int64(s.Remembered))
		o.ObserveFloat64(probability, s.Probability)
		return nil
	}, all...)
	if err != nil {
		return nil, err
	}
	return source, nil
}
