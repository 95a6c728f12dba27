package file_test

import (
	"path/filepath"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/exporters/exportertest"
	"github.com/riffletrace/riffle/exporters/file"
)

func TestConformance(t *testing.T) {
	for _, format := range []string{file.JSON, file.OTLPJSON} {
		t.Run(format, func(t *testing.T) {
			exportertest.Run(t, func(tb testing.TB) sdktrace.SpanExporter {
				c := file.Config{Path: filepath.Join(tb.TempDir(), "spans.json"), Format: format}
				return exportertest.Plan(component.Use(file.Factory, "", c))(tb)
			})
		})
	}
}
