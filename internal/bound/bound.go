// Package bound cuts names and values that are too long for a span: those of clients,
// above all, so that one of them cannot fill the memory with one header.
package bound

import (
	"slices"
	"unicode/utf8"
	"unsafe"

	"go.opentelemetry.io/otel/attribute"
)

// Marker ends a text that was cut.
const Marker = "...[truncated]"

// Default is how much of a name or a value is kept where nothing else is said.
const Default Limit = 16 << 10

// Limit bounds names and values, in bytes; 0 is no limit.
type Limit int

// Text returns s in at most l bytes. What is cut is copied: a span that waits must not
// hold the whole of a large string for its first characters.
func (l Limit) Text(s string) string {
	if l <= 0 || len(s) <= int(l) {
		return s
	}
	keep := max(0, int(l)-len(Marker))
	for keep > 0 && keep > int(l)-len(Marker)-utf8.UTFMax && !utf8.RuneStart(s[keep]) {
		keep--
	}
	return s[:keep] + Marker
}

// fits reports whether an attribute is within the limit.
func (l Limit) fits(kv *attribute.KeyValue) bool {
	if l <= 0 {
		return true
	}
	if len(kv.Key) > int(l) {
		return false
	}
	switch kv.Value.Type() {
	case attribute.BOOL, attribute.INT64, attribute.FLOAT64:
		return true
	case attribute.STRING: // as most are
		return len(kv.Value.AsString()) <= int(l)
	default:
		return ValueBytes(kv.Value) <= int64(l)
	}
}

// Attribute returns an attribute within the limit.
func (l Limit) Attribute(kv attribute.KeyValue) attribute.KeyValue {
	if l.fits(&kv) {
		return kv
	}
	return attribute.KeyValue{Key: attribute.Key(l.Text(string(kv.Key))), Value: l.Value(kv.Value)}
}

// Attributes returns attributes within the limit: kvs, if all are. It never writes to
// it.
func (l Limit) Attributes(kvs []attribute.KeyValue) []attribute.KeyValue {
	for i := range kvs {
		if l.fits(&kvs[i]) {
			continue
		}
		kvs = slices.Clone(kvs)
		for j := i; j < len(kvs); j++ {
			kvs[j] = l.Attribute(kvs[j])
		}
		break
	}
	return kvs
}

// Value returns a value that takes no more than the limit, or little more where it has
// many parts: the first of them, and the marker.
func (l Limit) Value(v attribute.Value) attribute.Value {
	if ValueBytes(v) <= int64(l) {
		return v
	}
	const number = 8 // bytes
	switch v.Type() {
	case attribute.STRING:
		return attribute.StringValue(l.Text(v.AsString()))
	case attribute.BOOLSLICE:
		return attribute.BoolSliceValue(v.AsBoolSlice()[:l])
	case attribute.INT64SLICE:
		return attribute.Int64SliceValue(v.AsInt64Slice()[:l/number])
	case attribute.FLOAT64SLICE:
		return attribute.Float64SliceValue(v.AsFloat64Slice()[:l/number])
	case attribute.BYTESLICE:
		return attribute.ByteSliceValue(append(v.AsByteSlice()[:max(0, int(l)-len(Marker))], Marker...))
	case attribute.STRINGSLICE:
		list := v.AsStringSlice()
		n, left := fitting(l, list, func(s string) int64 { return stringBytes + int64(len(s)) })
		return attribute.StringSliceValue(append(list[:n:n], left.less(stringBytes).Text(list[n])))
	case attribute.SLICE:
		list := v.AsSlice()
		n, left := fitting(l, list, func(v attribute.Value) int64 { return valueBytes + ValueBytes(v) })
		return attribute.SliceValue(append(list[:n:n], left.less(valueBytes).Value(list[n]))...)
	case attribute.MAP:
		list := v.AsMap()
		n, left := fitting(l, list, func(kv attribute.KeyValue) int64 {
			return attributeBytes + int64(len(kv.Key)) + ValueBytes(kv.Value)
		})
		return attribute.MapValue(append(list[:n:n], left.less(attributeBytes).Attribute(list[n]))...)
	default:
		return v
	}
}

// less is what is left of a limit, if only for the marker.
func (l Limit) less(n int64) Limit { return max(1, l-Limit(n)) }

// fitting returns how many elements fit into the limit, and what they leave of it. Not
// all do.
func fitting[T any](l Limit, list []T, size func(T) int64) (n int, left Limit) {
	left = l
	for ; n < len(list)-1 && size(list[n]) <= int64(left); n++ {
		left -= Limit(size(list[n]))
	}
	return n, left
}

const (
	stringBytes    = int64(unsafe.Sizeof(""))
	valueBytes     = int64(unsafe.Sizeof(attribute.Value{}))
	attributeBytes = int64(unsafe.Sizeof(attribute.KeyValue{}))
)

// ValueBytes is what a value holds besides itself.
func ValueBytes(v attribute.Value) (n int64) {
	switch v.Type() {
	case attribute.STRING:
		return int64(len(v.AsString()))
	case attribute.BOOLSLICE:
		return int64(len(v.AsBoolSlice()))
	case attribute.INT64SLICE:
		return 8 * int64(len(v.AsInt64Slice()))
	case attribute.FLOAT64SLICE:
		return 8 * int64(len(v.AsFloat64Slice()))
	case attribute.STRINGSLICE:
		for _, s := range v.AsStringSlice() {
			n += stringBytes + int64(len(s))
		}
	case attribute.BYTESLICE:
		return int64(len(v.AsByteSlice()))
	case attribute.SLICE:
		for _, e := range v.AsSlice() {
			n += valueBytes + ValueBytes(e)
		}
	case attribute.MAP:
		for _, kv := range v.AsMap() {
			n += attributeBytes + int64(len(kv.Key)) + ValueBytes(kv.Value)
		}
	default:
	}
	return n
}
