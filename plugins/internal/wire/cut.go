package wire

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// Cut returns v with at most so many bytes of content: a text without its end, and
// lists and maps without what comes last. A single number stays.
func Cut(v attribute.Value, most int) attribute.Value {
	if Size(v, most) <= most {
		return v
	}
	return cut(v, &most)
}

// word is what a number, and each element of a list or a map, counts for.
const word = 8

// Size is what a value counts for. It may stop to count above enough.
func Size(v attribute.Value, enough int) int {
	switch v.Type() {
	case attribute.STRING:
		return len(v.AsString())
	case attribute.BYTESLICE:
		return len(v.AsByteSlice())
	case attribute.BOOLSLICE:
		return word * len(v.AsBoolSlice())
	case attribute.INT64SLICE:
		return word * len(v.AsInt64Slice())
	case attribute.FLOAT64SLICE:
		return word * len(v.AsFloat64Slice())
	case attribute.STRINGSLICE:
		n := 0
		for _, s := range v.AsStringSlice() {
			n += word + len(s)
		}
		return n
	case attribute.SLICE:
		n := 0
		for _, e := range v.AsSlice() {
			if n += word + Size(e, enough-n); n > enough {
				break
			}
		}
		return n
	case attribute.MAP:
		n := 0
		for _, kv := range v.AsMap() {
			if n += word + len(kv.Key) + Size(kv.Value, enough-n); n > enough {
				break
			}
		}
		return n
	default:
		return word
	}
}

// cut takes what it returns from room.
func cut(v attribute.Value, room *int) attribute.Value {
	switch v.Type() {
	case attribute.STRING:
		return attribute.StringValue(cutText(v.AsString(), room))
	case attribute.BYTESLICE:
		return attribute.ByteSliceValue(first(v.AsByteSlice(), 1, room))
	case attribute.BOOLSLICE:
		return attribute.BoolSliceValue(first(v.AsBoolSlice(), word, room))
	case attribute.INT64SLICE:
		return attribute.Int64SliceValue(first(v.AsInt64Slice(), word, room))
	case attribute.FLOAT64SLICE:
		return attribute.Float64SliceValue(first(v.AsFloat64Slice(), word, room))
	case attribute.STRINGSLICE:
		var all []string
		for _, s := range v.AsStringSlice() {
			if *room -= word; *room < 0 {
				break
			}
			all = append(all, cutText(s, room))
		}
		return attribute.StringSliceValue(all)
	case attribute.SLICE:
		var all []attribute.Value
		for _, e := range v.AsSlice() {
			if *room -= word; *room < 0 {
				break
			}
			all = append(all, cut(e, room))
		}
		return attribute.SliceValue(all...)
	case attribute.MAP:
		var all []attribute.KeyValue
		for _, kv := range v.AsMap() {
			if *room -= word + len(kv.Key); *room < 0 {
				break
			}
			all = append(all, attribute.KeyValue{Key: kv.Key, Value: cut(kv.Value, room)})
		}
		return attribute.MapValue(all...)
	default:
		*room -= word
		return v
	}
}

func cutText(s string, room *int) string {
	most := max(*room, 0)
	*room -= min(len(s), most)
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

// first is as much of a list as there is room for.
func first[T any](list []T, each int, room *int) []T {
	n := min(len(list), max(*room, 0)/each)
	*room -= n * each
	return list[:n]
}
