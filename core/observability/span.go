package observability

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/internal/bound"
)

// MaxValueLength is how many bytes the helpers keep of a string, and of a list
// as a whole. What is longer is cut and ends in "...[truncated]", whatever provider
// records it. A lower bound that is set with limits.attribute_value_length cuts
// without that.
const MaxValueLength = int(bound.Default)

// StartSpan starts a span with the global provider, below the one in ctx. The
// caller ends it.
func StartSpan(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	return tracer().Start(ctx, name, opts...)
}

// bounded returns a copy of attrs within the bounds. attrs does not escape, so that a
// caller needs no memory for it where nothing records.
func bounded(attrs []attribute.KeyValue) []attribute.KeyValue {
	out := make([]attribute.KeyValue, len(attrs))
	for i, kv := range attrs {
		out[i] = bound.Default.Attribute(kv)
	}
	return out
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
		span.SetAttributes(bounded(attrs)...)
	}
}

// AddSpanEvent adds an event to the span in ctx. Strings are cut at
// [MaxValueLength].
func AddSpanEvent(ctx context.Context, name string, attrs ...attribute.KeyValue) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.AddEvent(name, trace.WithAttributes(bounded(attrs)...))
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
	message := bound.Default.Text(err.Error())
	var stack string
	if all&WithStack != 0 {
		stack = bound.Default.Text(string(debug.Stack()))
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
