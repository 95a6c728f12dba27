package match

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/core/component"
)

// String is the match as one writes it in a configuration, on one line:
// "{attributes: {tenant: gold}}".
func (c Config) String() string { return flowStruct(reflect.ValueOf(c)) }

// String is likewise.
func (c SpanConfig) String() string { return flowStruct(reflect.ValueOf(c)) }

// flowStruct is a struct in YAML's flow style: its keys that are set, and what stands
// among them.
func flowStruct(v reflect.Value) string {
	var parts []string
	for i := range v.NumField() {
		key, inline := component.FieldKey(v.Type().Field(i))
		f := v.Field(i)
		switch {
		case f.IsZero() || (f.Kind() == reflect.Map || f.Kind() == reflect.Slice) && f.Len() == 0:
		case inline:
			parts = append(parts, members(f)...)
		case key != "":
			parts = append(parts, key+": "+flow(f))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// plainText is what needs no quotes in YAML's flow style, whatever comes after it.
var plainText = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./ -]*$`)

// notText are words that YAML takes for something else.
var notText = []string{"true", "false", "null", "yes", "no", "on", "off"}

// flow is a value in YAML's flow style.
func flow(v reflect.Value) string {
	if v.IsValid() {
		if m, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok {
			text, _ := m.MarshalText() // of a duration, which has no error
			return string(text)
		}
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		return flow(v.Elem())
	case reflect.Struct:
		return flowStruct(v)
	case reflect.Map:
		return "{" + strings.Join(members(v), ", ") + "}"
	case reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = flow(v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.String:
		return flowText(v.String())
	case reflect.Invalid:
		return "null"
	default:
		return fmt.Sprint(v.Interface())
	}
}

// members are those of a map, by key.
func members(v reflect.Value) (parts []string) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		parts = append(parts, flow(key)+": "+flow(v.MapIndex(key)))
	}
	return parts
}

func flowText(s string) string {
	if plainText.MatchString(s) && !strings.HasSuffix(s, " ") && !slices.Contains(notText, strings.ToLower(s)) {
		return s
	}
	return strconv.Quote(s)
}
