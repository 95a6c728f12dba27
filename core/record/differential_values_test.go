package record_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// choices decides what happens in a history: a seeded generator, or the bytes of
// a fuzzer.
type choices interface {
	IntN(n int) int
}

// fuzzed takes a choice from each byte, and the first one when there are no more.
type fuzzed []byte

func (f *fuzzed) IntN(n int) int {
	if len(*f) == 0 {
		return 0
	}
	b := (*f)[0]
	*f = (*f)[1:]
	return int(b) % n
}

func one[T any](c choices, of []T) T { return of[c.IntN(len(of))] }

// oneIn says yes once in n times.
func oneIn(c choices, n int) bool { return c.IntN(n) == n-1 }

var (
	keys = []attribute.Key{"a", "b", "c", "d", "e", "f", "ключ", ""}

	texts = []string{
		"", "a", "abcde", "abcdef", "http.request.method",
		"é", "ééééé", "éééééé", "日本語の文字列", "a\u0301b\u0301c",
		"\xff", "\xff\xfe\xfd\xfc\xfb\xfa", "ab\xffcdef", "abcde\xff", "é\xff", "\xe6\x97", "日\xe6\x97本語です",
		"\ufffd", "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd", "ab\ufffdcd\xffef", "\x00\x00\x00",
	}
	floats = []float64{0, math.Copysign(0, -1), 1.5, math.Inf(1), math.MaxFloat64, math.NaN()}
)

// value makes an attribute's value: mostly a scalar, sometimes one that is nested
// up to depth collections deep.
func value(c choices, depth int) attribute.Value {
	n := c.IntN(16)
	if n >= 14 && depth <= 1 {
		n = 4
	}
	switch n {
	case 0:
		return attribute.Value{}
	case 1:
		return attribute.BoolValue(oneIn(c, 2))
	case 2:
		return attribute.IntValue(c.IntN(200))
	case 3:
		return attribute.Float64Value(one(c, floats))
	case 8:
		return attribute.BoolSliceValue(make([]bool, c.IntN(6)))
	case 9:
		return attribute.IntSliceValue(make([]int, c.IntN(6)))
	case 10:
		return attribute.Float64SliceValue(make([]float64, c.IntN(6)))
	case 11, 12:
		list := make([]string, c.IntN(6))
		for i := range list {
			list[i] = one(c, texts)
		}
		return attribute.StringSliceValue(list)
	case 13:
		return attribute.ByteSliceValue([]byte(one(c, texts)))
	case 14:
		list := make([]attribute.Value, c.IntN(8))
		for i := range list {
			list[i] = value(c, depth-1)
		}
		return attribute.SliceValue(list...)
	case 15:
		return attribute.MapValue(attributes(c, 8, depth-1)...)
	}
	return attribute.StringValue(one(c, texts))
}

// attributes makes fewer than n attributes, often with equal or empty keys, and
// nil if none.
func attributes(c choices, n, depth int) []attribute.KeyValue {
	n = c.IntN(n)
	if n == 0 {
		return nil
	}
	list := make([]attribute.KeyValue, n)
	for i := range list {
		list[i] = attribute.KeyValue{Key: one(c, keys), Value: value(c, depth)}
	}
	return list
}

// Values are comparable: an array where others have a slice, numbers as their
// bits. NaN in an array would differ from itself, and is not made.
func sameValue(a, b attribute.Value) bool { return a == b }

func sameAttribute(a, b attribute.KeyValue) bool { return a == b }

// show writes a value so that bytes and types can be told apart, which its String
// method does not.
func show(v attribute.Value) string {
	switch v.Type() {
	case attribute.STRING:
		return strconv.Quote(v.AsString())
	case attribute.SLICE:
		var list []string
		for _, e := range v.AsSlice() {
			list = append(list, show(e))
		}
		return "[" + strings.Join(list, " ") + "]"
	case attribute.MAP:
		return "{" + showAll(v.AsMap()) + "}"
	case attribute.STRINGSLICE, attribute.BYTESLICE:
		return fmt.Sprintf("%s(%q)", v.Type(), v.AsInterface())
	}
	return fmt.Sprintf("%s(%v)", v.Type(), v.AsInterface())
}

func showAll(kvs []attribute.KeyValue) string {
	var list []string
	for _, kv := range kvs {
		list = append(list, fmt.Sprintf("%q: %s", kv.Key, show(kv.Value)))
	}
	return strings.Join(list, ", ")
}
