// Package testspans makes the spans that tests and benchmarks of encodings
// share, those in modules of their own among them.
package testspans

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// Service returns what a service makes: HTTP, database and own spans in turn,
// with 8 attributes, one event and a tracestate each, ended by the SDK.
func Service(tb testing.TB, n int) []sdktrace.ReadOnlySpan {
	tb.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(recorder),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "fluxbase"),
			attribute.String("deployment.environment.name", "production"),
		)),
	)
	state, err := trace.ParseTraceState("ot=th:fd70a4")
	if err != nil {
		tb.Fatal(err)
	}
	parent := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, TraceState: state,
	}))
	scopes := []string{
		"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
		"github.com/riffletrace/riffle/core/observability/pgx",
		"example.com/fluxbase/internal/checkout",
	}
	for i := range n {
		_, span := provider.Tracer(scopes[i%len(scopes)], trace.WithInstrumentationVersion("0.72.0")).
			Start(parent, "POST /api/v1/tables/{table}", trace.WithSpanKind(trace.SpanKindServer))
		span.SetAttributes(
			attribute.String("http.request.method", "POST"),
			attribute.String("http.route", "/api/v1/tables/{table}"),
			attribute.String("server.address", "api.fluxbase.example.com"),
			attribute.String("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0)"),
			attribute.Int("http.response.status_code", 200),
			attribute.Int("http.response.body.size", 18_304),
			attribute.Float64("fluxbase.quota.used", 0.375),
			attribute.Bool("fluxbase.cache.hit", true),
		)
		span.AddEvent("rows fetched", trace.WithTimestamp(time.Now()), trace.WithAttributes(attribute.Int("db.rows", 42)))
		span.SetStatus(codes.Ok, "")
		span.End()
	}
	return recorder.Ended()
}
