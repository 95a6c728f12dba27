package otlp

import (
	"fmt"
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// maxDepth is how deep messages may nest in bytes to decode. It is the limit
// of the protobuf library, which leaves room for values 3,000 levels deep; a
// stack of that depth takes a few MiB.
const maxDepth = protowire.DefaultRecursionLimit

// Decode reads the spans of an ExportTraceServiceRequest, in the order of the
// bytes. The result shares no memory with b.
//
// Bytes from [AppendRequest] come back to the same bytes when the result is
// encoded again; the package's documentation tells what OTLP cannot carry. Of
// others, what the SDK has no place for is ignored: unknown fields, and dropped
// attributes of resources and scopes.
//
// Whatever b holds, Decode does not panic, and memory stays proportional to
// len(b), though up to 200 times it when b is nothing but empty messages: limit
// what comes from outside. An ID of the wrong length or an invalid tracestate is an error that
// says where it is. It is safe for concurrent use.
func Decode(b []byte) ([]sdktrace.ReadOnlySpan, error) {
	// TracesData is the same on the wire as the request, whose package needs gRPC.
	var data tracepb.TracesData
	if err := (proto.UnmarshalOptions{RecursionLimit: maxDepth, DiscardUnknown: true}).Unmarshal(b, &data); err != nil {
		return nil, fmt.Errorf("decoding OTLP: %w", err)
	}
	return snapshots(&data, "resource_spans", "scope_spans")
}

// snapshots turns messages into spans. An error tells where it is by names that
// are those of what the messages were read from.
func snapshots(data *tracepb.TracesData, resourceSpans, scopeSpans string) ([]sdktrace.ReadOnlySpan, error) {
	var n int
	for _, rs := range data.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			n += len(ss.GetSpans())
		}
	}
	spans := make([]sdktrace.ReadOnlySpan, 0, n)
	for i, rs := range data.GetResourceSpans() {
		res := decodeResource(rs.GetResource(), rs.GetSchemaUrl())
		for j, ss := range rs.GetScopeSpans() {
			scope := decodeScope(ss.GetScope(), ss.GetSchemaUrl())
			for k, s := range ss.GetSpans() {
				stub, err := decodeSpan(s)
				if err != nil {
					return nil, fmt.Errorf("decoding OTLP: %s[%d].%s[%d].spans[%d] %q: %w", resourceSpans, i, scopeSpans, j, k, s.GetName(), err)
				}
				stub.Resource = res
				stub.InstrumentationScope = scope
				// Where the scope has nothing but attributes, Snapshot takes this.
				stub.InstrumentationLibrary = scope //nolint:staticcheck // deprecated, but read
				spans = append(spans, stub.Snapshot())
			}
		}
	}
	return spans, nil
}

// decodeResource returns nil, a valid resource, if there is none.
func decodeResource(res *resourcepb.Resource, schemaURL string) *resource.Resource {
	if res == nil && schemaURL == "" {
		return nil
	}
	return resource.NewWithAttributes(schemaURL, decodeKeyValues(res.GetAttributes())...)
}

func decodeScope(scope *commonpb.InstrumentationScope, schemaURL string) instrumentation.Scope {
	s := instrumentation.Scope{
		Name:      scope.GetName(),
		Version:   scope.GetVersion(),
		SchemaURL: schemaURL,
	}
	if scope != nil {
		s.Attributes = attribute.NewSet(decodeKeyValues(scope.GetAttributes())...)
	}
	return s
}

