package observability

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/observability/internal/limit"
)

// MaxValueLength is how many bytes the helpers keep of a string, and of a list
// of strings as a whole. What is longer is cut and ends in a marker that tells
// how long it was: "...(cut, 123456 bytes)". A lower bound that is set with
// limits.attribute_value_length cuts without a marker.
const MaxValueLength = limit.MaxLength

// StartSpan starts a span with the global provider, below the one in ctx. The
// caller ends it.
func StartSpan(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	return tracer().Start(ctx, name, opts...)
}

// SpanFromContext returns the span in ctx, one that does nothing if it has
// none.
func SpanFromContext(ctx context.Context) trace.Span { return trace.SpanFromContext(ctx) }

// ContextWithSpan returns a context in which span is the current one.
func ContextWithSpan(ctx context.Context, span trace.Span) context.Context {
	return trace.ContextWithSpan(ctx, span)
}

// ExtractTraceID returns the trace ID in ctx in hex, "" if it has none.
func ExtractTraceID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return sc.TraceID().String()
	}
	return ""
}

// ExtractSpanID returns the span ID in ctx in hex, "" if it has none.
func ExtractSpanID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.HasSpanID() {
		return sc.SpanID().String()
	}
	return ""
}

// SetSpanAttributes sets attributes of the span in ctx. Strings are cut at
// [MaxValueLength].
func SetSpanAttributes(ctx context.Context, attrs ...attribute.KeyValue) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(limit.All(attrs)...)
	}
}

// AddSpanEvent adds an event to the span in ctx. Strings are cut at
// [MaxValueLength].
func AddSpanEvent(ctx context.Context, name string, attrs ...attribute.KeyValue) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.AddEvent(name, trace.WithAttributes(limit.All(attrs)...))
	}
}

// ErrorOption changes what [RecordError] does.
type ErrorOption uint8

const (
	// WithStack adds the stack of the goroutine to the exception.
	WithStack ErrorOption = 1 << iota
	// CanceledIsNoError leaves out errors that are [context.Canceled]: somebody
	// went away, and nothing failed.
	CanceledIsNoError
)

// RecordError adds an exception to the span in ctx, with the type and the
// message of err, and makes the span's status an error. It does nothing if err
// is nil. The span does not end.
func RecordError(ctx context.Context, err error, opts ...ErrorOption) {
	if err == nil {
		return
	}
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	var all ErrorOption
	for _, o := range opts {
		all |= o
	}
	if all&CanceledIsNoError != 0 && errors.Is(err, context.Canceled) {
		return
	}
	message := limit.String(err.Error())
	var stack string
	if all&WithStack != 0 {
		stack = limit.String(string(debug.Stack()))
	}
	addException(span, fmt.Sprintf("%T", err), message, stack)
	span.SetStatus(codes.Error, message)
}

// addException adds the event that OpenTelemetry describes.
//
// Source: https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/
func addException(span trace.Span, typ, message, stack string) {
	attrs := make([]attribute.KeyValue, 0, 3)
	attrs = append(attrs, attribute.String("exception.type", typ), attribute.String("exception.message", message))
	if stack != "" {
		attrs = append(attrs, attribute.String("exception.stacktrace", stack))
	}
	span.AddEvent("exception", trace.WithAttributes(attrs...))
}
