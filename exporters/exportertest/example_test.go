package exportertest_test

import (
	"path/filepath"
	"testing"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/exporters/exportertest"
	"github.com/riffletrace/riffle/exporters/file"
)

// The test of an exporter's package runs the whole suite.
func Example() {
	TestConformance := func(t *testing.T) {
		config := file.Config{Path: filepath.Join(t.TempDir(), "spans"), Format: file.JSON}
		exportertest.Run(t, exportertest.Plan(component.Use(file.Factory, "", config)))
	}
	_ = TestConformance
}
