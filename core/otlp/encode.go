package otlp

import (
	"math"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// AppendRequest appends the spans to dst as one ExportTraceServiceRequest and
// returns the extended slice. Nil spans are skipped; without spans nothing is
// appended, which is the encoding of an empty request.
//
// It cannot fail and keeps neither spans nor anything in them. It allocates
// only when dst must grow, and for attributes that hold slices, maps or bytes,
// because the SDK gives those out as copies. Reuse dst. It is safe for
// concurrent use.
func AppendRequest(dst []byte, spans []sdktrace.ReadOnlySpan) []byte {
	g := group(spans)
	defer g.release()

	for r := range g.resources {
		dst = appendResourceSpans(dst, spans, g, r)
	}
	return dst
}

func appendResourceSpans(dst []byte, spans []sdktrace.ReadOnlySpan, g *grouping, r int) []byte {
	const (
		fieldResource   = 1
		fieldScopeSpans = 2
		fieldSchemaURL  = 3
	)
	res := g.resources[r].value

	dst, start := begin(dst, 1, roomGroup)
	if res != nil {
		dst = appendResource(dst, fieldResource, res)
	}
	for sc := range g.scopesOf(r) {
		dst = appendScopeSpans(dst, fieldScopeSpans, spans, g, sc)
	}
	dst = appendString(dst, fieldSchemaURL, res.SchemaURL())
	return end(dst, start, roomGroup)
}

func appendResource(dst []byte, num protowire.Number, res *resource.Resource) []byte {
	dst, start := begin(dst, num, roomSpan)
	dst = appendSet(dst, 1, res.Set())
	return end(dst, start, roomSpan)
}

func appendScopeSpans(dst []byte, num protowire.Number, spans []sdktrace.ReadOnlySpan, g *grouping, sc int) []byte {
	const (
		fieldScope     = 1
		fieldSpans     = 2
		fieldSchemaURL = 3
	)
	scope := &g.scopes[sc].value

	dst, start := begin(dst, num, roomGroup)
	if *scope != (instrumentation.Scope{}) {
		dst = appendScope(dst, fieldScope, scope)
	}
	for i := range g.spansOf(sc) {
		dst = appendSpan(dst, fieldSpans, spans[i])
	}
	dst = appendString(dst, fieldSchemaURL, scope.SchemaURL)
	return end(dst, start, roomGroup)
}

func appendScope(dst []byte, num protowire.Number, scope *instrumentation.Scope) []byte {
	dst, start := begin(dst, num, roomSmall)
	dst = appendString(dst, 1, scope.Name)
	dst = appendString(dst, 2, scope.Version)
	dst = appendSet(dst, 3, &scope.Attributes)
	return end(dst, start, roomSmall)
}

func appendSpan(dst []byte, num protowire.Number, s sdktrace.ReadOnlySpan) []byte {
	const (
		fieldTraceID           = 1
		fieldSpanID            = 2
		fieldTraceState        = 3
		fieldParentSpanID      = 4
		fieldName              = 5
		fieldKind              = 6
		fieldStart             = 7
		fieldEnd               = 8
		fieldAttributes        = 9
		fieldDroppedAttributes = 10
		fieldEvents            = 11
		fieldDroppedEvents     = 12
		fieldLinks             = 13
		fieldDroppedLinks      = 14
		fieldStatus            = 15
		fieldFlags             = 16
	)
	sc, parent := s.SpanContext(), s.Parent()

	dst, start := begin(dst, num, roomSpan)
	dst = appendTraceID(dst, fieldTraceID, sc.TraceID())
	dst = appendSpanID(dst, fieldSpanID, sc.SpanID())
	dst = appendTraceState(dst, fieldTraceState, sc.TraceState())
	if parent.HasSpanID() {
		dst = appendSpanID(dst, fieldParentSpanID, parent.SpanID())
	}
	dst = appendString(dst, fieldName, s.Name())
	dst = appendUint(dst, fieldKind, uint64(spanKind(s.SpanKind())))
	dst = appendTime(dst, fieldStart, s.StartTime())
	dst = appendTime(dst, fieldEnd, s.EndTime())
	for _, kvs := range attributesOf(s) {
		dst = appendKeyValues(dst, fieldAttributes, kvs)
	}
	dst = appendCount(dst, fieldDroppedAttributes, s.DroppedAttributes())
	for _, e := range s.Events() {
		dst = appendEvent(dst, fieldEvents, &e)
	}
	dst = appendCount(dst, fieldDroppedEvents, s.DroppedEvents())
	for _, l := range s.Links() {
		dst = appendLink(dst, fieldLinks, &l)
	}
	dst = appendCount(dst, fieldDroppedLinks, s.DroppedLinks())
	dst = appendStatus(dst, fieldStatus, s.Status())
	// A span says whether its parent is remote, a link whether its target is.
	dst = appendFlags(dst, fieldFlags, sc.TraceFlags(), parent.IsRemote())
	return end(dst, start, roomSpan)
}

// attributesOf returns the attributes of a span, as it holds them if it tells: each key is
// in one of the slices.
func attributesOf(s sdktrace.ReadOnlySpan) [3][]attribute.KeyValue {
	if s, ok := s.(interface {
		AttributePieces() [3][]attribute.KeyValue
	}); ok {
		return s.AttributePieces()
	}
	return [3][]attribute.KeyValue{s.Attributes()}
}

func appendEvent(dst []byte, num protowire.Number, e *sdktrace.Event) []byte {
	dst, start := begin(dst, num, roomSmall)
	dst = appendTime(dst, 1, e.Time)
	dst = appendString(dst, 2, e.Name)
	dst = appendKeyValues(dst, 3, e.Attributes)
	dst = appendCount(dst, 4, e.DroppedAttributeCount)
	return end(dst, start, roomSmall)
}

func appendLink(dst []byte, num protowire.Number, l *sdktrace.Link) []byte {
	sc := l.SpanContext
	dst, start := begin(dst, num, roomSmall)
	dst = appendTraceID(dst, 1, sc.TraceID())
	dst = appendSpanID(dst, 2, sc.SpanID())
	dst = appendTraceState(dst, 3, sc.TraceState())
	dst = appendKeyValues(dst, 4, l.Attributes)
	dst = appendCount(dst, 5, l.DroppedAttributeCount)
	dst = appendFlags(dst, 6, sc.TraceFlags(), sc.IsRemote())
	return end(dst, start, roomSmall)
}

func appendStatus(dst []byte, num protowire.Number, status sdktrace.Status) []byte {
	dst, start := begin(dst, num, roomSmall)
	dst = appendString(dst, 2, status.Description)
	dst = appendUint(dst, 3, uint64(statusCode(status.Code)))
	return end(dst, start, roomSmall)
}

func appendKeyValues(dst []byte, num protowire.Number, kvs []attribute.KeyValue) []byte {
	for i := range kvs {
		dst = appendKeyValue(dst, num, &kvs[i])
	}
	return dst
}

func appendSet(dst []byte, num protowire.Number, set *attribute.Set) []byte {
	for iter := set.Iter(); iter.Next(); {
		kv := iter.Attribute()
		dst = appendKeyValue(dst, num, &kv)
	}
	return dst
}

func appendKeyValue(dst []byte, num protowire.Number, kv *attribute.KeyValue) []byte {
	dst, start := begin(dst, num, roomSmall)
	dst = appendString(dst, 1, string(kv.Key))
	dst = appendValue(dst, 2, kv.Value)
	return end(dst, start, roomSmall)
}

// appendValue appends v as an AnyValue. Its fields are a oneof: they are
// present even if they hold a zero.
func appendValue(dst []byte, num protowire.Number, v attribute.Value) []byte {
	const (
		fieldString = 1
		fieldBool   = 2
		fieldInt    = 3
		fieldDouble = 4
		fieldArray  = 5
		fieldMap    = 6
		fieldBytes  = 7

		fieldValues = 1 // of an array or a map
	)
	dst, start := begin(dst, num, roomSmall)
	switch v.Type() {
	case attribute.EMPTY:
	case attribute.STRING:
		dst = appendPresentString(dst, fieldString, v.AsString())
	case attribute.BOOL:
		dst = appendTag(dst, fieldBool, protowire.VarintType)
		dst = append(dst, byte(protowire.EncodeBool(v.AsBool())))
	case attribute.INT64:
		dst = appendTag(dst, fieldInt, protowire.VarintType)
		dst = appendVarint(dst, uint64(v.AsInt64()))
	case attribute.FLOAT64:
		dst = appendTag(dst, fieldDouble, protowire.Fixed64Type)
		dst = protowire.AppendFixed64(dst, math.Float64bits(v.AsFloat64()))
	case attribute.BYTESLICE:
		dst = appendTag(dst, fieldBytes, protowire.BytesType)
		dst = protowire.AppendBytes(dst, v.AsByteSlice())
	case attribute.MAP:
		var list int
		dst, list = begin(dst, fieldMap, roomSmall)
		dst = appendKeyValues(dst, fieldValues, v.AsMap())
		dst = end(dst, list, roomSmall)
	case attribute.SLICE:
		dst = appendArray(dst, fieldArray, v.AsSlice(), func(e attribute.Value) attribute.Value { return e })
	case attribute.BOOLSLICE:
		dst = appendArray(dst, fieldArray, v.AsBoolSlice(), attribute.BoolValue)
	case attribute.INT64SLICE:
		dst = appendArray(dst, fieldArray, v.AsInt64Slice(), attribute.Int64Value)
	case attribute.FLOAT64SLICE:
		dst = appendArray(dst, fieldArray, v.AsFloat64Slice(), attribute.Float64Value)
	case attribute.STRINGSLICE:
		dst = appendArray(dst, fieldArray, v.AsStringSlice(), attribute.StringValue)
	default: // a type that a later SDK has added
		dst = appendPresentString(dst, fieldString, v.String())
	}
	return end(dst, start, roomSmall)
}

func appendArray[E any](dst []byte, num protowire.Number, elems []E, value func(E) attribute.Value) []byte {
	dst, start := begin(dst, num, roomSmall)
	for _, e := range elems {
		dst = appendValue(dst, 1, value(e))
	}
	return end(dst, start, roomSmall)
}

// What follows appends single fields. As proto3 has it, a field with the zero
// value is left out, but for those whose presence says something.

func appendTraceID(dst []byte, num protowire.Number, id trace.TraceID) []byte {
	dst = appendTag(dst, num, protowire.BytesType)
	dst = append(dst, byte(len(id)))
	return append(dst, id[:]...)
}

func appendSpanID(dst []byte, num protowire.Number, id trace.SpanID) []byte {
	dst = appendTag(dst, num, protowire.BytesType)
	dst = append(dst, byte(len(id)))
	return append(dst, id[:]...)
}

// appendTraceState does what appending ts.String() would, without its
// allocation.
func appendTraceState(dst []byte, num protowire.Number, ts trace.TraceState) []byte {
	if ts.Len() == 0 {
		return dst
	}
	dst, start := begin(dst, num, roomSmall)
	ts.Walk(func(key, value string) bool {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(dst, key...)
		dst = append(dst, '=')
		dst = append(dst, value...)
		return true
	})
	return end(dst, start, roomSmall)
}

func appendFlags(dst []byte, num protowire.Number, tf trace.TraceFlags, remote bool) []byte {
	dst = protowire.AppendTag(dst, num, protowire.Fixed32Type)
	return protowire.AppendFixed32(dst, spanFlags(tf, remote))
}

func appendTime(dst []byte, num protowire.Number, t time.Time) []byte {
	ns := unixNano(t)
	if ns == 0 {
		return dst
	}
	dst = appendTag(dst, num, protowire.Fixed64Type)
	return protowire.AppendFixed64(dst, ns)
}

func appendCount(dst []byte, num protowire.Number, n int) []byte {
	return appendUint(dst, num, count(n))
}

func appendUint(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	dst = appendTag(dst, num, protowire.VarintType)
	return appendVarint(dst, v)
}

func appendString(dst []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	return appendPresentString(dst, num, s)
}

func appendPresentString(dst []byte, num protowire.Number, s string) []byte {
	if !utf8.ValidString(s) {
		s = toValidUTF8(s)
	}
	dst = appendTag(dst, num, protowire.BytesType)
	dst = appendVarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// appendTag is protowire's for field numbers below 16, whose tags are one byte.
func appendTag(dst []byte, num protowire.Number, typ protowire.Type) []byte {
	return append(dst, byte(protowire.EncodeTag(num, typ)))
}

// appendVarint is protowire's with the one-byte case inlined.
func appendVarint(dst []byte, v uint64) []byte {
	if v < 1<<7 {
		return append(dst, byte(v))
	}
	return protowire.AppendVarint(dst, v)
}

// The length of a message stands before it but is known only after it. begin
// leaves room for a length of that many bytes; end puts it there, and moves the
// message if the guess was wrong. Guessing right for the large ones is what
// counts.
const (
	roomSmall = 1 // below 128 B: attributes, events
	roomSpan  = 2 // below 16 KiB
	roomGroup = 3 // below 2 MiB: many spans
)

func begin(dst []byte, num protowire.Number, room int) (extended []byte, start int) {
	dst = appendTag(dst, num, protowire.BytesType)
	for range room {
		dst = append(dst, 0)
	}
	return dst, len(dst)
}

func end(dst []byte, start, room int) []byte {
	if size := len(dst) - start; size < 1<<7 && room == 1 {
		dst[start-1] = byte(size)
		return dst
	}
	return endLarge(dst, start, room)
}

func endLarge(dst []byte, start, room int) []byte {
	size := len(dst) - start
	to := start - room + protowire.SizeVarint(uint64(size))
	if to > start {
		dst = append(dst, make([]byte, to-start)...)
	}
	if to != start {
		copy(dst[to:], dst[start:start+size])
	}
	protowire.AppendVarint(dst[:start-room], uint64(size))
	return dst[:to+size]
}
