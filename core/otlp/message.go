package otlp

import (
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// KeyValues turns attributes into messages, for protocols that borrow OTLP's.
// It is not for a hot path.
func KeyValues(attrs []attribute.KeyValue) []*commonpb.KeyValue {
	var list commonpb.KeyValueList
	if err := proto.Unmarshal(appendKeyValues(nil, 1, attrs), &list); err != nil {
		return nil // our own bytes
	}
	return list.GetValues()
}

// Attributes turns messages back into attributes.
func Attributes(kvs []*commonpb.KeyValue) []attribute.KeyValue { return decodeKeyValues(kvs) }

// FromSpanKind turns the kind of a span into a message's.
func FromSpanKind(kind trace.SpanKind) tracepb.Span_SpanKind { return spanKind(kind) }

// ToSpanKind is the reverse of [FromSpanKind]. What is unknown is unspecified.
func ToSpanKind(kind tracepb.Span_SpanKind) trace.SpanKind { return decodeKind(kind) }

// FromStatus turns a status into a message.
func FromStatus(s sdktrace.Status) *tracepb.Status {
	return &tracepb.Status{Message: toValidUTF8(s.Description), Code: statusCode(s.Code)}
}

// ToStatus is the reverse of [FromStatus].
func ToStatus(s *tracepb.Status) sdktrace.Status { return decodeStatus(s) }