func decodeSpan(s *tracepb.Span) (tracetest.SpanStub, error) {
	sc, err := decodeContext(s.GetTraceId(), s.GetSpanId(), s.GetTraceState(), s.GetFlags())
	if err != nil {
		return tracetest.SpanStub{}, err
	}
	parent := trace.SpanContextConfig{Remote: remote(s.GetFlags())}
	if id := s.GetParentSpanId(); len(id) > 0 {
		if parent.SpanID, err = decodeSpanID(id); err != nil {
			return tracetest.SpanStub{}, fmt.Errorf("parent: %w", err)
		}
		parent.TraceID = sc.TraceID
	}
	links, err := decodeLinks(s.GetLinks())
	if err != nil {
		return tracetest.SpanStub{}, err
	}
	return tracetest.SpanStub{
		Name:              s.GetName(),
		SpanContext:       trace.NewSpanContext(sc),
		Parent:            trace.NewSpanContext(parent),
		SpanKind:          decodeKind(s.GetKind()),
		StartTime:         decodeTime(s.GetStartTimeUnixNano()),
		EndTime:           decodeTime(s.GetEndTimeUnixNano()),
		Attributes:        decodeKeyValues(s.GetAttributes()),
		Events:            decodeEvents(s.GetEvents()),
		Links:             links,
		Status:            decodeStatus(s.GetStatus()),
		DroppedAttributes: int(s.GetDroppedAttributesCount()),
		DroppedEvents:     int(s.GetDroppedEventsCount()),
		DroppedLinks:      int(s.GetDroppedLinksCount()),
	}, nil
}

func decodeEvents(events []*tracepb.Span_Event) []sdktrace.Event {
	if len(events) == 0 {
		return nil
	}
	out := make([]sdktrace.Event, len(events))
	for i, e := range events {
		out[i] = sdktrace.Event{
			Name:                  e.GetName(),
			Attributes:            decodeKeyValues(e.GetAttributes()),
			DroppedAttributeCount: int(e.GetDroppedAttributesCount()),
			Time:                  decodeTime(e.GetTimeUnixNano()),
		}
	}
	return out
}

func decodeLinks(links []*tracepb.Span_Link) ([]sdktrace.Link, error) {
	if len(links) == 0 {
		return nil, nil
	}
	out := make([]sdktrace.Link, len(links))
	for i, l := range links {
		sc, err := decodeContext(l.GetTraceId(), l.GetSpanId(), l.GetTraceState(), l.GetFlags())
		if err != nil {
			return nil, fmt.Errorf("links[%d]: %w", i, err)
		}
		sc.Remote = remote(l.GetFlags())
		out[i] = sdktrace.Link{
			SpanContext:           trace.NewSpanContext(sc),
			Attributes:            decodeKeyValues(l.GetAttributes()),
			DroppedAttributeCount: int(l.GetDroppedAttributesCount()),
		}
	}
	return out, nil
}

func decodeContext(traceID, spanID []byte, state string, flags uint32) (sc trace.SpanContextConfig, err error) {
	if len(traceID) != len(sc.TraceID) {
		return sc, fmt.Errorf("trace ID of %d bytes instead of %d", len(traceID), len(sc.TraceID))
	}
	copy(sc.TraceID[:], traceID)
	if sc.SpanID, err = decodeSpanID(spanID); err != nil {
		return sc, err
	}
	if sc.TraceState, err = trace.ParseTraceState(state); err != nil {
		return sc, err
	}
	sc.TraceFlags = trace.TraceFlags(flags & uint32(tracepb.SpanFlags_SPAN_FLAGS_TRACE_FLAGS_MASK))
	return sc, nil
}

func decodeSpanID(b []byte) (id trace.SpanID, err error) {
	if len(b) != len(id) {
		return id, fmt.Errorf("span ID of %d bytes instead of %d", len(b), len(id))
	}
	copy(id[:], b)
	return id, nil
}

func remote(flags uint32) bool {
	return flags&uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK) != 0
}

func decodeKind(kind tracepb.Span_SpanKind) trace.SpanKind {
	switch kind {
	case tracepb.Span_SPAN_KIND_INTERNAL:
		return trace.SpanKindInternal
	case tracepb.Span_SPAN_KIND_SERVER:
		return trace.SpanKindServer
	case tracepb.Span_SPAN_KIND_CLIENT:
		return trace.SpanKindClient
	case tracepb.Span_SPAN_KIND_PRODUCER:
		return trace.SpanKindProducer
	case tracepb.Span_SPAN_KIND_CONSUMER:
		return trace.SpanKindConsumer
	default:
		return trace.SpanKindUnspecified
	}
}

