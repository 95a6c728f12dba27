// Package examples_test runs the examples.
package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/internal/pgtest"
)

// Each program runs, and draws its trace.
func TestExamples(t *testing.T) {
	tests := []struct {
		name     string
		postgres bool
		want     []string
	}{
		{name: "fiber", want: []string{"200 OK: user 7", "HTTP GET", "GET /users/:id", "db.select"}},
		{name: "grpc", want: []string{"SERVING", "ask for health", "grpc.health.v1.Health/Check"}},
		{name: "jobs", postgres: true, want: []string{"an invoice, in the trace", "request", "db.insert", "job.invoice", "take a job"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), tt.name)
			if out, err := exec.CommandContext(t.Context(), "go", "build", "-race", "-o", program, "./"+tt.name).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			cmd := exec.CommandContext(t.Context(), program)
			cmd.Env = os.Environ()
			if tt.postgres {
				cmd.Env = append(cmd.Env, "DATABASE_URL="+pgtest.Start(t))
			}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
			for _, want := range tt.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("no %q in the output", want)
				}
			}
		})
	}
}
