package metrics_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
)

// What clients choose, as server.address of otelhttp, and is no UTF-8 keeps nothing from
// being exported, whatever kind of metric it is in.
func TestNotUTF8(t *testing.T) {
	for _, aggregation := range []string{"explicit_bucket_histogram", "base2_exponential_bucket_histogram"} {
		t.Run(aggregation, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", aggregation)
			testNotUTF8(t)
		})
	}
}

func testNotUTF8(t *testing.T) {
	t.Helper()
	r := overHTTP(t)
	p := started(t, fmt.Sprintf("metrics: {exporter: otlp, protocol: http/protobuf, endpoint: %q, interval: 1h}", r.address))
	m := p.MeterProvider().Meter("shop")
	var errs []error
	check := func(err error) { errs = append(errs, err) }
	sum, err := m.Int64Counter("sum")
	check(err)
	floats, err := m.Float64Counter("floats")
	check(err)
	gauge, err := m.Int64Gauge("gauge")
	check(err)
	measure, err := m.Float64Gauge("measure")
	check(err)
	histogram, err := m.Int64Histogram("histogram")
	check(err)
	durations, err := m.Float64Histogram("durations")
	check(err)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	with := metric.WithAttributes(
		attribute.String("text", "a\xffb"), attribute.StringSlice("texts", []string{"a", "\xff"}), attribute.Int("number", 1),
		attribute.KeyValue{Key: "values", Value: attribute.SliceValue(attribute.StringValue("\xff"))},
		attribute.KeyValue{Key: "map", Value: attribute.MapValue(attribute.String("k\xff", "\xff"))},
	)
	sum.Add(t.Context(), 1, with)
	floats.Add(t.Context(), 1, with)
	gauge.Record(t.Context(), 1, with)
	measure.Record(t.Context(), 1, with)
	histogram.Record(t.Context(), 1, with)
	durations.Record(t.Context(), 1, with)
	if err := p.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	const want = `map:{k�: �} number:1 text:a�b texts:[a �] values:[�]`
	for name, attrs := range map[string][]*commonpb.KeyValue{
		"sum":       r.last("sum").GetSum().GetDataPoints()[0].GetAttributes(),
		"floats":    r.last("floats").GetSum().GetDataPoints()[0].GetAttributes(),
		"gauge":     r.last("gauge").GetGauge().GetDataPoints()[0].GetAttributes(),
		"measure":   r.last("measure").GetGauge().GetDataPoints()[0].GetAttributes(),
		"histogram": ofHistogram(r.last("histogram")),
		"durations": ofHistogram(r.last("durations")),
	} {
		var all []string
		for _, kv := range attrs {
			all = append(all, kv.GetKey()+":"+shown(kv.GetValue()))
		}
		if diff := cmp.Diff(want, strings.Join(all, " ")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// ofHistogram are the attributes of the first point, whatever its buckets are.
func ofHistogram(m *metricspb.Metric) []*commonpb.KeyValue {
	if h := m.GetExponentialHistogram(); h != nil {
		return h.GetDataPoints()[0].GetAttributes()
	}
	return m.GetHistogram().GetDataPoints()[0].GetAttributes()
}

func shown(v *commonpb.AnyValue) string {
	var all []string
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_ArrayValue:
		for _, one := range v.ArrayValue.GetValues() {
			all = append(all, shown(one))
		}
		return "[" + strings.Join(all, " ") + "]"
	case *commonpb.AnyValue_KvlistValue:
		for _, kv := range v.KvlistValue.GetValues() {
			all = append(all, kv.GetKey()+": "+shown(kv.GetValue()))
		}
		return "{" + strings.Join(all, " ") + "}"
	case *commonpb.AnyValue_IntValue:
		return fmt.Sprint(v.IntValue)
	default:
		return v.(*commonpb.AnyValue_StringValue).StringValue
	}
}
