package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// NOTICE names every module that the command is linked from. Whether it stands under
// the right licence, .ci/licences checks.
func TestNotice(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")
	cmd.Dir = filepath.Join("cmd", "riffle")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(strings.Fields(string(out)), func(module string) bool { return strings.HasPrefix(module, modulePath) })
	slices.Sort(want)
	want = slices.Compact(want)
	notice, err := os.ReadFile("NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(notice)) {
		if module, ok := strings.CutPrefix(line, "  "); ok {
			got = append(got, strings.TrimSpace(module))
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("NOTICE is not current (-linked +named):\n%s", diff)
	}
}
