// Package functiontest has edge functions for tests: programs in Go and in
// JavaScript that call back what started them.
package functiontest

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"

	"github.com/riffletrace/riffle/core/observability"
)

//go:embed function.js
var script []byte

// Callback makes the test binary play an edge function, which calls
// this URL.
const Callback = "RIFFLE_TEST_CALLBACK"

// Play is an edge function without an SDK of its own: it passes on
// what it was given.
func Play(callback string) int {
	otel.SetTextMapPropagator(propagation.TraceContext{})
	ctx := observability.ContextFromEnv(context.Background(), os.Environ())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, callback, http.NoBody)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	resp, err := (&http.Client{Transport: observability.Transport(nil)}).Do(req)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	resp.Body.Close()
	return 0
}

// Commands are the commands of edge functions that call back.
func Commands(t *testing.T) map[string]func(*testing.T) *exec.Cmd {
	t.Helper()
	return map[string]func(*testing.T) *exec.Cmd{
		"Go": func(t *testing.T) *exec.Cmd {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			return exec.CommandContext(t.Context(), self)
		},
		"Node": func(t *testing.T) *exec.Cmd {
			node, err := exec.LookPath("node")
			if err != nil {
				if os.Getenv("RIFFLE_NODE") != "" {
					t.Fatalf("want Node, which runs the function: %v", err)
				}
				t.Skipf("want Node, which runs the function: %v", err)
			}
			file := filepath.Join(t.TempDir(), "function.js")
			if err := os.WriteFile(file, script, 0o600); err != nil {
				t.Fatal(err)
			}
			return exec.CommandContext(t.Context(), node, file)
		},
	}
}
