package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/riffletrace/riffle/bench"
	"github.com/riffletrace/riffle/internal/untrustedtest"
)

// An interrupt ends a measurement with what there is.
func TestBenchInterrupt(t *testing.T) {
	temporary := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "riffle", "bench", "--json", "-", "--rates", "1", "--rounds", "1000", "--duration", "50ms")
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Each process of the service has a directory of its own. The first is before all
	// rounds, a round has three, and the fifth is of the second round.
	services := map[string]bool{}
	for deadline := time.Now().Add(5 * time.Minute); len(services) < 5; time.Sleep(time.Millisecond) {
		found, err := filepath.Glob(filepath.Join(temporary, "riffle-bench*", "service*"))
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("services %v, %v", services, err)
		}
		for _, dir := range found {
			services[dir] = true
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the interrupted measurement: %v\n%s", err, &stderr)
	}
	var got bench.Result
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v in:\n%s", err, &stdout)
	}
	if !got.Interrupted {
		t.Errorf("%+v", got)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Names in the result of a benchmark that somebody sent.
func TestBenchOfOthers(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash("../../../bench/report/testdata/result.json"))
	if err != nil {
		t.Fatal(err)
	}
	var result any
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	said := strings.ToValidUTF8(untrustedtest.Say(1<<10), "?")
	var say func(v any) any
	say = func(v any) any {
		switch v := v.(type) {
		case string:
			if _, err := time.Parse(time.RFC3339, v); err == nil {
				return v
			}
			return v + said
		case []any:
			for i := range v {
				v[i] = say(v[i])
			}
		case map[string]any:
			for k := range v {
				v[k] = say(v[k])
			}
			if _, ok := v["riffle"]; ok {
				v[said] = said
			}
		}
		return v
	}
	if text, err = json.Marshal(say(result)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "result.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {"--markdown", "-"}, {"--compare", file}} {
		code, stdout, stderr := command(append([]string{"bench", "--from", file}, args...)...)
		if code > 1 {
			t.Errorf("%v: exit code %d", args, code)
		}
		for line := range strings.Lines(stdout + stderr) {
			if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x1b\r\a\u202e\u009b\x00") || strings.HasPrefix(line, untrustedtest.Forged) {
				t.Fatalf("%v: %.300q", args, line)
			}
		}
	}
}
