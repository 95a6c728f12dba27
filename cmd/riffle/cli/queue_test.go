package cli

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/core/otlp"
)

const durableConfig = `observability:
  tracing:
    enabled: true
    service_name: fluxbase
    sample_rate: 1
    exporters:
      - type: otlp
        endpoint: http://%s
        protocol: http/protobuf
        queue: {storage: disk, dir: %s}
`

// riffleCommand runs this program as the command line.
func riffleCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Args[0] = "riffle"
	return cmd
}

type spanKey struct {
	trace.TraceID
	trace.SpanID
}

// collector is a backend that keeps the spans it gets.
type collector struct {
	mu  sync.Mutex
	got map[spanKey]bool
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	spans, err := func() ([]sdktrace.ReadOnlySpan, error) {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(unzipped)
		if err != nil {
			return nil, err
		}
		return otlp.Decode(body)
	}()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range spans {
		c.got[spanKey{s.SpanContext().TraceID(), s.SpanContext().SpanID()}] = true
	}
}

// stored are the spans that wait in a directory, and the files.
func stored(t *testing.T, dir string) (spans []sdktrace.ReadOnlySpan, files int) {
	t.Helper()
	lines, err := disk.Inspect(disk.OS{}, dir)
	if err != nil {
		return nil, 0
	}
	for _, l := range lines {
		for _, p := range l.Parts {
			for _, e := range p.Ready {
				b, err := disk.ReadFile(disk.OS{}, p.Path(e))
				if err != nil {
					t.Fatal(err)
				}
				body, err := delivery.Body(b)
				if err != nil {
					t.Fatal(err)
				}
				more, err := otlp.Decode(body)
				if err != nil {
					t.Fatal(err)
				}
				spans, files = append(spans, more...), files+1
			}
		}
	}
	return spans, files
}

// The demo is killed while its backend is away: the next process that has one
// delivers what was stored, which is all but the last moments.
func TestDemoIsKilled(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "queue")
	file := filepath.Join(t.TempDir(), "fluxbase.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, durableConfig, address, dir), 0o600); err != nil {
		t.Fatal(err)
	}

	var stderr bytes.Buffer
	demo := riffleCommand(t, "demo", "--config", file, "--requests", "1000000", "--json")
	demo.Stderr = &stderr
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(60 * time.Second)
	for files := 0; files < 5; {
		lines, err := disk.Inspect(disk.OS{}, dir)
		files = 0
		for _, l := range lines {
			for _, p := range l.Parts {
				files += len(p.Ready)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d batches are stored: %v\n%s", files, err, &stderr)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := demo.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = demo.Wait() // it was killed
	killed := time.Now()

	spans, files := stored(t, dir)
	var last time.Time
	for _, s := range spans {
		if s.EndTime().After(last) {
			last = s.EndTime()
		}
	}
	// batch.max_age and twice fsync, and what a busy machine adds.
	if age := killed.Sub(last); age > 3*time.Second+2*time.Second {
		t.Errorf("the last span that was stored had ended %v before", age)
	}
	if out, err := riffleCommand(t, "queue", "ls", dir).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("otlp")) {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := riffleCommand(t, "queue", "inspect", dir).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("riffle-demo")) && !bytes.Contains(out, []byte("fluxbase")) {
		t.Errorf("%v\n%s", err, out)
	}

	if listener, err = new(net.ListenConfig).Listen(t.Context(), "tcp", address); err != nil {
		t.Fatal(err)
	}
	backend := &collector{got: map[spanKey]bool{}}
	server := &http.Server{Handler: backend, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	for deadline := time.Now().Add(60 * time.Second); ; {
		if out, err := riffleCommand(t, "demo", "--config", file, "--requests", "50", "--json").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if _, left := stored(t, dir); left == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("what was stored is not sent")
		}
	}
	backend.mu.Lock()
	defer backend.mu.Unlock()
	lost := 0
	for _, s := range spans {
		if !backend.got[spanKey{s.SpanContext().TraceID(), s.SpanContext().SpanID()}] {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d spans are lost", lost, len(spans))
	}
	t.Logf("%d spans in %d files survived", len(spans), files)
}
