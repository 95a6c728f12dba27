package metrics

import (
	"slices"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// makeValid replaces what is not UTF-8 in the attributes of all points. OTLP has none:
// one such text, which clients may choose, would keep everything from being exported.
func makeValid(metrics *metricdata.ResourceMetrics) {
	for _, scope := range metrics.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				makeValidPoints(data.DataPoints)
			case metricdata.Gauge[float64]:
				makeValidPoints(data.DataPoints)
			case metricdata.Sum[int64]:
				makeValidPoints(data.DataPoints)
			case metricdata.Sum[float64]:
				makeValidPoints(data.DataPoints)
			case metricdata.Histogram[int64]:
				makeValidHistograms(data.DataPoints)
			case metricdata.Histogram[float64]:
				makeValidHistograms(data.DataPoints)
			case metricdata.ExponentialHistogram[int64]:
				makeValidExponentials(data.DataPoints)
			case metricdata.ExponentialHistogram[float64]:
				makeValidExponentials(data.DataPoints)
			}
		}
	}
}

func makeValidPoints[N int64 | float64](points []metricdata.DataPoint[N]) {
	for i := range points {
		makeValidSet(&points[i].Attributes)
		makeValidExemplars(points[i].Exemplars)
	}
}

func makeValidHistograms[N int64 | float64](points []metricdata.HistogramDataPoint[N]) {
	for i := range points {
		makeValidSet(&points[i].Attributes)
		makeValidExemplars(points[i].Exemplars)
	}
}

func makeValidExponentials[N int64 | float64](points []metricdata.ExponentialHistogramDataPoint[N]) {
	for i := range points {
		makeValidSet(&points[i].Attributes)
		makeValidExemplars(points[i].Exemplars)
	}
}

// makeValidExemplars is about what views leave out of series.
func makeValidExemplars[N int64 | float64](exemplars []metricdata.Exemplar[N]) {
	for i := range exemplars {
		if e := &exemplars[i]; !all(e.FilteredAttributes, isValid) {
			e.FilteredAttributes = each(slices.Clone(e.FilteredAttributes), valid) // the SDK keeps them
		}
	}
}

func makeValidSet(set *attribute.Set) {
	for it := set.Iter(); it.Next(); {
		if !isValid(it.Attribute()) {
			attrs := set.ToSlice()
			for i := range attrs {
				attrs[i] = valid(attrs[i])
			}
			*set = attribute.NewSet(attrs...)
			return
		}
	}
}

func isValid(kv attribute.KeyValue) bool {
	return utf8.ValidString(string(kv.Key)) && isValidValue(kv.Value)
}

func isValidValue(v attribute.Value) bool {
	switch v.Type() {
	case attribute.STRING:
		return utf8.ValidString(v.AsString())
	case attribute.STRINGSLICE:
		return all(v.AsStringSlice(), utf8.ValidString)
	case attribute.SLICE:
		return all(v.AsSlice(), isValidValue)
	case attribute.MAP:
		return all(v.AsMap(), isValid)
	default: // has no text
		return true
	}
}

func all[T any](of []T, is func(T) bool) bool {
	return !slices.ContainsFunc(of, func(one T) bool { return !is(one) })
}

func valid(kv attribute.KeyValue) attribute.KeyValue {
	return attribute.KeyValue{Key: attribute.Key(validText(string(kv.Key))), Value: validValue(kv.Value)}
}

func validValue(v attribute.Value) attribute.Value {
	switch v.Type() {
	case attribute.STRING:
		return attribute.StringValue(validText(v.AsString()))
	case attribute.STRINGSLICE:
		return attribute.StringSliceValue(each(v.AsStringSlice(), validText))
	case attribute.SLICE:
		return attribute.SliceValue(each(v.AsSlice(), validValue)...)
	case attribute.MAP:
		return attribute.MapValue(each(v.AsMap(), valid)...)
	default:
		return v
	}
}

// each changes a slice in place; attributes give copies.
func each[T any](of []T, change func(T) T) []T {
	for i := range of {
		of[i] = change(of[i])
	}
	return of
}

func validText(s string) string { return strings.ToValidUTF8(s, string(utf8.RuneError)) }
