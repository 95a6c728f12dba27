package plugintest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/riffletrace/riffle/plugins/internal/hostile"
	"github.com/riffletrace/riffle/plugins/plugintest"
)

// A plugin that answers late cannot make a check of many calls last for hours.
func TestLongest(t *testing.T) {
	plugintest.SetLongest(t, 3*time.Second)
	began := time.Now()
	failures, ok := plugintest.CheckRule(t.Context(), "sampler: concurrent use", hostile.Script(t, "late"))
	if text := strings.Join(failures, "\n"); !ok || !strings.Contains(text, "not over after 3s: it was ended") || strings.Contains(text, "ended by itself") {
		t.Errorf("%s: want that it took too long, alone", text)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}
