package viewer

import (
	"encoding/binary"
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// span is what is held of a span, without its attributes, events, links and texts: those
// are bytes of its trace, see [encoder]. It has no pointers, so that millions of them
// cost the garbage collector nothing.
type span struct {
	id, parent trace.SpanID
	start, end int64   // nanoseconds since 1970; 0: none
	weight     float64 // 0: its tracestate tells none
	at         uint32  // where its bytes begin
	op         uint32  // service and name: of Store.ops
	origin     uint32  // resource and scope: of held.origins
	kind       uint8   // as in OTLP
	status     uint8   // as in the API
	flags      uint8
	remote     bool // its parent is of another process
}

// The status of a span, in the API.
const (
	statusUnset = iota
	statusOK
	statusError
)

// duration is 0 for a span of which the start or the end is not told, or that ends before
// it starts.
func (s *span) duration() int64 {
	if s.start == 0 || s.end < s.start {
		return 0
	}
	return s.end - s.start
}

// counts is for how many spans it stands.
func (s *span) counts() float64 {
	if s.weight == 0 {
		return 1
	}
	return s.weight
}

// maxData bounds the bytes of a trace, so that an offset in them fits.
const maxData = math.MaxInt32

// nanos are nanoseconds since 1970 within the years that they have: 1970 to 2262.
func nanos(t time.Time) int64 {
	switch sec := t.Unix(); {
	case sec < 0:
		return 0
	case sec >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64
	}
	return t.UnixNano()
}

func instant(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// encoder writes what a span has besides its fixed fields as bytes, which [decoder] reads:
//
//	attributes, events, links, status description, tracestate, three counts of what was dropped
//
// A number is a varint, a text its length and its bytes, a list its length and its
// elements, a key its number or 0 and a text. The bytes never leave the process.
type encoder struct {
	b    []byte
	keys *keys
}

func (e *encoder) number(n uint64) { e.b = binary.AppendUvarint(e.b, n) }
func (e *encoder) signed(n int64)  { e.b = binary.AppendVarint(e.b, n) }
func (e *encoder) count(n int)     { e.number(uint64(max(n, 0))) }

func (e *encoder) text(s string) {
	e.count(len(s))
	e.b = append(e.b, s...)
}

// span writes a span, and returns its fixed fields but for what the store numbers.
func (e *encoder) span(s sdktrace.ReadOnlySpan) span {
	sc, parent := s.SpanContext(), s.Parent()
	out := span{
		id: sc.SpanID(), parent: parent.SpanID(), remote: parent.IsRemote(),
		start: nanos(s.StartTime()), end: nanos(s.EndTime()),
		kind: kindOf(s.SpanKind()), status: statusOf(s.Status().Code), flags: uint8(sc.TraceFlags()),
	}
	if sc.TraceState().Len() > 0 {
		out.weight = sampling.ThresholdOf(sc).AdjustedCount()
	}
	e.attributes(s.Attributes())
	events := s.Events()
	e.count(len(events))
	for i := range events {
		e.text(events[i].Name)
		e.signed(nanos(events[i].Time))
		e.count(events[i].DroppedAttributeCount)
		e.attributes(events[i].Attributes)
	}
	links := s.Links()
	e.count(len(links))
	for i := range links {
		e.link(&links[i])
	}
	e.text(s.Status().Description)
	e.text(sc.TraceState().String())
	e.count(s.DroppedAttributes())
	e.count(s.DroppedEvents())
	e.count(s.DroppedLinks())
	return out
}

func (e *encoder) link(l *sdktrace.Link) {
	traceID, spanID := l.SpanContext.TraceID(), l.SpanContext.SpanID()
	e.b = append(e.b, traceID[:]...)
	e.b = append(e.b, spanID[:]...)
	e.b = append(e.b, uint8(l.SpanContext.TraceFlags()))
	e.number(bit(l.SpanContext.IsRemote()))
	e.text(l.SpanContext.TraceState().String())
	e.count(l.DroppedAttributeCount)
	e.attributes(l.Attributes)
}

func (e *encoder) attributes(kvs []attribute.KeyValue) {
	e.count(len(kvs))
	for i := range kvs {
		e.attribute(&kvs[i])
	}
}

func (e *encoder) attribute(kv *attribute.KeyValue) {
	code := e.keys.code(string(kv.Key))
	e.number(code)
	if code == inline {
		e.text(string(kv.Key))
	}
	e.value(kv.Value)
}

func (e *encoder) value(v attribute.Value) {
	e.b = append(e.b, uint8(v.Type()))
	switch v.Type() {
	case attribute.STRING:
		e.text(v.AsString())
	case attribute.BOOL:
		e.number(bit(v.AsBool()))
	case attribute.INT64:
		e.signed(v.AsInt64())
	case attribute.FLOAT64:
		e.float(v.AsFloat64())
	case attribute.BYTESLICE:
		e.text(string(v.AsByteSlice()))
	case attribute.STRINGSLICE:
		list(e, v.AsStringSlice(), e.text)
	case attribute.BOOLSLICE:
		list(e, v.AsBoolSlice(), func(b bool) { e.number(bit(b)) })
	case attribute.INT64SLICE:
		list(e, v.AsInt64Slice(), e.signed)
	case attribute.FLOAT64SLICE:
		list(e, v.AsFloat64Slice(), e.float)
	case attribute.SLICE:
		list(e, v.AsSlice(), e.value)
	case attribute.MAP:
		e.attributes(v.AsMap())
	case attribute.EMPTY:
	default: // a type that a later SDK has added
		e.b[len(e.b)-1] = uint8(attribute.STRING)
		e.text(v.String())
	}
}

func list[E any](e *encoder, elements []E, write func(E)) {
	e.count(len(elements))
	for _, v := range elements {
		write(v)
	}
}

func (e *encoder) float(f float64) {
	e.b = binary.LittleEndian.AppendUint64(e.b, math.Float64bits(f))
}

// origin writes a resource and a scope: equal ones are equal bytes.
func (e *encoder) origin(res *resource.Resource, scope *instrumentation.Scope) {
	e.text(res.SchemaURL())
	e.attributes(res.Attributes())
	e.text(scope.Name)
	e.text(scope.Version)
	e.text(scope.SchemaURL)
	e.attributes(scope.Attributes.ToSlice())
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func kindOf(k trace.SpanKind) uint8 {
	if k < trace.SpanKindUnspecified || k > trace.SpanKindConsumer {
		return uint8(trace.SpanKindUnspecified)
	}
	return uint8(k) // the SDK numbers them as OTLP does
}

func statusOf(c codes.Code) uint8 {
	switch c {
	case codes.Ok:
		return statusOK
	case codes.Error:
		return statusError
	default:
		return statusUnset
	}
}
