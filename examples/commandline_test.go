package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A command line of one's own knows the sampler that it has, and where the service has
// its section.
func TestCommandLine(t *testing.T) {
	program := filepath.Join(t.TempDir(), "fluxbase-tracing")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./commandline").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := filepath.Join("commandline", "fluxbase.yaml")
	for _, tt := range []struct {
		args []string
		env  string
		code int
		want []string
	}{
		{args: []string{"validate", file}, want: []string{`fluxbase.yaml: ok: tracing is on, service "fluxbase"; samplers: all of tenant gold, ratio 1%; exporters: otlp`}},
		{args: []string{"validate", file}, env: "FLUXBASE_TRACING_SAMPLE_RATE=0.5", want: []string{"ratio 50%"}},
		{args: []string{"validate", file, "--section", "server"}, code: 1, want: []string{"server.port: unknown key"}},
		{args: []string{"explain", "--config", file, "--span", "GET /x", "--attr", "tenant=gold"}, want: []string{`kept because of "tenant": threshold 0, weight 1`}},
		{args: []string{"components"}, want: []string{"tenant: keeps every trace of a tenant"}},
		{args: []string{"plugins"}, code: 2, want: []string{"want a command: check, new, pin or test"}},
		{args: []string{"valid"}, code: 2, want: []string{"fluxbase-tracing: unknown command", "Run 'fluxbase-tracing --help' for usage."}},
	} {
		t.Run(strings.Join(tt.args, " ")+tt.env, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), program, tt.args...)
			cmd.Env = append(os.Environ(), tt.env)
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
}
