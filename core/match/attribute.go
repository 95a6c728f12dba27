package match

import (
	"cmp"
	"math"
	"slices"

	"go.opentelemetry.io/otel/attribute"
)

// condition is about one attribute.
type condition struct {
	key    attribute.Key
	absent bool    // it must not be there
	checks []check // of its value
}

func (c *condition) test(s Subject) bool {
	for i := range slices.Backward(s.Attributes) {
		if kv := &s.Attributes[i]; kv.Key == c.key {
			return !c.absent && (len(c.checks) == 0 || c.value(kv.Value))
		}
	}
	return c.absent
}

func (c *condition) value(v attribute.Value) bool {
	size := 0
	return c.within(v, &size)
}

// What is looked at of a list, those inside of it included: as many bytes of
// text, where each element counts as that many more.
const (
	maxList    = 4 * MaxText
	perElement = 64
)

// within is value for one that may stand in a list. size is what was looked at.
func (c *condition) within(v attribute.Value, size *int) bool {
	switch v.Type() {
	case attribute.STRINGSLICE:
		return anyElement(c, v.AsStringSlice(), attribute.StringValue, size)
	case attribute.INT64SLICE:
		return anyElement(c, v.AsInt64Slice(), attribute.Int64Value, size)
	case attribute.FLOAT64SLICE:
		return anyElement(c, v.AsFloat64Slice(), attribute.Float64Value, size)
	case attribute.BOOLSLICE:
		return anyElement(c, v.AsBoolSlice(), attribute.BoolValue, size)
	case attribute.SLICE:
		return anyElement(c, v.AsSlice(), func(v attribute.Value) attribute.Value { return v }, size)
	}
	*size += min(len(v.AsString()), MaxText)
	for _, check := range c.checks {
		if !check(v) {
			return false
		}
	}
	return true
}

func anyElement[T any](c *condition, elements []T, value func(T) attribute.Value, size *int) bool {
	for _, e := range elements {
		if *size >= maxList {
			return false
		}
		*size += perElement
		if c.within(value(e), size) {
			return true
		}
	}
	return false
}

// check is about one value that is no list.
type check func(attribute.Value) bool

func matches(g Glob) check {
	return func(v attribute.Value) bool { return v.Type() == attribute.STRING && g.Match(v.AsString()) }
}

func atLeast(n number) check {
	return func(v attribute.Value) bool {
		x, ok := numberOf(v)
		return ok && x.compare(n) >= 0
	}
}

func atMost(n number) check {
	return func(v attribute.Value) bool {
		x, ok := numberOf(v)
		return ok && x.compare(n) <= 0
	}
}

// set are the values that a condition asks for: strings, booleans and numbers.
type set struct {
	texts   map[string]struct{}
	longest int     // of texts: none that is longer is hashed
	bools   [2]bool // false, true
	numbers []number
}

func (s *set) add(x any) {
	switch x := x.(type) {
	case string:
		if s.texts == nil {
			s.texts = map[string]struct{}{}
		}
		s.texts[x] = struct{}{}
		s.longest = max(s.longest, len(x))
	case bool:
		s.bools[index(x)] = true
	case number:
		s.numbers = append(s.numbers, x)
	}
}

func (s *set) has(v attribute.Value) bool {
	switch v.Type() {
	case attribute.STRING:
		if len(v.AsString()) > s.longest {
			return false
		}
		_, ok := s.texts[v.AsString()]
		return ok
	case attribute.BOOL:
		return s.bools[index(v.AsBool())]
	}
	x, ok := numberOf(v)
	return ok && slices.ContainsFunc(s.numbers, func(n number) bool { return n.compare(x) == 0 })
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// number is an integer, or else a float; not NaN, which compares with nothing.
type number struct {
	integer bool
	i       int64
	f       float64
}

func integer(i int64) number { return number{integer: true, i: i} }

func numberOf(v attribute.Value) (n number, ok bool) {
	switch v.Type() {
	case attribute.INT64:
		return integer(v.AsInt64()), true
	case attribute.FLOAT64:
		f := v.AsFloat64()
		return number{f: f}, !math.IsNaN(f)
	default:
		return number{}, false
	}
}

func (n number) compare(m number) int {
	switch {
	case n.integer && m.integer:
		return cmp.Compare(n.i, m.i)
	case n.integer:
		return compareWith(n.i, m.f)
	case m.integer:
		return -compareWith(m.i, n.f)
	default:
		return cmp.Compare(n.f, m.f)
	}
}

// compareWith compares exactly: most integers above 2^53 are no float.
func compareWith(i int64, f float64) int {
	switch {
	case f >= 1<<63:
		return -1
	case f < -1<<63:
		return 1
	}
	whole := math.Trunc(f)
	return cmp.Or(cmp.Compare(i, int64(whole)), cmp.Compare(0, f-whole))
}
