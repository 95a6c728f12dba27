package stdout

import (
	"io"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/exporters/exportertest"
)

func TestConformance(t *testing.T) {
	for _, format := range []string{Tree, JSON, OTLPJSON} {
		t.Run(format, func(t *testing.T) {
			exportertest.Run(t, func(tb testing.TB) sdktrace.SpanExporter {
				e, err := New(tb.Context(), component.Settings{}, Config{Format: format, Output: Stderr})
				if err != nil {
					tb.Fatal(err)
				}
				e.(*exporter).w = io.Discard
				return e
			})
		})
	}
}
