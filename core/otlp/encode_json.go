package otlp

import (
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// AppendJSON appends to dst, in OTLP's JSON, the message that [AppendRequest]
// writes, and returns the extended slice. It is one line without its line break,
// {} if there are no spans but nil ones.
//
// As AppendRequest, it cannot fail, keeps nothing, allocates only when dst must
// grow and for attributes that hold slices, maps or bytes, and is safe for
// concurrent use.
func AppendJSON(dst []byte, spans []sdktrace.ReadOnlySpan) []byte {
	g := group(spans)
	defer g.release()

	dst = append(dst, '{')
	if len(g.resources) > 0 {
		dst = append(dst, `"resourceSpans":[`...)
		for r := range g.resources {
			dst = appendJSONResourceSpans(appendComma(dst), spans, g, r)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendJSONResourceSpans(dst []byte, spans []sdktrace.ReadOnlySpan, g *grouping, r int) []byte {
	res := g.resources[r].value

	dst = append(dst, '{')
	if res != nil {
		dst = append(dst, `"resource":{`...)
		dst = appendJSONSet(dst, res.Set())
		dst = append(dst, '}')
	}
	dst = appendName(dst, `"scopeSpans":`)
	dst = append(dst, '[')
	for sc := range g.scopesOf(r) {
		dst = appendJSONScopeSpans(appendComma(dst), spans, g, sc)
	}
	dst = append(dst, ']')
	dst = appendJSONString(dst, `"schemaUrl":`, res.SchemaURL())
	return append(dst, '}')
}

func appendJSONScopeSpans(dst []byte, spans []sdktrace.ReadOnlySpan, g *grouping, sc int) []byte {
	scope := &g.scopes[sc].value

	dst = append(dst, '{')
	if *scope != (instrumentation.Scope{}) {
		dst = append(dst, `"scope":{`...)
		dst = appendJSONString(dst, `"name":`, scope.Name)
		dst = appendJSONString(dst, `"version":`, scope.Version)
		dst = appendJSONSet(dst, &scope.Attributes)
		dst = append(dst, '}')
	}
	dst = appendName(dst, `"spans":`)
	dst = append(dst, '[')
	for i := range g.spansOf(sc) {
		dst = appendJSONSpan(appendComma(dst), spans[i])
	}
	dst = append(dst, ']')
	dst = appendJSONString(dst, `"schemaUrl":`, scope.SchemaURL)
	return append(dst, '}')
}

func appendJSONSpan(dst []byte, s sdktrace.ReadOnlySpan) []byte {
	sc, parent := s.SpanContext(), s.Parent()

	dst = append(dst, '{')
	dst = appendJSONIDs(dst, sc)
	if parent.HasSpanID() {
		id := parent.SpanID()
		dst = appendHex(dst, `"parentSpanId":`, id[:])
	}
	// A span says whether its parent is remote, a link whether its target is.
	dst = appendNumber(dst, `"flags":`, uint64(spanFlags(sc.TraceFlags(), parent.IsRemote())))
	dst = appendJSONString(dst, `"name":`, s.Name())
	dst = appendNumber(dst, `"kind":`, uint64(spanKind(s.SpanKind())))
	dst = appendJSONTime(dst, `"startTimeUnixNano":`, s.StartTime())
	dst = appendJSONTime(dst, `"endTimeUnixNano":`, s.EndTime())
	dst = appendAttributes(dst, s.Attributes())
	dst = appendNumber(dst, `"droppedAttributesCount":`, count(s.DroppedAttributes()))
	dst = appendJSONEvents(dst, s.Events())
	dst = appendNumber(dst, `"droppedEventsCount":`, count(s.DroppedEvents()))
	dst = appendJSONLinks(dst, s.Links())
	dst = appendNumber(dst, `"droppedLinksCount":`, count(s.DroppedLinks()))
	status := s.Status()
	dst = append(dst, `,"status":{`...)
	dst = appendJSONString(dst, `"message":`, status.Description)
	dst = appendNumber(dst, `"code":`, uint64(statusCode(status.Code)))
	return append(dst, "}}"...)
}

func appendJSONEvents(dst []byte, events []sdktrace.Event) []byte {
	if len(events) == 0 {
		return dst
	}
	dst = append(dst, `,"events":[`...)
	for i := range events {
		e := &events[i]
		dst = append(appendComma(dst), '{')
		dst = appendJSONTime(dst, `"timeUnixNano":`, e.Time)
		dst = appendJSONString(dst, `"name":`, e.Name)
		dst = appendAttributes(dst, e.Attributes)
		dst = appendNumber(dst, `"droppedAttributesCount":`, count(e.DroppedAttributeCount))
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendJSONLinks(dst []byte, links []sdktrace.Link) []byte {
	if len(links) == 0 {
		return dst
	}
	dst = append(dst, `,"links":[`...)
	for i := range links {
		l := &links[i]
		sc := l.SpanContext
		dst = append(appendComma(dst), '{')
		dst = appendJSONIDs(dst, sc)
		dst = appendAttributes(dst, l.Attributes)
		dst = appendNumber(dst, `"droppedAttributesCount":`, count(l.DroppedAttributeCount))
		dst = appendNumber(dst, `"flags":`, uint64(spanFlags(sc.TraceFlags(), sc.IsRemote())))
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendJSONIDs appends what spans and links begin with.
func appendJSONIDs(dst []byte, sc trace.SpanContext) []byte {
	traceID, spanID, ts := sc.TraceID(), sc.SpanID(), sc.TraceState()
	dst = appendHex(dst, `"traceId":`, traceID[:])
	dst = appendHex(dst, `"spanId":`, spanID[:])
	if ts.Len() == 0 {
		return dst
	}
	dst = append(dst, `,"traceState":"`...)
	start := len(dst)
	ts.Walk(func(key, value string) bool {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = appendEscaped(dst, key)
		dst = append(dst, '=')
		dst = appendEscaped(dst, value)
		return true
	})
	return append(dst, '"')
}

func appendAttributes(dst []byte, kvs []attribute.KeyValue) []byte {
	return appendJSONKeyValues(dst, `"attributes":`, kvs)
}

func appendJSONKeyValues(dst []byte, name string, kvs []attribute.KeyValue) []byte {
	if len(kvs) == 0 {
		return dst
	}
	dst = append(appendName(dst, name), '[')
	for i := range kvs {
		dst = appendJSONKeyValue(appendComma(dst), &kvs[i])
	}
	return append(dst, ']')
}

func appendJSONSet(dst []byte, set *attribute.Set) []byte {
	if set.Len() == 0 {
		return dst
	}
	dst = append(appendName(dst, `"attributes":`), '[')
	for iter := set.Iter(); iter.Next(); {
		kv := iter.Attribute()
		dst = appendJSONKeyValue(appendComma(dst), &kv)
	}
	return append(dst, ']')
}

func appendJSONKeyValue(dst []byte, kv *attribute.KeyValue) []byte {
	dst = append(dst, '{')
	dst = appendJSONString(dst, `"key":`, string(kv.Key))
	dst = appendName(dst, `"value":`)
	dst = appendJSONValue(dst, kv.Value)
	return append(dst, '}')
}

// appendJSONValue appends v as an AnyValue, whose fields are present even if
// they hold a zero.
func appendJSONValue(dst []byte, v attribute.Value) []byte {
	dst = append(dst, '{')
	switch v.Type() {
	case attribute.EMPTY:
	case attribute.STRING:
		dst = appendQuoted(append(dst, `"stringValue":`...), v.AsString())
	case attribute.BOOL:
		dst = strconv.AppendBool(append(dst, `"boolValue":`...), v.AsBool())
	case attribute.INT64:
		dst = strconv.AppendInt(append(dst, `"intValue":"`...), v.AsInt64(), 10)
		dst = append(dst, '"')
	case attribute.FLOAT64:
		dst = appendDouble(append(dst, `"doubleValue":`...), v.AsFloat64())
	case attribute.BYTESLICE:
		dst = base64.StdEncoding.AppendEncode(append(dst, `"bytesValue":"`...), v.AsByteSlice())
		dst = append(dst, '"')
	case attribute.MAP:
		dst = appendJSONKeyValues(append(dst, `"kvlistValue":{`...), `"values":`, v.AsMap())
		dst = append(dst, '}')
	case attribute.SLICE:
		dst = appendJSONArray(dst, v.AsSlice(), func(e attribute.Value) attribute.Value { return e })
	case attribute.BOOLSLICE:
		dst = appendJSONArray(dst, v.AsBoolSlice(), attribute.BoolValue)
	case attribute.INT64SLICE:
		dst = appendJSONArray(dst, v.AsInt64Slice(), attribute.Int64Value)
	case attribute.FLOAT64SLICE:
		dst = appendJSONArray(dst, v.AsFloat64Slice(), attribute.Float64Value)
	case attribute.STRINGSLICE:
		dst = appendJSONArray(dst, v.AsStringSlice(), attribute.StringValue)
	default: // a type that a later SDK has added
		dst = appendQuoted(append(dst, `"stringValue":`...), v.String())
	}
	return append(dst, '}')
}

func appendJSONArray[E any](dst []byte, elems []E, value func(E) attribute.Value) []byte {
	dst = append(dst, `"arrayValue":{`...)
	if len(elems) > 0 {
		dst = append(dst, `"values":[`...)
		for _, e := range elems {
			dst = appendJSONValue(appendComma(dst), value(e))
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// appendDouble appends the shortest number that is read as f again. JSON has no
// numbers for what is none.
func appendDouble(dst []byte, f float64) []byte {
	switch abs := math.Abs(f); {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	case abs != 0 && (abs < 1e-6 || abs >= 1e21): // where JavaScript turns to exponents
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	default:
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
}

// What follows appends single fields, which are left out if they are zero, but
// for IDs. A name comes with its quotes and colon.

func appendHex(dst []byte, name string, id []byte) []byte {
	dst = append(appendName(dst, name), '"')
	return append(hex.AppendEncode(dst, id), '"')
}

// appendJSONTime appends a string: that is how 64 bits survive JavaScript.
func appendJSONTime(dst []byte, name string, t time.Time) []byte {
	ns := unixNano(t)
	if ns == 0 {
		return dst
	}
	dst = append(appendName(dst, name), '"')
	return append(strconv.AppendUint(dst, ns, 10), '"')
}

func appendNumber(dst []byte, name string, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return strconv.AppendUint(appendName(dst, name), v, 10)
}

func appendJSONString(dst []byte, name, s string) []byte {
	if s == "" {
		return dst
	}
	return appendQuoted(appendName(dst, name), s)
}

// appendName begins a field, after a comma unless it is the first of its object.
func appendName(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(dst, name...)
}

// appendComma separates from the element before, if there is one.
func appendComma(dst []byte) []byte {
	if dst[len(dst)-1] == '[' {
		return dst
	}
	return append(dst, ',')
}

func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s)
	return append(dst, '"')
}

// appendEscaped escapes no more than JSON demands.
func appendEscaped(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	if !utf8.ValidString(s) {
		s = toValidUTF8(s)
	}
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
		}
	}
	return append(dst, s[start:]...)
}
