package viewer

import (
	"encoding/binary"
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// decoder reads what an [encoder] wrote.
type decoder struct {
	b    []byte
	keys []string
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.b)
	d.b = d.b[size:]
	return n
}

func (d *decoder) signed() int64 {
	n, size := binary.Varint(d.b)
	d.b = d.b[size:]
	return n
}

func (d *decoder) count() int { return int(d.number()) }

func (d *decoder) bytes(n int) []byte {
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

// raw is a text that is good as long as the bytes are.
func (d *decoder) raw() []byte { return d.bytes(d.count()) }

func (d *decoder) text() string { return string(d.raw()) }

func (d *decoder) float() float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(d.bytes(8)))
}

func (d *decoder) attributes() []attribute.KeyValue {
	n := d.count()
	if n == 0 {
		return nil
	}
	out := make([]attribute.KeyValue, n)
	for i := range out {
		out[i] = attribute.KeyValue{Key: d.key(), Value: d.value()}
	}
	return out
}

func (d *decoder) key() attribute.Key {
	if code := d.number(); code != inline {
		return attribute.Key(d.keys[code-1])
	}
	return attribute.Key(d.text())
}

func (d *decoder) typ() attribute.Type { return attribute.Type(d.bytes(1)[0]) }

func (d *decoder) value() attribute.Value { return d.valueOf(d.typ()) }

// valueOf reads what follows the type.
func (d *decoder) valueOf(typ attribute.Type) attribute.Value {
	switch typ {
	case attribute.STRING:
		return attribute.StringValue(d.text())
	case attribute.BOOL:
		return attribute.BoolValue(d.number() == 1)
	case attribute.INT64:
		return attribute.Int64Value(d.signed())
	case attribute.FLOAT64:
		return attribute.Float64Value(d.float())
	case attribute.BYTESLICE:
		return attribute.ByteSliceValue(d.raw())
	case attribute.STRINGSLICE:
		return attribute.StringSliceValue(elements(d, d.text))
	case attribute.BOOLSLICE:
		return attribute.BoolSliceValue(elements(d, func() bool { return d.number() == 1 }))
	case attribute.INT64SLICE:
		return attribute.Int64SliceValue(elements(d, d.signed))
	case attribute.FLOAT64SLICE:
		return attribute.Float64SliceValue(elements(d, d.float))
	case attribute.SLICE:
		return attribute.SliceValue(elements(d, d.value)...)
	case attribute.MAP:
		return attribute.MapValue(d.attributes()...)
	default:
		return attribute.Value{}
	}
}

func elements[E any](d *decoder, read func() E) []E {
	out := make([]E, d.count())
	for i := range out {
		out[i] = read()
	}
	return out
}

// skipAttributes goes on to what follows attributes.
func (d *decoder) skipAttributes() {
	for range d.count() {
		if d.number() == inline {
			d.raw()
		}
		d.skipValue(d.typ())
	}
}

// skipValue goes on to what follows a value, of which the type was read.
func (d *decoder) skipValue(typ attribute.Type) {
	switch typ {
	case attribute.STRING, attribute.BYTESLICE:
		d.raw()
	case attribute.BOOL, attribute.INT64:
		d.number()
	case attribute.FLOAT64:
		d.bytes(8)
	default:
		d.valueOf(typ)
	}
}

func (d *decoder) events() []sdktrace.Event {
	n := d.count()
	if n == 0 {
		return nil
	}
	out := make([]sdktrace.Event, n)
	for i := range out {
		out[i].Name = d.text()
		out[i].Time = instant(d.signed())
		out[i].DroppedAttributeCount = d.count()
		out[i].Attributes = d.attributes()
	}
	return out
}

func (d *decoder) skipEvents() {
	for range d.count() {
		d.raw()
		d.signed()
		d.number()
		d.skipAttributes()
	}
}

func (d *decoder) links() []sdktrace.Link {
	n := d.count()
	if n == 0 {
		return nil
	}
	out := make([]sdktrace.Link, n)
	for i := range out {
		sc := trace.SpanContextConfig{TraceID: trace.TraceID(d.bytes(16)), SpanID: trace.SpanID(d.bytes(8))}
		sc.TraceFlags = trace.TraceFlags(d.bytes(1)[0])
		sc.Remote = d.number() == 1
		sc.TraceState, _ = trace.ParseTraceState(d.text()) // it was one
		out[i].SpanContext = trace.NewSpanContext(sc)
		out[i].DroppedAttributeCount = d.count()
		out[i].Attributes = d.attributes()
	}
	return out
}

func (d *decoder) skipLinks() {
	for range d.count() {
		d.bytes(16 + 8 + 1)
		d.number()
		d.raw()
		d.number()
		d.skipAttributes()
	}
}

// rest is what follows attributes, events and links.
type rest struct {
	description, state        string
	attributes, events, links int // dropped
}

func (d *decoder) rest() rest {
	return rest{d.text(), d.text(), d.count(), d.count(), d.count()}
}

// micros is a time or a duration in the API: nanoseconds as microseconds. A float64 has
// room for the microseconds of today, but not for the nanoseconds.
func micros(ns int64) float64 {
	const us = int64(time.Microsecond)
	return float64(ns/us) + float64(ns%us)/float64(us)
}
