package composite

import (
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/match"
)

// attributeTest is about the text of one attribute.
type attributeTest struct {
	key     attribute.Key
	values  map[string]struct{} // nil if patterns decide
	longest int                 // of values: none that is longer is hashed
	// included and excluded are patterns; none includes all.
	included, excluded []match.Glob
}

func testValues(v *Values) attributeTest {
	t := attributeTest{key: attribute.Key(v.Key), values: make(map[string]struct{}, len(v.Values))}
	for _, text := range v.Values {
		t.values[text] = struct{}{}
		t.longest = max(t.longest, len(text))
	}
	return t
}

// matches reports whether the attribute is there and meets the test. If it is there
// twice, the last counts.
func (t *attributeTest) matches(attrs []attribute.KeyValue) bool {
	for i := range slices.Backward(attrs) {
		if kv := &attrs[i]; kv.Key == t.key {
			room := maxList
			return t.matchesValue(kv.Value, &room)
		}
	}
	return false
}

// What is looked at of a list, those inside of it included: as many bytes of text,
// where each item counts as that many more.
const (
	maxList = 4 * match.MaxText
	perItem = 64
)

// matchesValue reports whether a value, or an item of it, meets the test. room is what
// may be looked at.
func (t *attributeTest) matchesValue(v attribute.Value, room *int) bool {
	switch v.Type() {
	case attribute.STRINGSLICE:
		return anyItem(t, v.AsStringSlice(), attribute.StringValue, room)
	case attribute.INT64SLICE:
		return anyItem(t, v.AsInt64Slice(), attribute.Int64Value, room)
	case attribute.FLOAT64SLICE:
		return anyItem(t, v.AsFloat64Slice(), attribute.Float64Value, room)
	case attribute.BOOLSLICE:
		return anyItem(t, v.AsBoolSlice(), attribute.BoolValue, room)
	case attribute.SLICE:
		return anyItem(t, v.AsSlice(), func(v attribute.Value) attribute.Value { return v }, room)
	case attribute.STRING:
		*room -= min(len(v.AsString()), match.MaxText)
		return t.accepts(v.AsString())
	case attribute.INT64:
		var digits [20]byte
		return t.accepts(string(strconv.AppendInt(digits[:0], v.AsInt64(), 10)))
	default:
		return t.accepts(v.String())
	}
}

func anyItem[T any](t *attributeTest, items []T, value func(T) attribute.Value, room *int) bool {
	for _, item := range items {
		if *room <= 0 {
			return false
		}
		*room -= perItem
		if t.matchesValue(value(item), room) {
			return true
		}
	}
	return false
}

func (t *attributeTest) accepts(text string) bool {
	if t.values != nil {
		if len(text) > t.longest {
			return false
		}
		_, ok := t.values[text]
		return ok
	}
	matches := func(g match.Glob) bool { return g.Match(text) }
	return (len(t.included) == 0 || slices.ContainsFunc(t.included, matches)) && !slices.ContainsFunc(t.excluded, matches)
}
