package pgxtrace_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/riffletrace/riffle/core/observability/pgxtrace"
)

// What tracing adds to a query, without the query.
func BenchmarkQuery(b *testing.B) {
	for name, p := range map[string]trace.TracerProvider{
		"no provider":   noop.NewTracerProvider(),
		"dropped trace": sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())),
		"recorded":      sdktrace.NewTracerProvider(),
	} {
		b.Run("provider="+name, func(b *testing.B) {
			before := otel.GetTracerProvider()
			otel.SetTracerProvider(p)
			defer otel.SetTracerProvider(before)
			t := pgxtrace.New()
			data := pgx.TraceQueryStartData{SQL: "WITH x AS (SELECT id FROM users WHERE name = 'a') UPDATE orders SET state = 'b' FROM x WHERE owner = x.id"}
			b.ReportAllocs()
			for b.Loop() {
				t.TraceQueryEnd(t.TraceQueryStart(b.Context(), nil, data), nil, pgx.TraceQueryEndData{})
			}
		})
	}
}
