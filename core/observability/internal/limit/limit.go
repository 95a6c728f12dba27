// Package limit bounds the values of attributes.
package limit

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
)

// MaxLength is how many bytes are kept of a string, and of a list of strings.
const MaxLength = 16 << 10

// String bounds a string: the marker at its end tells how long it was.
func String(s string) string {
	if len(s) <= MaxLength {
		return s
	}
	end := MaxLength
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	// A new string, so that the span does not hold the whole of the old one.
	return fmt.Sprintf("%s...(cut, %d bytes)", s[:end], len(s))
}

// All returns a copy of attrs whose values are bounded. attrs does not
// escape, so that a caller needs no memory for it where nothing records.
func All(attrs []attribute.KeyValue) []attribute.KeyValue {
	out := make([]attribute.KeyValue, len(attrs))
	for i, kv := range attrs {
		switch kv.Value.Type() {
		case attribute.STRING:
			if s := kv.Value.AsString(); len(s) > MaxLength {
				kv.Value = attribute.StringValue(String(s))
			}
		case attribute.STRINGSLICE:
			kv.Value = list(kv.Value)
		default: // numbers
		}
		out[i] = kv
	}
	return out
}

// list bounds a list of strings as a whole.
func list(v attribute.Value) attribute.Value {
	const header = 16 // of each string
	all := v.AsStringSlice()
	size := 0
	for i, s := range all {
		if size += header + len(s); size <= MaxLength {
			continue
		}
		kept := make([]string, 0, i+2)
		for _, s := range all[:i] {
			kept = append(kept, strings.Clone(s))
		}
		if i == 0 {
			kept = append(kept, String(s))
		}
		if rest := len(all) - len(kept); rest > 0 {
			kept = append(kept, fmt.Sprintf("...(cut, %d of %d values)", rest, len(all)))
		}
		return attribute.StringSliceValue(kept)
	}
	return v
}