func decodeStatus(status *tracepb.Status) sdktrace.Status {
	s := sdktrace.Status{Description: status.GetMessage()}
	switch status.GetCode() {
	case tracepb.Status_STATUS_CODE_OK:
		s.Code = codes.Ok
	case tracepb.Status_STATUS_CODE_ERROR:
		s.Code = codes.Error
	default:
		s.Code = codes.Unset
	}
	return s
}

func decodeTime(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(min(ns, math.MaxInt64)))
}

func decodeKeyValues(kvs []*commonpb.KeyValue) []attribute.KeyValue {
	if len(kvs) == 0 {
		return nil
	}
	out := make([]attribute.KeyValue, len(kvs))
	for i, kv := range kvs {
		out[i] = attribute.KeyValue{Key: attribute.Key(kv.GetKey()), Value: decodeValue(kv.GetValue())}
	}
	return out
}

func decodeValue(v *commonpb.AnyValue) attribute.Value {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return attribute.StringValue(v.StringValue)
	case *commonpb.AnyValue_BoolValue:
		return attribute.BoolValue(v.BoolValue)
	case *commonpb.AnyValue_IntValue:
		return attribute.Int64Value(v.IntValue)
	case *commonpb.AnyValue_DoubleValue:
		return attribute.Float64Value(v.DoubleValue)
	case *commonpb.AnyValue_BytesValue:
		return attribute.ByteSliceValue(v.BytesValue)
	case *commonpb.AnyValue_KvlistValue:
		return attribute.MapValue(decodeKeyValues(v.KvlistValue.GetValues())...)
	case *commonpb.AnyValue_ArrayValue:
		return decodeArray(v.ArrayValue.GetValues())
	default: // also an index into a string table, which the protocol says to treat as absent in a span
		return attribute.Value{}
	}
}

// decodeArray returns a slice of a plain type if all elements share one.
func decodeArray(elems []*commonpb.AnyValue) attribute.Value {
	values := make([]attribute.Value, len(elems))
	same := true
	for i, e := range elems {
		values[i] = decodeValue(e)
		same = same && values[i].Type() == values[0].Type()
	}
	if !same || len(values) == 0 {
		return attribute.SliceValue(values...)
	}
	switch values[0].Type() {
	case attribute.STRING:
		return attribute.StringSliceValue(each(values, attribute.Value.AsString))
	case attribute.BOOL:
		return attribute.BoolSliceValue(each(values, attribute.Value.AsBool))
	case attribute.INT64:
		return attribute.Int64SliceValue(each(values, attribute.Value.AsInt64))
	case attribute.FLOAT64:
		return attribute.Float64SliceValue(each(values, attribute.Value.AsFloat64))
	default:
		return attribute.SliceValue(values...)
	}
}

func each[E any](values []attribute.Value, as func(attribute.Value) E) []E {
	out := make([]E, len(values))
	for i, v := range values {
		out[i] = as(v)
	}
	return out
}

// CountSpans returns how many spans an ExportTraceServiceRequest holds, without
// decoding them.
func CountSpans(b []byte) (int, error) {
	var n int
	const resourceSpans, scopeSpans, span = 1, 2, 2
	err := messages(b, resourceSpans, func(b []byte) error {
		return messages(b, scopeSpans, func(b []byte) error {
			return messages(b, span, func([]byte) error {
				n++
				return nil
			})
		})
	})
	if err != nil {
		return 0, fmt.Errorf("counting the spans of an OTLP request: %w", err)
	}
	return n, nil
}

// messages calls f with each submessage of b in field num.
func messages(b []byte, num protowire.Number, f func([]byte) error) error {
	for len(b) > 0 {
		got, typ, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return protowire.ParseError(tag)
		}
		n := protowire.ConsumeFieldValue(got, typ, b[tag:])
		if n < 0 {
			return protowire.ParseError(n)
		}
		if got == num && typ == protowire.BytesType {
			message, _ := protowire.ConsumeBytes(b[tag:])
			if err := f(message); err != nil {
				return err
			}
		}
		b = b[tag+n:]
	}
	return nil
}
