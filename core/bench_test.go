package core_test

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// What a trace costs that is not sampled: a root and one child.
func BenchmarkDropped(b *testing.B) {
	p, err := core.New(b.Context(), core.Spec{
		Enabled:  true,
		Samplers: []core.SamplerEntry{core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0})},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Shutdown(context.Background())
	stock := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0))))
	defer stock.Shutdown(context.Background())

	for _, v := range []struct {
		name     string
		provider trace.TracerProvider
	}{{"stock", stock}, {"riffle", p.TracerProvider()}} {
		b.Run("sdk="+v.name, func(b *testing.B) {
			tracer := v.provider.Tracer("bench")
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				rootCtx, root := tracer.Start(ctx, "GET /users/{id}", trace.WithSpanKind(trace.SpanKindServer))
				_, child := tracer.Start(rootCtx, "db.select")
				child.End()
				root.End()
			}
		})
	}
}
