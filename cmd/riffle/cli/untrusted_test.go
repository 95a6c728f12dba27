package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
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
		"many":                {"explain", "--config", config, "--trace", file("9", "["+strings.Repeat("1,", 5000)+"1]")},
		"a configuration":     {"validate", file("6.yaml", `observability: {tracing: {`+string(quoted)+`: 1}}`)},
		"a value in one":      {"validate", file("7.yaml", `observability: {tracing: {enabled: `+string(quoted)+`}}`)},
		"a type in one":       {"validate", file("8.yaml", `observability: {tracing: {samplers: [{type: `+string(quoted)+`}]}}`)},
	} {
		code, stdout, stderr := riffle(args...)
		if code != exitFailed {
			t.Errorf("%s: exit code %d", what, code)
		}
		for line := range strings.Lines(stdout + stderr) {
			untrustedtest.Check(t, what, strings.TrimSuffix(line, "\n"))
			if strings.HasPrefix(line, untrustedtest.Forged) {
				t.Errorf("%s: a forged line: %s", what, line)
			}
		}
		if lines := strings.Count(stderr, "\n"); lines == 0 || lines > 5 && what != "many" || lines > mostMistakes+1 {
			t.Errorf("%s: %d lines", what, lines)
		}
	}
}

// Names of components in a configuration that somebody sent.
func TestNamesOfOthers(t *testing.T) {
	name := strconv.QuoteToASCII(strings.ToValidUTF8(untrustedtest.Say(1<<10), "?")) // YAML takes it
	config := filepath.Join(t.TempDir(), "fluxbase.yaml")
	text := `{"observability": {"tracing": {"enabled": true, "service_name": NAME, "samplers": [{"type": "ratio", "rate": 0.5, "name": NAME}], "exporters": [{"type": "stdout", "name": NAME}]}}}`
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(text, "NAME", name)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"validate", config}, {"explain", "--config", config, "--span", "GET /x"}} {
		code, stdout, stderr := riffle(args...)
		if code != exitFine {
			t.Errorf("%s: exit code %d\n%s", args[0], code, stderr)
		}
		for line := range strings.Lines(stdout + stderr) {
			untrustedtest.Check(t, args[0], strings.TrimSuffix(line, "\n"))
			if strings.HasPrefix(line, untrustedtest.Forged) {
				t.Errorf("%s: a forged line: %s", args[0], line)
			}
		}
	}
}
