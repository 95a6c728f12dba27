package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// queued is a file with an exporter that has a disk queue.
func queued(dir string, more ...string) string {
	return tracing(append([]string{"exporters:", fmt.Sprintf("  - {type: otlp, endpoint: '127.0.0.1:1', queue: {storage: disk, dir: %q}}", dir)}, more...)...)
}

func TestQueue(t *testing.T) {
	t.Run("not there yet", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a", "b")
		diagnose(t, options(t, queued(dir)), want{"queue", OK, "does not exist yet, and can be made", ""})
		if _, err := os.Lstat(dir); err == nil {
			t.Error("it was made")
		}
	})
	t.Run("below a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		diagnose(t, options(t, queued(file)), want{"queue", Fault, "is not a directory", "correct queue.dir"})
		diagnose(t, options(t, queued(filepath.Join(file, "x"))), want{"queue", Fault, "", "queue.dir"})
	})
	t.Run("of another user", func(t *testing.T) {
		dir := t.TempDir()
		giveAway(t, dir)
		diagnose(t, options(t, queued(dir)), want{"queue", Fault, "belongs to user 12345", "run this as the user of the service"})
	})
	t.Run("relative", func(t *testing.T) {
		o := options(t, queued("queue"))
		t.Chdir(t.TempDir())
		for _, c := range diagnose(t, o).Checks {
			if c.Check == "queue" && !strings.Contains(strings.Join(c.Details, "\n"), "relative to the working directory") {
				t.Errorf("%+v", c)
			}
		}
	})
	t.Run("empty", func(t *testing.T) {
		dir := t.TempDir()
		diagnose(t, options(t, queued(dir)), want{"queue", OK, dir, ""})
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("it has left %v", left)
		}
	})
}

func giveAway(t *testing.T, name string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away; CI runs as root")
	}
	if err := os.Chown(name, 12345, 12345); err != nil {
		t.Fatal(err)
	}
}

// refuses takes nothing.
type refuses struct{ endpoint string }

func (refuses) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	return &delivery.ExportError{Err: os.ErrDeadlineExceeded}
}
func (refuses) Shutdown(context.Context) error { return nil }
func (e refuses) Traits() delivery.Traits      { return delivery.Traits{Endpoint: e.endpoint} }

// leave leaves a batch of a span that ended then in a queue.
func leave(t *testing.T, dir, endpoint string, ended time.Time) {
	t.Helper()
	c := delivery.Defaults()
	c.Queue.Storage, c.Queue.Dir, c.Queue.Fsync, c.Batch.MaxAge = delivery.StorageDisk, dir, "always", 0
	var lines delivery.Lines
	line := lines.Add(refuses{endpoint}, c, delivery.Settings{Name: "otlp", Type: "otlp"})
	lines.HandOver(otlptest.SpansAt(ended, "left")...)
	for began := time.Now(); line.Stats().Stored == 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > stuck {
			t.Fatalf("nothing was stored: %+v", line.Stats())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = line.Shutdown(ctx)
}

// What waits is told, and what nobody sends.
func TestQueueWithBatches(t *testing.T) {
	dir := t.TempDir()
	leave(t, dir, "127.0.0.1:1", time.Now())
	diagnose(t, options(t, queued(dir)), want{"queue", OK, "1 batch with 1 spans wait", ""})
	leave(t, dir, "127.0.0.1:2", time.Now())
	diagnose(t, options(t, queued(dir)), want{"queue", OK, "1 batch with 1 spans wait", ""},
		want{"queue", Warning, "wait in " + dir + " for 127.0.0.1:2, and no exporter of this configuration is that", "riffle queue send " + dir + " --to ENDPOINT"})
	leave(t, dir, "127.0.0.1:1", time.Now().Add(-2*time.Hour))
	diagnose(t, options(t, queued(dir)), want{"queue", Warning, "wait, ", "find out why nobody sends them"})
}

// What the exporter has left belongs to somebody else.
func TestQueueOfAnotherUser(t *testing.T) {
	dir := t.TempDir()
	leave(t, dir, "127.0.0.1:1", time.Now())
	queues, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queues {
		giveAway(t, filepath.Join(dir, q.Name()))
	}
	diagnose(t, options(t, queued(dir)), want{"queue", Fault, "belongs to user 12345", "not taken over meanwhile"})
}

func TestMemoryLimitOfGo(t *testing.T) {
	before := debug.SetMemoryLimit(150 << 20)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	diagnose(t, options(t, tracing("endpoint: 127.0.0.1:1")), want{"memory", Warning, "150MiB, says GOMEMLIMIT", "a smaller max_bytes"})
}

func TestMemory(t *testing.T) {
	few := tracing("endpoint: 127.0.0.1:1")
	diagnose(t, options(t, few), want{"memory", OK, "about 96MiB (max_bytes 64MiB, queue of otlp 32MiB)", ""})

	for name, files := range map[string]map[string]string{
		"version 2":      {"sys/fs/cgroup/memory.max": "134217728\n"},
		"version 2, own": {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "134217728\n"},
		"version 1":      {"proc/self/cgroup": "5:memory:/a\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "134217728\n"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, few)
			for file, text := range files {
				file = filepath.Join(o.system, file)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			diagnose(t, o, want{"memory", Warning, "more than half of what this process may have: 128MiB, says the cgroup", "a smaller max_bytes"})
		})
	}
}
