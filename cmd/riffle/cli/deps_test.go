package cli_test

import (
	"os/exec"
	"strings"
	"testing"
)

// The package links no component, so that a program's command line knows those that the
// program imports, and no others.
func TestLinksNoComponent(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	const module = "github.com/riffletrace/riffle/"
	// Suites for components, and what draws trees, register nothing.
	allowed := []string{"samplers/samplertest", "exporters/exportertest", "exporters/stdout/tree"}
	n := 0
	for pkg := range strings.FieldsSeq(string(out)) {
		path, ours := strings.CutPrefix(pkg, module)
		if !ours {
			continue
		}
		n++
		component := strings.HasPrefix(path, "samplers/") || strings.HasPrefix(path, "exporters/") || path == "plugins/host" || path == "all" || path == "bench"
		for _, a := range allowed {
			component = component && path != a
		}
		if component {
			t.Errorf("it links %s", path)
		}
	}
	if n == 0 {
		t.Error("nothing was looked at")
	}
}
