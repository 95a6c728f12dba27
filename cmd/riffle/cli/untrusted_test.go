package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/internal/untrustedtest"
)

// Mistakes in a trace or a configuration that somebody sent: what is quoted of it
// fills no terminal, and gives it no orders.
func TestMistakesOfOthers(t *testing.T) {
	said := untrustedtest.Say(1 << 20)
	quoted, err := json.Marshal(strings.ToValidUTF8(said, "?"))
	if err != nil {
		t.Fatal(err)
	}
	spaced := "[" + strings.Repeat("\n", 1000) + `"` + "\u202e\u009b31m" + strings.Repeat("x", 1<<20) + `"]`
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := file("fluxbase.yaml", "observability: {tracing: {enabled: true}}")
	for what, args := range map[string][]string{
		"a key":               {"explain", "--config", config, "--trace", file("1", `[{`+string(quoted)+`: 1}]`)},
		"a key of attributes": {"explain", "--config", config, "--trace", file("2", `[{"name": "x", "attributes": {`+string(quoted)+`: null}}]`)},
		"a value":             {"explain", "--config", config, "--trace", file("3", `[{"name": `+spaced+`}]`)},
		"a kind":              {"explain", "--config", config, "--trace", file("4", `[{"name": "x", "kind": `+string(quoted)+`}]`)},
		"a parent":            {"explain", "--config", config, "--trace", file("5", `[{"name": "x", "id": "1"}, {"name": "y", "parent": `+string(quoted)+`}]`)},
		"a configuration":     {"validate", file("6.yaml", `observability: {tracing: {`+string(quoted)+`: 1}}`)},
		"a value in one":      {"validate", file("7.yaml", `observability: {tracing: {enabled: `+string(quoted)+`}}`)},
		"a type in one":       {"validate", file("8.yaml", `observability: {tracing: {samplers: [{type: `+string(quoted)+`}]}}`)},
	} {
		code, stdout, stderr := command(args...)
		if code != exitFailed {
			t.Errorf("%s: exit code %d", what, code)
		}
		for line := range strings.Lines(stdout + stderr) {
			untrustedtest.Check(t, what, strings.TrimSuffix(line, "\n"))
			if strings.HasPrefix(line, untrustedtest.Forged) {
				t.Errorf("%s: a forged line: %s", what, line)
			}
		}
		if lines := strings.Count(stderr, "\n"); lines == 0 || lines > 5 {
			t.Errorf("%s: %d lines", what, lines)
		}
	}
}
