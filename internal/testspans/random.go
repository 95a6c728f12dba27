package testspans

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// Random returns a handful of spans, some nil, that use all that the SDK's types
// allow, the absurd included. All strings are valid UTF-8.
func Random(seed uint64) []sdktrace.ReadOnlySpan {
	return random{rand.New(rand.NewPCG(seed, 1))}.spans()
}

// RandomFrom lets a fuzzer choose: the numbers are the bytes of data, then
// those of a fixed sequence.
func RandomFrom(data []byte) []sdktrace.ReadOnlySpan {
	return random{rand.New(&bytesSource{data: data, rest: rand.NewPCG(1, 1)})}.spans()
}

type random struct{ *rand.Rand }

type bytesSource struct {
	data []byte
	rest rand.Source
}

func (s *bytesSource) Uint64() uint64 {
	if len(s.data) == 0 {
		return s.rest.Uint64()
	}
	var b [8]byte
	// The generator uses the high bits of small numbers, so one byte makes one
	// choice.
	b[7] = s.data[0]
	s.data = s.data[1:]
	return binary.LittleEndian.Uint64(b[:]) | s.rest.Uint64()>>8
}

func (r random) spans() []sdktrace.ReadOnlySpan {
	// The SDK merges resources that differ only in their schema URL; riffle does
	// not. So one set of attributes goes with one URL here.
	resources := []*resource.Resource{
		nil,
		resource.NewWithAttributes("https://opentelemetry.io/schemas/1.37.0", attribute.String("service.name", "a")),
		resource.NewSchemaless(append(r.keyValues(2), attribute.Int64("unique", int64(r.Uint32())))...),
	}
	scopes := []instrumentation.Scope{
		{},
		{Name: "a"},
		{Name: "a", Version: "1"},
		{Name: "a", SchemaURL: "https://opentelemetry.io/schemas/1.37.0"},
		{Attributes: attribute.NewSet(attribute.String("only", "attributes"))},
		{Name: r.text(), Version: r.text(), SchemaURL: r.text(), Attributes: attribute.NewSet(attribute.Int("x", r.IntN(3)), attribute.Bool("y", true))},
	}
	spans := make([]sdktrace.ReadOnlySpan, r.IntN(12))
	for i := range spans {
		if r.IntN(10) == 0 {
			continue // stays nil
		}
		scope := scopes[r.IntN(len(scopes))]
		spans[i] = tracetest.SpanStub{
			Name:                   r.text(),
			SpanContext:            r.spanContext(),
			Parent:                 r.spanContext(),
			SpanKind:               trace.SpanKind(r.IntN(8) - 1),
			StartTime:              r.time(),
			EndTime:                r.time(),
			Attributes:             r.keyValues(3),
			Events:                 r.events(),
			Links:                  r.links(),
			Status:                 sdktrace.Status{Code: codes.Code(r.IntN(4)), Description: r.text()},
			DroppedAttributes:      r.count(),
			DroppedEvents:          r.count(),
			DroppedLinks:           r.count(),
			ChildSpanCount:         r.count(),
			Resource:               resources[r.IntN(len(resources))],
			InstrumentationScope:   scope,
			InstrumentationLibrary: scope, //nolint:staticcheck // Snapshot reads it where the scope has only attributes
		}.Snapshot()
	}
	return spans
}

func (r random) events() []sdktrace.Event {
	events := make([]sdktrace.Event, r.IntN(3))
	for i := range events {
		events[i] = sdktrace.Event{Name: r.text(), Time: r.time(), Attributes: r.keyValues(2), DroppedAttributeCount: r.count()}
	}
	return events
}

func (r random) links() []sdktrace.Link {
	links := make([]sdktrace.Link, r.IntN(3))
	for i := range links {
		links[i] = sdktrace.Link{SpanContext: r.spanContext(), Attributes: r.keyValues(2), DroppedAttributeCount: r.count()}
	}
	return links
}

func (r random) spanContext() trace.SpanContext {
	var c trace.SpanContextConfig
	if r.IntN(4) > 0 {
		binary.BigEndian.PutUint64(c.TraceID[8:], r.Uint64())
		binary.BigEndian.PutUint64(c.SpanID[:], r.Uint64())
	}
	c.TraceFlags = trace.TraceFlags(r.IntN(256))
	c.Remote = r.IntN(2) == 0
	for range r.IntN(3) {
		key := string(rune('a' + r.IntN(26)))
		c.TraceState, _ = c.TraceState.Insert(key, "th:"+strings.Repeat("c", r.IntN(100)))
	}
	return trace.NewSpanContext(c)
}

func (r random) keyValues(depth int) []attribute.KeyValue {
	kvs := make([]attribute.KeyValue, r.IntN(5))
	for i := range kvs {
		kvs[i] = attribute.KeyValue{Key: attribute.Key(r.text()), Value: r.value(depth)}
	}
	return kvs
}

func (r random) value(depth int) attribute.Value {
	types := 12
	if depth == 0 {
		types = 10
	}
	switch r.IntN(types) {
	case 0:
		return attribute.StringValue(r.text())
	case 1:
		return attribute.BoolValue(r.IntN(2) == 0)
	case 2:
		return attribute.Int64Value(r.int())
	case 3:
		return attribute.Float64Value(r.float())
	case 4:
		return attribute.StringSliceValue(several(r, r.text))
	case 5:
		return attribute.BoolSliceValue(several(r, func() bool { return r.IntN(2) == 0 }))
	case 6:
		return attribute.Int64SliceValue(several(r, r.int))
	case 7:
		return attribute.Float64SliceValue(several(r, r.float))
	case 8:
		return attribute.ByteSliceValue([]byte(r.text() + "\xff"))
	case 9:
		return attribute.Value{}
	case 10:
		return attribute.SliceValue(several(r, func() attribute.Value { return r.value(depth - 1) })...)
	default:
		return attribute.MapValue(r.keyValues(depth - 1)...)
	}
}

func several[T any](r random, one func() T) []T {
	all := make([]T, r.IntN(8))
	for i := range all {
		all[i] = one()
	}
	return all
}

// text has the lengths around which encodings change.
func (r random) text() string {
	switch r.IntN(8) {
	case 0:
		return ""
	case 1:
		return strings.Repeat("x", 120+r.IntN(20))
	case 2:
		return strings.Repeat("ü", r.IntN(40))
	case 3:
		if r.IntN(20) == 0 {
			return strings.Repeat("y", 16_300+r.IntN(200))
		}
		return "\x00"
	default:
		return "key." + string(rune('a'+r.IntN(26)))
	}
}

func (r random) int() int64 {
	return []int64{0, 1, -1, 127, 128, math.MaxInt64, math.MinInt64, int64(r.Uint64())}[r.IntN(8)]
}

func (r random) float() float64 {
	return []float64{0, math.Copysign(0, -1), 1.5, math.Inf(1), math.Inf(-1), r.Float64()}[r.IntN(6)]
}

func (r random) count() int {
	return []int{0, 0, 1, 300, -1, math.MaxInt32, math.MaxInt}[r.IntN(7)]
}

func (r random) time() time.Time {
	switch r.IntN(6) {
	case 0:
		return time.Time{}
	case 1:
		return time.Unix(0, 0)
	case 2:
		return time.Unix(-1, 0)
	default:
		return time.Unix(0, r.Int64())
	}
}
