package match

import (
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
)

// valueTest is about a value that is no list.
type valueTest interface {
	holdsFor(v attribute.Value) bool
}

// last finds an attribute, nil if there is none. If it is there twice, the last counts.
func last(attrs []attribute.KeyValue, key attribute.Key) *attribute.Value {
	for i := len(attrs) - 1; i >= 0; i-- {
		if kv := &attrs[i]; kv.Key == key {
			return &kv.Value
		}
	}
	return nil
}

// What is looked at of a list, those inside of it included: as many bytes of
// text, where each element counts as that many more.
const (
	maxList    = 4 * MaxText
	perElement = 64
)

// holdsFor reports whether a test holds for a value, or for an element of it.
func holdsFor(t valueTest, v attribute.Value) bool {
	room := maxList
	return holdsWithin(t, v, &room)
}

// holdsWithin is holdsFor a value that may stand in a list. room is what may be looked
// at.
func holdsWithin(t valueTest, v attribute.Value, room *int) bool {
	switch v.Type() {
	case attribute.STRINGSLICE:
		return anyElement(t, v.AsStringSlice(), attribute.StringValue, room)
	case attribute.INT64SLICE:
		return anyElement(t, v.AsInt64Slice(), attribute.Int64Value, room)
	case attribute.FLOAT64SLICE:
		return anyElement(t, v.AsFloat64Slice(), attribute.Float64Value, room)
	case attribute.BOOLSLICE:
		return anyElement(t, v.AsBoolSlice(), attribute.BoolValue, room)
	case attribute.SLICE:
		return anyElement(t, v.AsSlice(), func(v attribute.Value) attribute.Value { return v }, room)
	}
	*room -= min(len(v.AsString()), MaxText)
	return t.holdsFor(v)
}

func anyElement[T any](t valueTest, elements []T, value func(T) attribute.Value, room *int) bool {
	for _, e := range elements {
		if *room <= 0 {
			return false
		}
		*room -= perElement
		if holdsWithin(t, value(e), room) {
			return true
		}
	}
	return false
}

// TextCondition is a condition on one attribute as OpenTelemetry's configuration has
// it: values are compared as text.
type TextCondition struct {
	key                attribute.Key
	values             *textSet // nil if patterns decide
	included, excluded []Glob
}

// AnyText is the condition that an attribute has one of some values.
func AnyText(key string, values []string) *TextCondition {
	c := &TextCondition{key: attribute.Key(key), values: &textSet{}}
	for _, text := range values {
		c.values.add(text)
	}
	return c
}

// Globs is the condition that an attribute matches one of some patterns, and none of
// others. No included ones include all.
func Globs(key string, included, excluded []string) *TextCondition {
	c := &TextCondition{key: attribute.Key(key)}
	for _, p := range included {
		c.included = append(c.included, Glob(p))
	}
	for _, p := range excluded {
		c.excluded = append(c.excluded, Glob(p))
	}
	return c
}

// Match reports whether the attribute is there and meets the condition. If it is
// there twice, the last counts; of a list one element must meet it. It allocates
// nothing for strings, integers and booleans.
func (c *TextCondition) Match(attrs []attribute.KeyValue) bool {
	v := last(attrs, c.key)
	return v != nil && holdsFor(c, *v)
}

func (c *TextCondition) holdsFor(v attribute.Value) bool {
	switch v.Type() {
	case attribute.STRING:
		return c.accepts(v.AsString())
	case attribute.INT64:
		var digits [20]byte
		return c.accepts(string(strconv.AppendInt(digits[:0], v.AsInt64(), 10)))
	default:
		return c.accepts(v.String())
	}
}

func (c *TextCondition) accepts(text string) bool {
	if c.values != nil {
		return c.values.has(text)
	}
	matches := func(g Glob) bool { return g.Match(text) }
	return (len(c.included) == 0 || slices.ContainsFunc(c.included, matches)) && !slices.ContainsFunc(c.excluded, matches)
}

// textSet is a set of texts.
type textSet struct {
	texts   []string
	index   map[string]struct{} // of texts, if they are many
	longest int                 // none that is longer is hashed
}

// fewTexts are compared one by one.
const fewTexts = 6

func (s *textSet) add(text string) {
	s.texts = append(s.texts, text)
	s.longest = max(s.longest, len(text))
	if len(s.texts) <= fewTexts {
		return
	}
	if s.index == nil {
		s.index = map[string]struct{}{}
		for _, text := range s.texts {
			s.index[text] = struct{}{}
		}
	}
	s.index[text] = struct{}{}
}

func (s *textSet) has(text string) bool {
	switch {
	case len(text) > s.longest:
		return false
	case s.index != nil:
		_, ok := s.index[text]
		return ok
	}
	return slices.Contains(s.texts, text)
}
