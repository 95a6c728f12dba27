package record

import (
	"slices"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
)

// normalizeAttribute returns an attribute of a span within the limits: of equal
// keys in a map the last value stays, collections below the depth are replaced by
// the empty value, and strings are cut to length. Negative means no limit. The
// depth of the value itself is 1.
//
// It looks at the depth of slices and maps only, as the SDK does: an array of
// scalars that is the attribute itself passes a depth of 0.
func normalizeAttribute(kv attribute.KeyValue, depth, length int) attribute.KeyValue {
	switch kv.Value.Type() {
	case attribute.STRING:
		// Nearly every string is short enough, which is seen without a call.
		if s := kv.Value.AsString(); length >= 0 && len(s) > length {
			kv.Value = attribute.StringValue(cut(s, length))
		}
	case attribute.STRINGSLICE, attribute.BYTESLICE:
		kv.Value, _ = normalizeValue(kv.Value, -1, length)
	case attribute.SLICE, attribute.MAP:
		kv.Value, _ = normalizeValue(kv.Value, depth, length)
	}
	return kv
}

// normalizeAttributes returns the attributes of an event or of a link within the
// depth. Their strings are not cut, and keys that come twice or are empty stay.
// It returns kvs where nothing changes, and never writes to it.
func normalizeAttributes(kvs []attribute.KeyValue, depth int) []attribute.KeyValue {
	var changed []attribute.KeyValue
	for i := range kvs {
		if scalar(kvs[i].Value.Type()) {
			continue
		}
		v, ok := normalizeValue(kvs[i].Value, depth, -1)
		if !ok {
			continue
		}
		if changed == nil {
			changed = slices.Clone(kvs)
		}
		changed[i].Value = v
	}
	if changed == nil {
		return kvs
	}
	return changed
}

// normalizeSet returns the attributes of a scope within the depth.
func normalizeSet(set attribute.Set, depth int) attribute.Set {
	var changed []attribute.KeyValue
	for i := range set.Len() {
		kv, _ := set.Get(i)
		v, ok := normalizeValue(kv.Value, depth, -1)
		if !ok {
			continue
		}
		if changed == nil {
			changed = set.ToSlice()
		}
		changed[i].Value = v
	}
	if changed == nil {
		return set
	}
	return attribute.NewSet(changed...)
}

// scalar says which values have no depth; all others are collections.
func scalar(t attribute.Type) bool {
	switch t {
	case attribute.EMPTY, attribute.BOOL, attribute.INT64, attribute.FLOAT64, attribute.STRING:
		return true
	}
	return false
}

// normalizeValue says whether it changed v.
func normalizeValue(v attribute.Value, depth, length int) (attribute.Value, bool) {
	t := v.Type()
	if depth == 0 && !scalar(t) {
		return attribute.Value{}, true
	}
	switch t {
	case attribute.STRING:
		return normalizeString(v, length)
	case attribute.STRINGSLICE:
		return normalizeStrings(v, length)
	case attribute.BYTESLICE:
		return normalizeBytes(v, length)
	case attribute.SLICE:
		return normalizeSlice(v, depth, length)
	case attribute.MAP:
		return normalizeMap(v, depth, length)
	}
	return v, false
}

func normalizeString(v attribute.Value, length int) (attribute.Value, bool) {
	s := v.AsString()
	if length < 0 || len(s) <= length {
		return v, false
	}
	short := cut(s, length)
	if len(short) == len(s) {
		return v, false
	}
	return attribute.StringValue(short), true
}

func normalizeStrings(v attribute.Value, length int) (attribute.Value, bool) {
	if length < 0 {
		return v, false
	}
	changed := false
	list := v.AsStringSlice() // a copy
	for i, s := range list {
		if list[i] = cut(s, length); len(list[i]) < len(s) {
			changed = true
		}
	}
	if !changed {
		return v, false
	}
	return attribute.StringSliceValue(list), true
}

// normalizeBytes counts bytes where strings have characters.
func normalizeBytes(v attribute.Value, length int) (attribute.Value, bool) {
	if length < 0 {
		return v, false
	}
	b := v.AsByteSlice()
	if len(b) <= length {
		return v, false
	}
	return attribute.ByteSliceValue(b[:length]), true
}

func normalizeSlice(v attribute.Value, depth, length int) (attribute.Value, bool) {
	changed := false
	list := v.AsSlice() // a copy
	for i, e := range list {
		if e, ok := normalizeValue(e, below(depth), length); ok {
			list[i], changed = e, true
		}
	}
	if !changed {
		return v, false
	}
	return attribute.SliceValue(list...), true
}

func normalizeMap(v attribute.Value, depth, length int) (attribute.Value, bool) {
	changed := false
	list := v.AsMap() // a copy, sorted by key, equal keys in the order they were given
	kept := list[:0]
	for i, kv := range list {
		if i+1 < len(list) && list[i+1].Key == kv.Key {
			changed = true // the next one wins
			continue
		}
		if v, ok := normalizeValue(kv.Value, below(depth), length); ok {
			kv.Value, changed = v, true
		}
		kept = append(kept, kv)
	}
	if !changed {
		return v, false
	}
	return attribute.MapValue(kept...), true
}

// below is the depth that is left for what a collection holds.
func below(depth int) int {
	if depth < 0 {
		return depth
	}
	return depth - 1
}

// cut returns the first n characters of s. A string of at most n bytes stays as it
// is; of a longer one the bytes that are not UTF-8 are left out and do not count.
// What is cut is copied: a span that waits must not hold the whole of a large
// string for its first characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	count := 0
	for i, r := range s {
		if count == n {
			return strings.Clone(s[:i])
		}
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return valid(s, n)
			}
		}
		count++
	}
	return s
}

// valid returns the first n characters of s without what is not UTF-8.
func valid(s string, n int) string {
	var b strings.Builder
	for n > 0 && s != "" {
		r, size := utf8.DecodeRuneInString(s)
		if r != utf8.RuneError || size > 1 {
			b.WriteString(s[:size])
			n--
		}
		s = s[size:]
	}
	return b.String()
}
