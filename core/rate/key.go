package rate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/route"
)

// The words of a [Key] that are no attributes.
const (
	RouteKey  = "route"
	NameKey   = "name"
	KindKey   = "kind"
	StatusKey = "status"
)

// MaxText bounds each value of a key, in bytes: one that is longer has no key.
const MaxText = 1 << 10

// maxName is what is looked at of a name: more than the longest value, so that the path
// in it may be longer than its shape.
const maxName = 2 * MaxText

// Root is what a [Key] looks at of a local root.
type Root struct {
	Name       string
	Kind       trace.SpanKind
	Status     codes.Code
	Attributes []attribute.KeyValue
	Events     []sdktrace.Event // if the key looks at them
}

// Key tells kinds of traces apart by values of their local root. It is safe for
// concurrent use.
type Key struct {
	byRoute, byName, byKind, byStatus bool
	attributes                        []attribute.Key
	byException                       bool // some of them are of an exception
	shapes                            route.Shapes
}

// NewKey returns the key of these words: attributes, and those that are none. The route
// is http.route or, where that is not known, the shape of the path; see [route.Shapes].
// The path in a name has its shape, too.
func NewKey(words []string) *Key {
	k := &Key{}
	for _, word := range words {
		switch word {
		case RouteKey:
			k.byRoute = true
		case NameKey:
			k.byName = true
		case KindKey:
			k.byKind = true
		case StatusKey:
			k.byStatus = true
		default:
			k.attributes = append(k.attributes, attribute.Key(word))
			k.byException = k.byException || isOfException(attribute.Key(word))
		}
	}
	return k
}

// CheckKey returns what is wrong with the words of a key, as [component.FieldError]s
// below key; at the start of a local root also what is not known then. More are the
// words that the caller knows besides.
func CheckKey(words []string, start bool, more ...string) (errs []error) {
	for i, word := range words {
		var err error
		switch {
		case word == "":
			known := append([]string{RouteKey, NameKey, KindKey, StatusKey}, more...)
			err = fmt.Errorf("empty: want an attribute, or one of %v", known)
		case slices.Index(words, word) < i:
			err = fmt.Errorf("%q is listed twice", word)
		case start && (word == StatusKey || match.IsKnownAtEnd(word)):
			err = errors.New(word + ` is not known when a local root starts: write "at: end"`)
		}
		if err != nil {
			errs = append(errs, &component.FieldError{Path: fmt.Sprintf("key[%d]", i), Err: err})
		}
	}
	return errs
}

// Attributes are those that the key looks at.
func (k *Key) Attributes() []attribute.Key {
	all := slices.Clone(k.attributes)
	if k.byRoute {
		for _, key := range route.Keys() {
			if !slices.Contains(all, key) {
				all = append(all, key)
			}
		}
	}
	return all
}

// LooksAtEvents tells that the key looks at the events: at the last exception, where the
// span has no attribute of that name.
func (k *Key) LooksAtEvents() bool { return k.byException }

func isOfException(key attribute.Key) bool { return strings.HasPrefix(string(key), "exception.") }

// IgnoresName tells that the key does not look at the name.
func (k *Key) IgnoresName() bool { return !k.byName && !k.byRoute }

// IgnoresKind tells that the key does not look at the kind.
func (k *Key) IgnoresKind() bool { return !k.byKind }

// Append writes the values of a local root, so that others are written otherwise:
// those of different types differ, and so does one that is missing from an empty one.
// It is not ok where one is longer than [MaxText]. It allocates nothing for most.
func (k *Key) Append(dst []byte, root *Root, now time.Time) (key []byte, ok bool) {
	if k.byRoute {
		at := len(dst)
		dst, _ = k.shapes.AppendRoute(append(dst, make([]byte, lengthBytes)...), root.Name, root.Attributes, now)
		if !putLength(dst[at:]) {
			return nil, false
		}
	}
	if k.byName {
		at := len(dst)
		dst = k.shapes.AppendName(append(dst, make([]byte, lengthBytes)...), root.Name[:min(len(root.Name), maxName)], now)
		if !putLength(dst[at:]) {
			return nil, false
		}
	}
	if k.byKind {
		dst = append(dst, byte(root.Kind))
	}
	if k.byStatus {
		dst = append(dst, byte(root.Status))
	}
	for _, key := range k.attributes {
		v := valueOf(root.Attributes, key)
		if v.Type() == attribute.EMPTY && isOfException(key) {
			v = ofException(root.Events, key)
		}
		if dst, ok = appendValue(dst, v); !ok {
			return nil, false
		}
	}
	return dst, true
}

// lengthBytes is what the length of a text takes before it.
const lengthBytes = 4

// putLength writes the length of the text into the room before it, unless that is too
// long.
func putLength(text []byte) bool {
	n := len(text) - lengthBytes
	binary.LittleEndian.PutUint32(text, uint32(n))
	return n <= MaxText
}

func appendText(dst []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(s))), s...)
}

// valueOf is that of the attribute; the last one counts, as in the SDK.
func valueOf(attributes []attribute.KeyValue, key attribute.Key) (v attribute.Value) {
	for i := range attributes {
		if attributes[i].Key == key {
			v = attributes[i].Value
		}
	}
	return v
}

// ofException is the value that the last exception has.
func ofException(events []sdktrace.Event, key attribute.Key) attribute.Value {
	for i := range slices.Backward(events) {
		if events[i].Name == "exception" {
			return valueOf(events[i].Attributes, key)
		}
	}
	return attribute.Value{}
}

func appendValue(dst []byte, v attribute.Value) (out []byte, ok bool) {
	dst = append(dst, byte(v.Type()))
	switch v.Type() {
	case attribute.EMPTY:
	case attribute.STRING, attribute.BYTESLICE:
		if len(v.AsString()) > MaxText {
			return dst, false
		}
		dst = appendText(dst, v.AsString())
	case attribute.INT64:
		dst = binary.LittleEndian.AppendUint64(dst, uint64(v.AsInt64()))
	case attribute.FLOAT64:
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.AsFloat64()))
	case attribute.BOOL:
		dst = strconv.AppendBool(dst, v.AsBool())
	default:
		if sizeOf(v) > MaxText {
			return dst, false
		}
		dst = appendText(dst, v.String())
	}
	return dst, true
}

// sizeOf is about the size of a list or a map, up to what is too much.
func sizeOf(v attribute.Value) (size int) {
	const each = 8 // of an element
	switch v.Type() {
	case attribute.BOOLSLICE:
		return each * len(v.AsBoolSlice())
	case attribute.INT64SLICE:
		return each * len(v.AsInt64Slice())
	case attribute.FLOAT64SLICE:
		return each * len(v.AsFloat64Slice())
	case attribute.STRINGSLICE:
		for _, s := range v.AsStringSlice() {
			if size += each + len(s); size > MaxText {
				break
			}
		}
	case attribute.SLICE:
		for _, e := range v.AsSlice() {
			if size += each + sizeOf(e); size > MaxText {
				break
			}
		}
	case attribute.MAP:
		for _, kv := range v.AsMap() {
			if size += each + len(kv.Key) + sizeOf(kv.Value); size > MaxText {
				break
			}
		}
	default:
		size = len(v.AsString())
	}
	return size
}
