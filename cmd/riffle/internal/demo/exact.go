package demo

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/load"
	"github.com/riffletrace/riffle/core/spanmetrics"
)

// What counts local roots that no span metric counts.
const (
	startedMetric    = "riffle.segments.started"
	unrecordedMetric = "riffle.segments.unrecorded"
)

// slowEdge is the edge of the histogram above which a span is slow, in milliseconds.
var slowEdge = float64(load.Slow.Milliseconds())

// meters are a metrics SDK of the demo's own, which is read once.
type meters struct {
	*sdkmetric.MeterProvider
	reader *sdkmetric.ManualReader
}

func newMeters() meters {
	reader := sdkmetric.NewManualReader()
	return meters{reader: reader, MeterProvider: sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(reader),
		sdkmetric.WithResource(resource.Empty()),
		sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter),
		// riffle has a limit of its own, and says so where that is reached.
		sdkmetric.WithCardinalityLimit(0),
	)}
}

// read reads what was counted, and ends the SDK.
func (m meters) read(ctx context.Context) (*counted, error) {
	var all metricdata.ResourceMetrics
	err := m.reader.Collect(ctx, &all)
	if err = errors.Join(err, m.Shutdown(ctx)); err != nil {
		return nil, fmt.Errorf("reading the metrics: %w", err)
	}
	return newCounted(&all)
}

// calls is how many server spans there were, how many of them failed and how many were
// slow.
type calls struct{ all, failed, slow int }

// counted is what riffle's metrics say.
type counted struct {
	servers map[string]calls // by span name
	// overflow is how many spans share the series of what does not fit into max_series.
	overflow int
	// Local roots, of both services, that were not recorded.
	unrecorded, dropped int
}

func newCounted(all *metricdata.ResourceMetrics) (*counted, error) {
	c := &counted{servers: make(map[string]calls)}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			var err error
			switch m.Name {
			case spanmetrics.Calls:
				err = each(m, c.addCalls)
			case startedMetric:
				err = each(m, c.addStarted)
			case unrecordedMetric:
				err = each(m, func(p metricdata.DataPoint[int64]) { c.unrecorded += int(p.Value) })
			case spanmetrics.Duration:
				err = c.addDurations(m)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

func each(m metricdata.Metrics, add func(metricdata.DataPoint[int64])) error {
	sum, ok := m.Data.(metricdata.Sum[int64])
	if !ok {
		return fmt.Errorf("the metric %s is a %T, want a sum", m.Name, m.Data)
	}
	for _, p := range sum.DataPoints {
		add(p)
	}
	return nil
}

func (c *counted) addCalls(p metricdata.DataPoint[int64]) {
	n := int(p.Value)
	if overflow, _ := p.Attributes.Value("otel.metric.overflow"); overflow.AsBool() {
		c.overflow += n
		return
	}
	c.addServer(p.Attributes, func(of *calls) {
		of.all += n
		if text(p.Attributes, "status.code") == "STATUS_CODE_ERROR" {
			of.failed += n
		}
	})
}

func (c *counted) addDurations(m metricdata.Metrics) error {
	histogram, ok := m.Data.(metricdata.Histogram[float64])
	if !ok {
		return fmt.Errorf("the metric %s is a %T, want a histogram", m.Name, m.Data)
	}
	for _, p := range histogram.DataPoints {
		c.addServer(p.Attributes, func(of *calls) {
			for i, n := range p.BucketCounts {
				if i > 0 && p.Bounds[i-1] >= slowEdge {
					of.slow += int(n)
				}
			}
		})
	}
	return nil
}

func (c *counted) addStarted(p metricdata.DataPoint[int64]) {
	if text(p.Attributes, "riffle.outcome") == "dropped" {
		c.dropped += int(p.Value)
	}
}

// addServer lets add see the calls that are counted by attributes, if they are of a
// server span.
func (c *counted) addServer(attributes attribute.Set, add func(*calls)) {
	if text(attributes, "span.kind") != "SPAN_KIND_SERVER" {
		return
	}
	name := text(attributes, "span.name")
	of := c.servers[name]
	add(&of)
	c.servers[name] = of
}

func text(attributes attribute.Set, key attribute.Key) string {
	v, _ := attributes.Value(key)
	return v.AsString()
}
