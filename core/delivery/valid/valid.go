// Package valid makes the values of spans, and attributes of others, such that every
// encoder takes them.
package valid

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery/internal/altered"
)

// Spans returns spans with values that every encoder takes, for exporters that
// encode spans themselves and would fail as a whole: text that is not UTF-8 has each
// run of invalid bytes replaced by U+FFFD, as core/otlp does it, and a number that
// is not finite is text: "NaN", "Infinity" or "-Infinity". It returns the same slice
// where nothing changes, and never writes to it.
func Spans(spans []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	var v validator
	var changed []sdktrace.ReadOnlySpan
	for i, s := range spans {
		valid, ok := v.span(s)
		if ok {
			continue
		}
		if changed == nil {
			changed = slices.Clone(spans)
		}
		changed[i] = valid
	}
	if changed == nil {
		return spans
	}
	return changed
}

// validator remembers the last resource, which is that of nearly all spans.
type validator struct{ from, to *resource.Resource }

// span reports whether a span is valid, and returns one that is if it is not.
func (v *validator) span(s sdktrace.ReadOnlySpan) (_ sdktrace.ReadOnlySpan, ok bool) {
	c := altered.Of(s)
	ok = true
	for _, t := range []*string{&c.Name, &c.Status.Description, &c.Scope.Name, &c.Scope.Version, &c.Scope.SchemaURL} {
		ok = text(t) && ok
	}
	ok = KeyValues(&c.Attributes) && ok
	ok = Set(&c.Scope.Attributes) && ok
	ok = v.resource(&c.Resource) && ok
	ok = validEvents(&c.Events) && ok
	ok = validLinks(&c.Links) && ok
	if ok {
		return s, true
	}
	return altered.New(s, c), false
}

func (v *validator) resource(r **resource.Resource) (ok bool) {
	if v.from == nil || v.from != *r {
		v.from, v.to = *r, *r
		set := *(*r).Set()
		if !Set(&set) {
			v.to = resource.NewWithAttributes((*r).SchemaURL(), set.ToSlice()...)
		}
	}
	*r = v.to
	return v.from == v.to
}

func validEvents(events *[]sdktrace.Event) bool {
	ok, copied := true, false
	for i, e := range *events {
		valid := KeyValues(&e.Attributes)
		if text(&e.Name) && valid {
			continue
		}
		if !copied {
			*events, copied = slices.Clone(*events), true
		}
		(*events)[i], ok = e, false
	}
	return ok
}

func validLinks(links *[]sdktrace.Link) bool {
	ok, copied := true, false
	for i, l := range *links {
		if KeyValues(&l.Attributes) {
			continue
		}
		if !copied {
			*links, copied = slices.Clone(*links), true
		}
		(*links)[i], ok = l, false
	}
	return ok
}

// Set reports whether the attributes are valid, and replaces them by valid ones if not.
func Set(set *attribute.Set) bool {
	if set.Len() == 0 {
		return true
	}
	kvs := set.ToSlice()
	if KeyValues(&kvs) {
		return true
	}
	*set = attribute.NewSet(kvs...)
	return false
}

// text and those below report whether a value is valid, and replace one that is not.
func text(s *string) bool {
	if utf8.ValidString(*s) {
		return true
	}
	*s = strings.ToValidUTF8(*s, string(utf8.RuneError))
	return false
}

// KeyValues reports whether attributes are valid, and replaces the slice by one with valid
// ones if not: what it held stays as it was.
func KeyValues(kvs *[]attribute.KeyValue) bool {
	ok := true
	for i, kv := range *kvs {
		key := string(kv.Key)
		valid := validValue(&kv.Value)
		if text(&key) && valid {
			continue
		}
		if ok {
			*kvs, ok = slices.Clone(*kvs), false
		}
		(*kvs)[i] = attribute.KeyValue{Key: attribute.Key(key), Value: kv.Value}
	}
	return ok
}

func validValue(v *attribute.Value) bool {
	switch v.Type() {
	case attribute.STRING:
		s := v.AsString()
		if text(&s) {
			return true
		}
		*v = attribute.StringValue(s)
	case attribute.FLOAT64:
		if isFinite(v.AsFloat64()) {
			return true
		}
		*v = attribute.StringValue(textOf(v.AsFloat64()))
	case attribute.STRINGSLICE:
		all, ok := v.AsStringSlice(), true
		for i := range all { // it is a copy
			ok = text(&all[i]) && ok
		}
		if ok {
			return true
		}
		*v = attribute.StringSliceValue(all)
	case attribute.FLOAT64SLICE:
		all := v.AsFloat64Slice()
		if !slices.ContainsFunc(all, func(f float64) bool { return !isFinite(f) }) {
			return true
		}
		texts := make([]string, len(all))
		for i, f := range all {
			texts[i] = textOf(f)
		}
		*v = attribute.StringSliceValue(texts)
	case attribute.SLICE:
		all, ok := slices.Clone(v.AsSlice()), true
		for i := range all {
			ok = validValue(&all[i]) && ok
		}
		if ok {
			return true
		}
		*v = attribute.SliceValue(all...)
	case attribute.MAP:
		all := v.AsMap()
		if KeyValues(&all) {
			return true
		}
		*v = attribute.MapValue(all...)
	default:
		return true
	}
	return false
}

func isFinite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

func textOf(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	default:
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
}
