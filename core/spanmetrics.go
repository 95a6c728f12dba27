package core

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/spanmetrics"
)

// spanMetrics are the metrics of spans that a provider has made, and what from. They
// stay: what they have counted must not begin anew.
type spanMetrics struct {
	metrics  *spanmetrics.Metrics // nil if there are none
	config   spanmetrics.Config
	resource *resource.Resource
}

// next returns those of a plan, and what measures a span. A reload may turn them off, and
// on again, but not change them.
func (s *spanMetrics) next(p *plan, res *resource.Resource, meters metric.MeterProvider) (spanMetrics, func(context.Context, record.Measured), error) {
	next := spanMetrics{config: p.SpanMetrics.WithDefaults(), resource: res}
	if s.metrics != nil {
		errs := mistakes{source: p.Source}
		if !reflect.DeepEqual(s.config, next.config) {
			errs.add("span_metrics", errors.New("a reload does not change them: restart the process"))
		} else if !s.resource.Equal(res) {
			errs.add("span_metrics", errors.New("a reload does not change the resource of what they have counted: restart the process"))
		}
		next.metrics = s.metrics
		return next, next.metrics.Measure, errs.sorted()
	}
	var err error
	if next.metrics, err = spanmetrics.New(&next.config, res, meters.Meter(scopeName)); err != nil {
		return next, nil, fmt.Errorf("making span_metrics: %w", err)
	}
	return next, next.metrics.Measure, nil
}

// alwaysRecord tells that everything but what is dropped is recorded.
func (p *plan) alwaysRecord() bool { return p.AlwaysRecord || p.SpanMetrics != nil }
