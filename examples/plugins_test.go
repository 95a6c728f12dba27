package examples_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/internal/pytest"
	"github.com/riffletrace/riffle/plugins/plugintest"
)

// buildPlugins builds the example plugins into a directory.
func buildPlugins(t *testing.T) (dir string) {
	t.Helper()
	pytest.Need(t)
	dir = t.TempDir()
	cmd := exec.CommandContext(t.Context(), "plugins/build", dir)
	cmd.Env = append(os.Environ(), "GOWORK=") // as who follows the page has it
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// The example plugins keep the rules.
func TestPlugins(t *testing.T) {
	dir := buildPlugins(t)
	tiers := filepath.Join(t.TempDir(), "tiers.yaml")
	if err := os.WriteFile(tiers, []byte("tenants: {\"value 1\": drop}\nplans: {free: 0.25}\nother: 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	zipkin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	defer zipkin.Close()
	for name, config := range map[string]string{
		"tiers":  fmt.Sprintf(`{"file": %q}`, tiers),
		"zipkin": fmt.Sprintf(`{"endpoint": %q}`, zipkin.URL),
		"sqlite": fmt.Sprintf(`{"file": %q}`, filepath.Join(t.TempDir(), "spans.sqlite")),
	} {
		t.Run(name, func(t *testing.T) {
			plugintest.Run(t, filepath.Join(dir, "riffle-plugin-"+name), plugintest.Config(name, config))
		})
	}
}

// The commands of docs/plugins.md are those that build the plugins, run them, as
// TestDemo does, and find nothing wrong with them.
func TestCommands(t *testing.T) {
	page, err := os.ReadFile("../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	const bin = "examples/plugins/bin/"
	dir, riffle := buildPlugins(t), buildRiffle(t)
	tested := 0
	blocks := strings.Split(string(page), "```")
	for i := 1; i < len(blocks); i += 2 {
		shown, ok := strings.CutPrefix(blocks[i], "sh plugins\n")
		if !ok {
			continue
		}
		for line := range strings.Lines(shown) {
			args, ok := strings.CutPrefix(strings.TrimSpace(line), "go run ./cmd/riffle ")
			switch {
			case !ok && line == "examples/plugins/build\n", args == "demo --config examples/plugins.yaml":
				continue
			case !strings.Contains(args, "plugins test "+bin):
				t.Errorf("nobody knows how to check this command: %s", line)
				continue
			}
			tested++
			cmd := exec.CommandContext(t.Context(), "sh", "-c", riffle+" "+strings.Replace(args, bin, dir+"/", 1))
			cmd.Dir = t.TempDir()
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "keeps all") {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		}
	}
	if tested != 3 {
		t.Errorf("%d plugins are tested, want the three", tested)
	}
}

// The configuration of docs/plugins.md is one that its plugins take, once they are
// pinned.
func TestConfiguration(t *testing.T) {
	page, err := os.ReadFile("../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(page), "```yaml\n")
	shown, _, _ = strings.Cut(shown, "```")
	const dirShown = "dir: /usr/lib/fluxbase/plugins\n"
	if !strings.Contains(shown, dirShown) {
		t.Fatalf("the page does not say %s", dirShown)
	}
	dir, riffle := buildPlugins(t), buildRiffle(t)
	file := filepath.Join(t.TempDir(), "fluxbase.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(shown, dirShown, "dir: "+dir+"\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"plugins", "pin", "--dir", dir, "tiers", "zipkin"}, {"validate", file}} {
		if out, err := exec.CommandContext(t.Context(), riffle, args...).CombinedOutput(); err != nil {
			t.Errorf("riffle %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// buildRiffle builds the command.
func buildRiffle(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "riffle")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	build.Dir = filepath.Join("..", "cmd", "riffle") // a module of its own
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// The demo runs with all of them: the tiers decide, and both exporters get each
// span that is kept.
func TestDemo(t *testing.T) {
	dir := buildPlugins(t)
	text, err := os.ReadFile("plugins.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const shown = "dir: examples/plugins/bin\n"
	if !strings.Contains(string(text), shown) {
		t.Fatalf("plugins.yaml does not say %s", shown)
	}
	config := filepath.Join(t.TempDir(), "plugins.yaml")
	if err := os.WriteFile(config, []byte(strings.Replace(string(text), shown, "dir: "+dir+"\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	posted := make(map[string]int) // by the name of the span
	zipkin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var spans []struct{ Name string }
		if err := json.NewDecoder(r.Body).Decode(&spans); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, s := range spans {
			posted[s.Name]++
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer zipkin.Close()

	riffle := buildRiffle(t)
	data := t.TempDir()
	cmd := exec.CommandContext(t.Context(), riffle, "demo", "--json", "--requests", "500", "--config", config)
	cmd.Env = append(os.Environ(), "TMPDIR="+data, "ZIPKIN_ENDPOINT="+zipkin.URL)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	t.Logf("%s%s", &stderr, out)
	var result struct {
		Requests int
		Kept     int `json:"traces_kept"`
		Exported int `json:"spans_exported"`
		Health   int `json:"requests_health"`
	}
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatal(err)
	}
	// A third of the requests is kept whole, a sixth as a share of the second third.
	if kept := float64(result.Kept) / float64(result.Requests-result.Health); kept < 0.4 || kept > 0.8 {
		t.Errorf("%d traces are kept of %d: want about half, as tiers.yaml says", result.Kept, result.Requests)
	}
	stored := make(map[string]int)
	out, err = exec.CommandContext(t.Context(), pytest.Path, "-c", `
import json, sqlite3, sys
print(json.dumps(dict(sqlite3.connect(sys.argv[1]).execute("SELECT name, count(*) FROM spans GROUP BY 1"))))`,
		filepath.Join(data, "riffle-demo.sqlite")).Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &stored); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(posted, stored); diff != "" {
		t.Errorf("(-zipkin +sqlite):\n%s", diff)
	}
	all := 0
	for _, n := range stored {
		all += n
	}
	if all != result.Exported {
		t.Errorf("%d spans are stored, %d were exported", all, result.Exported)
	}
}
