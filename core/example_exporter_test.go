package core_test

import (
	"context"
	"fmt"
	"io"
	"os"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// NamesConfig is what users set.
type NamesConfig struct {
	_      struct{} `doc:"prints the names of spans"`
	Prefix string   `yaml:"prefix" doc:"what stands before each name"`
}

// names is an SDK exporter: any of those can be registered.
type names struct {
	w      io.Writer
	prefix string
}

func (e *names) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(e.w, e.prefix, s.Name(), sampling.ThresholdOf(s.SpanContext()).AdjustedCount()); err != nil {
			return err
		}
	}
	return nil
}

func (*names) Shutdown(context.Context) error { return nil }

var Names = component.NewFactory("names", NamesConfig{Prefix: "-"}, func(_ context.Context, _ component.Settings, c NamesConfig) (sdktrace.SpanExporter, error) {
	return &names{w: os.Stdout, prefix: c.Prefix}, nil
})

func init() { component.Exporters.MustAdd(Names) }

// An exporter that prints names. Registered, configurations can name it:
// "- type: names".
func ExampleNewFactory_exporter() {
	ctx := context.Background()
	provider, err := core.New(ctx, core.Spec{Enabled: true, Exporters: []core.ExporterEntry{
		core.UseExporter(Names, "", NamesConfig{Prefix: "*"}),
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, span := provider.TracerProvider().Tracer("example").Start(ctx, "GET /", trace.WithSpanKind(trace.SpanKindServer))
	span.End()
	if err := provider.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: * GET / 1
}
