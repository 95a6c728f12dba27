package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

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
		code, stdout, stderr := command(args...)
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
		if code > exitFailed {
			t.Errorf("%v: exit code %d", args, code)
		}
		for line := range strings.Lines(stdout + stderr) {
			if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x1b\r\a\u202e\u009b\x00") || strings.HasPrefix(line, untrustedtest.Forged) {
				t.Fatalf("%v: %.300q", args, line)
			}
		}
	}
}
