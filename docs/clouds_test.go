package docs

import (
	"testing"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/component"
	_ "github.com/riffletrace/riffle/exporters/azuremonitor"
	_ "github.com/riffletrace/riffle/exporters/cloudtrace"
)

// The exporters that the clouds' pages show can be built as they are.
func TestClouds(t *testing.T) {
	t.Setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", "InstrumentationKey=00000000-0000-0000-0000-000000000000")
	t.Setenv("HOME", t.TempDir()) // no credentials of who runs this
	for _, page := range []string{"docs/google.md", "docs/azure.md"} {
		for _, b := range blocksOf(t, page) {
			if b.language != "yaml" {
				continue
			}
			spec, err := config.Parse([]byte(b.text), config.File(page), config.Environ(nil))
			if err != nil {
				t.Errorf("%s:%d: %v", page, b.line, err)
				continue
			}
			for _, entry := range spec.Exporters {
				e, err := entry.Build(t.Context(), component.Settings{})
				if err != nil {
					t.Errorf("%s:%d: %v", page, b.line, err)
					continue
				}
				if err := e.Shutdown(t.Context()); err != nil {
					t.Errorf("%s:%d: %v", page, b.line, err)
				}
			}
		}
	}
}
