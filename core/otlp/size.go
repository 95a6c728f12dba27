package otlp

import (
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// EstimateSize returns about how many bytes s adds to a request, without its
// resource and scope: within a quarter of the truth for spans of ordinary size,
// closer for large ones. It costs a quarter of encoding the span and
// allocates only for attributes that hold slices or maps.
func EstimateSize(s sdktrace.ReadOnlySpan) int {
	const (
		perSpan  = 80 // IDs, times, kind, flags, an empty status, lengths
		perEvent = 15
		perLink  = 35
	)
	n := perSpan + len(s.Name()) + len(s.Status().Description) +
		sizeOfTraceState(s.SpanContext().TraceState())
	for _, kvs := range attributesOf(s) {
		n += sizeOfKeyValues(kvs)
	}
	for _, e := range s.Events() {
		n += perEvent + len(e.Name) + sizeOfKeyValues(e.Attributes)
	}
	for _, l := range s.Links() {
		n += perLink + sizeOfTraceState(l.SpanContext.TraceState()) + sizeOfKeyValues(l.Attributes)
	}
	return n
}

func sizeOfTraceState(ts trace.TraceState) int {
	var n int
	ts.Walk(func(key, value string) bool {
		n += len(key) + len("=") + len(value) + len(",")
		return true
	})
	return n
}

func sizeOfKeyValues(kvs []attribute.KeyValue) int {
	const perKeyValue = 4 // two tags, two lengths
	var n int
	for i := range kvs {
		n += perKeyValue + len(kvs[i].Key) + sizeOfValue(kvs[i].Value)
	}
	return n
}

func sizeOfValue(v attribute.Value) int {
	const perValue = 4 // a tag and a length outside, the same inside
	switch v.Type() {
	case attribute.STRING:
		return perValue + len(v.AsString())
	case attribute.FLOAT64:
		return perValue + 7
	case attribute.BYTESLICE:
		return perValue + len(v.AsByteSlice())
	case attribute.BOOLSLICE:
		return perValue + perValue*len(v.AsBoolSlice())
	case attribute.INT64SLICE:
		return perValue + (perValue+1)*len(v.AsInt64Slice())
	case attribute.FLOAT64SLICE:
		return perValue + (perValue+7)*len(v.AsFloat64Slice())
	case attribute.STRINGSLICE:
		n := perValue
		for _, s := range v.AsStringSlice() {
			n += perValue + len(s)
		}
		return n
	case attribute.SLICE:
		n := perValue
		for _, e := range v.AsSlice() {
			n += sizeOfValue(e)
		}
		return n
	case attribute.MAP:
		return perValue + sizeOfKeyValues(v.AsMap())
	default: // a bool, a small integer, nothing
		return perValue
	}
}

// Size returns how many bytes s adds to a request, without its resource and
// scope. It costs what encoding does.
func Size(s sdktrace.ReadOnlySpan) int { return len(appendSpan(nil, 1, s)) }
