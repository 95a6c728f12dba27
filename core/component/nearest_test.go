package component_test

import (
	"testing"

	"github.com/riffletrace/riffle/core/component"
)

func TestOf(t *testing.T) {
	known := []string{"threshold", "rate", "max", "min"}
	for s, want := range map[string]string{
		"treshold":   "threshold",
		"threhsold":  "threshold",
		"THRESHOLD":  "threshold",
		"thresholds": "threshold",
		"rte":        "rate",
		"mx":         "max",
		"exporters":  "",
		"":           "",
	} {
		if got := component.Nearest(s, known); got != want {
			t.Errorf("Of(%q) = %q, want %q", s, got, want)
		}
	}
}
