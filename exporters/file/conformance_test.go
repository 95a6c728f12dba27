package file_test

import (
	"path/filepath"
	"testing"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/exporters/exportertest"
	"github.com/riffletrace/riffle/exporters/file"
)

func TestConformance(t *testing.T) {
	for _, format := range []string{file.JSON, file.OTLPJSON} {
		t.Run(format, func(t *testing.T) {
			exportertest.Run(t, func(tb testing.TB) core.Exporter {
				c := file.Config{Path: filepath.Join(tb.TempDir(), "spans.json"), Format: format}
				return exportertest.Component(core.Use(file.Factory, "", c))(tb)
			})
		})
	}
}
