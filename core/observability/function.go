package observability

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// FunctionSpanConfig says which execution of an edge function a span is of.
// What is empty is left out.
type FunctionSpanConfig struct {
	ExecutionID string
	Name        string
	Namespace   string
	UserID      string
	Method      string // of the HTTP request that called it
	URL         string
}

// StartFunctionSpan starts the span of an edge function. It is called
// function.<namespace>.<name>, function.<name> without a namespace, and has
// the kind server.
func StartFunctionSpan(ctx context.Context, cfg FunctionSpanConfig) (context.Context, trace.Span) {
	s := start(trace.SpanKindServer)
	s.set("function.execution_id", cfg.ExecutionID)
	s.set("function.name", cfg.Name)
	s.set("function.namespace", cfg.Namespace)
	s.set("user.id", cfg.UserID)
	s.set("http.method", cfg.Method)
	s.set("http.request.method", cfg.Method)
	s.set("http.url", cfg.URL)
	s.set("url.full", cfg.URL)
	return s.span(ctx, trace.SpanKindServer, spanName("function", cfg.Namespace, cfg.Name))
}

// AddFunctionEvent adds an event to the function's span in ctx.
func AddFunctionEvent(ctx context.Context, name string, attrs ...attribute.KeyValue) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.AddEvent(name, trace.WithAttributes(bounded(attrs)...))
	}
}

// SetFunctionResult says how the function in ctx ended. An err, or a
// statusCode of 400 or more, makes the span an error. The span does not end.
func SetFunctionResult(ctx context.Context, statusCode int, d time.Duration, err error) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		attribute.Int("http.status_code", statusCode),
		attribute.Int("http.response.status_code", statusCode),
		attribute.Int64("function.duration_ms", d.Milliseconds()),
	)
	switch {
	case err != nil:
		RecordError(ctx, err)
	case statusCode >= 400:
		span.SetStatus(codes.Error, "HTTP status "+strconv.Itoa(statusCode))
	}
}
