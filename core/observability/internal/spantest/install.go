package spantest

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
)

// Install makes a provider of riffle's the global one, and returns what
// arrived so far.
func Install(t *testing.T, spec core.Spec) func() tracetest.SpanStubs {
	t.Helper()
	out := tracetest.NewInMemoryExporter()
	spec.Enabled = true
	spec.Exporters = append(spec.Exporters, core.UseExporter(component.NewFactory("memory", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
		return out, nil
	}), "", struct{}{}))
	p, err := core.New(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	undo := p.Install()
	t.Cleanup(func() {
		undo()
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return func() tracetest.SpanStubs {
		t.Helper()
		if err := p.ForceFlush(context.Background()); err != nil {
			t.Fatal(err)
		}
		return out.GetSpans()
	}
}
