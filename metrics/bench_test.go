package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/spanmetrics"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// What span_metrics cost a request of six spans, of which one in a hundred is kept: against
// one that is recorded all the same, with what the section starts, and with dimensions.
func BenchmarkSpanMetrics(b *testing.B) {
	for _, v := range []struct {
		name   string
		config *spanmetrics.Config
	}{
		{"none", nil},
		{"plain", &spanmetrics.Config{}},
		{"dimensions", &spanmetrics.Config{Dimensions: []string{"http.route", "http.response.status_code"}}},
	} {
		b.Run(fmt.Sprintf("span_metrics=%s", v.name), func(b *testing.B) {
			p, err := core.New(b.Context(), core.Spec{
				Enabled: true, AlwaysRecord: true, SpanMetrics: v.config,
				Samplers: []core.SamplerEntry{core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0.01})},
				Metrics:  core.UseMetrics(Prometheus, PrometheusConfig{Path: "/metrics"}),
			}, core.Logger(slog.New(slog.DiscardHandler)))
			if err != nil {
				b.Fatal(err)
			}
			defer p.Shutdown(context.Background())
			tracer := p.TracerProvider().Tracer("bench")
			b.ReportAllocs()
			for b.Loop() {
				request(tracer)
			}
		})
	}
}

func request(tracer trace.Tracer) {
	const queries = 5
	ctx, root := tracer.Start(context.Background(), "GET /users/{id}", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", "GET"), attribute.String("url.path", "/users/4711")))
	for range queries {
		_, query := tracer.Start(ctx, "SELECT users", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("db.system.name", "postgresql")))
		query.End()
	}
	root.SetAttributes(attribute.Int("http.response.status_code", 200), attribute.String("http.route", "/users/{id}"))
	root.End()
}
