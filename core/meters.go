package core

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/spanmetrics"
)

// MetricsEntry is the metrics section: what starts a MeterProvider.
type MetricsEntry struct {
	component.Plan[component.MeterProvider]
}

// UseMetrics returns an entry made in Go; see [component.Use].
func UseMetrics[C any](f component.Factory[component.MeterProvider], c C) *MetricsEntry {
	return &MetricsEntry{Plan: component.Use(f, "", c)}
}

var (
	errMetersTwice    = errors.New("the application gives a MeterProvider itself: leave this section out, or core.MeterProvider")
	errMetricsChanged = errors.New("a reload does not change it: restart the process")
)

// same reports whether two entries, of which any may be nil, start the same.
func (e *MetricsEntry) same(other *MetricsEntry) bool {
	if e == nil || other == nil {
		return e == other
	}
	return e.Same(other.Plan)
}

// metered is what a MeterProvider must know of a spec, but for its resource.
func (s *Spec) metered() component.MetricsSettings {
	m := component.MetricsSettings{MaxSeries: spanmetrics.DefaultMaxSeries}
	if s.SpanMetrics != nil {
		m.MaxSeries, m.Exponential = cmp.Or(s.SpanMetrics.MaxSeries, m.MaxSeries), s.SpanMetrics.Exponential
	}
	return m
}

// checkMeters finds what a reload cannot do, because it would need another MeterProvider
// than the metrics section has started.
func (p *Provider) checkMeters(spec *Spec) error {
	errs := mistakes{source: spec.Source}
	if !p.metrics.same(spec.Metrics) {
		errs.add("metrics", errMetricsChanged)
	}
	if next := spec.metered(); p.meters != nil && spec.SpanMetrics != nil {
		if next.Exponential && !p.metered.Exponential {
			errs.add("span_metrics.exponential", errMetricsChanged)
		}
		if next.MaxSeries > max(p.metered.MaxSeries, spanmetrics.DefaultMaxSeries) {
			errs.add("span_metrics.max_series", errors.New("a reload does not raise it: restart the process"))
		}
	}
	return errs.sorted()
}

// startMeters starts what the metrics section says, and makes it what the provider and its
// components are measured with.
func (p *Provider) startMeters(ctx context.Context, spec *plan, res *resource.Resource) error {
	if spec.Metrics == nil {
		return nil
	}
	errs := mistakes{source: spec.Source}
	if p.options.metersGiven {
		errs.add("metrics", errMetersTwice)
		return errs.sorted()
	}
	typ := spec.Metrics.Type()
	p.metered = spec.metered()
	settings := component.Settings{
		ID: typ, Logger: p.options.logger.With("metrics", typ), MeterProvider: noop.NewMeterProvider(),
		ServiceName: serviceName(res), Metrics: p.metered,
	}
	settings.Metrics.Resource = res
	meters, err := spec.Metrics.Build(ctx, settings)
	if err != nil {
		errs.addBuild("metrics", "metrics exporter", typ, err)
		return errs.sorted()
	}
	p.metrics, p.meters, p.options.meters = spec.Metrics, meters, meters
	return nil
}

// abandonMeters releases what was started in vain.
func (p *Provider) abandonMeters(ctx context.Context) error {
	if p.meters == nil {
		return nil
	}
	ctx, cancel := abandoning(ctx)
	defer cancel()
	return p.meters.Shutdown(ctx)
}

// MeterProvider is what the provider and its components are measured with: what the
// metrics section has started, or what [MeterProvider] gave, or the global one.
func (p *Provider) MeterProvider() metric.MeterProvider { return p.options.meters }

// flushMeters exports what was measured.
func (p *Provider) flushMeters(ctx context.Context) error {
	if p.meters == nil {
		return nil
	}
	return p.meters.ForceFlush(ctx)
}

// closeMeters shuts them down, once nothing counts any more.
func (p *Provider) closeMeters(ctx context.Context) error {
	if p.meters == nil {
		return nil
	}
	return p.meters.Shutdown(ctx)
}

// beforeMeters leaves them a fifth of the time that there is: where backends do not
// answer, what was lost with them is to be exported all the same.
func (p *Provider) beforeMeters(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || p.meters == nil {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)*4/5)
}
