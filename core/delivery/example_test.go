package delivery_test

import (
	"context"
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core/delivery"
)

// printing prints what it gets.
type printing struct{}

func (printing) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		fmt.Println(s.Name())
	}
	return nil
}

func (printing) Shutdown(context.Context) error { return nil }

// A line takes spans to one exporter. Handing them over only enqueues them.
func Example() {
	var lines delivery.Lines
	line := lines.Add(printing{}, delivery.Defaults(), delivery.Settings{Name: "names"})
	lines.HandOver(tracetest.SpanStubs{{Name: "GET /"}, {Name: "SELECT"}}.Snapshots()...)
	if err := line.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	stats := line.Stats()
	fmt.Println("handed over", stats.HandedOver, "sent", stats.Sent)
	// Output:
	// GET /
	// SELECT
	// handed over 2 sent 2
}
