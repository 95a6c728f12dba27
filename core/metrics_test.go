package core_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
)

var attributeEncoder = attribute.DefaultEncoder()

func TestMetrics(t *testing.T) {
	reader := metric.NewManualReader()
	meters := metric.NewMeterProvider(metric.WithReader(reader))
	b := newBench(t, core.Spec{}, core.MeterProvider(meters))
	for i := range 3 {
		_, root := b.tracer.Start(t.Context(), "root")
		if i == 0 {
			root.SetStatus(codes.Error, "no")
		}
		root.End()
	}
	got := collect(t, reader)
	want := map[string]int64{
		"riffle.segments.started riffle.outcome=recorded":     3,
		"riffle.segments.kept riffle.sampler=error":           1,
		"riffle.segments.not_kept riffle.reason=not_selected": 2,
		"riffle.spans.ended riffle.outcome=kept":              1,
		"riffle.spans.ended riffle.outcome=not_kept":          2,
		"riffle.traces.remembered":                            1,
	}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s = %d, want %d", name, got[name], n)
		}
	}
	if err := b.provider.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	// Whoever collects last finds what was counted, and nothing that is over.
	delete(want, "riffle.traces.remembered")
	left := collect(t, reader)
	for name, n := range want {
		if left[name] != n {
			t.Errorf("after Shutdown: %s = %d, want %d", name, left[name], n)
		}
	}
	for _, name := range []string{"riffle.segments.open", "riffle.traces.remembered", "riffle.segments.size"} {
		if n, ok := left[name]; ok {
			t.Errorf("after Shutdown: %s = %d", name, n)
		}
	}
}

// A dashboard tells by the metric below which services nothing can be weighed, and why.
func TestMetricsOfParents(t *testing.T) {
	reader := metric.NewManualReader()
	b := newBench(t, core.Spec{}, core.MeterProvider(metric.NewMeterProvider(metric.WithReader(reader))))
	for _, state := range []string{"", "", "ot=th:ffffff;rv:ffffffffffffff", "ot=th:0"} {
		ts, err := trace.ParseTraceState(state)
		if err != nil {
			t.Fatal(err)
		}
		ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled, TraceState: ts, Remote: true,
		}))
		_, root := b.tracer.Start(ctx, "root")
		root.End()
	}
	got := collect(t, reader)
	for name, n := range map[string]int64{
		"riffle.parents.unweighed riffle.reason=no_threshold":         2,
		"riffle.parents.unweighed riffle.reason=impossible_threshold": 1,
		"riffle.segments.started riffle.outcome=recorded":             4,
	} {
		if got[name] != n {
			t.Errorf("%s = %d, want %d", name, got[name], n)
		}
	}
}

// collect returns the whole numbers that reader sees, by name and attributes.
func collect(t *testing.T, reader *metric.ManualReader) map[string]int64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	all := map[string]int64{}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok {
				continue
			}
			for _, p := range sum.DataPoints {
				name := m.Name
				if p.Attributes.Len() > 0 {
					name += " " + p.Attributes.Encoded(attributeEncoder)
				}
				all[name] = p.Value
			}
		}
	}
	return all
}
