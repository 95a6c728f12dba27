package examples_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/riffletrace/riffle/internal/pytest"
	"github.com/riffletrace/riffle/plugins/plugintest"
)

// buildPlugins builds the example plugins into a directory.
func buildPlugins(t *testing.T) (dir string) {
	t.Helper()
	pytest.Need(t)
	dir = t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "plugins/build", dir).CombinedOutput(); err != nil {
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
