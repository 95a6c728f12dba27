package stdout

import (
	"io"
	"testing"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/exporters/exportertest"
)

func TestConformance(t *testing.T) {
	for _, format := range []string{Tree, JSON, OTLPJSON} {
		t.Run(format, func(t *testing.T) {
			exportertest.Run(t, func(tb testing.TB) core.Exporter {
				e, err := New(tb.Context(), core.Settings{}, Config{Format: format, Output: Stderr})
				if err != nil {
					tb.Fatal(err)
				}
				e.(*exporter).w = io.Discard
				return e
			})
		})
	}
}
