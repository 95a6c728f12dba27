//go:build unix

package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
)

// A plugin that is stopped does not hold up a shutdown, whose error counts what it did
// not take.
func TestShutdownWithAStoppedPlugin(t *testing.T) {
	p, logs := opened(t, "file", func(l *timing) { *l = defaultTiming })
	out := filepath.Join(t.TempDir(), "spans")
	e, err := p.Exporter(t.Context(), settings(logs), "", component.JSON(fmt.Sprintf(`{"path": %q}`, out)))
	if err != nil {
		t.Fatal(err)
	}
	var lines delivery.Lines
	line := lines.Add(e, delivery.Defaults(), delivery.Settings{Name: "plugin", Type: "plugin", Logger: logs.logger(), MeterProvider: sdkmetric.NewMeterProvider()})
	pid := p.PID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	eventually(t, "each of its threads is stopped", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, name := range threads {
			text, err := os.ReadFile(name)
			if err != nil || !strings.Contains(string(text), ") T ") {
				return false
			}
		}
		return err == nil
	})
	lines.HandOver(spans(0, 20)...)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	err = line.Shutdown(ctx)
	took := time.Since(began)
	if err == nil || !strings.Contains(err.Error(), "20 spans were left behind") {
		t.Errorf("Shutdown = %v", err)
	}
	// A quarter of a second after its context; more is the machine's.
	if took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	t.Logf("%v: %v", took, err)
}
