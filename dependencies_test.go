package riffle_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every direct requirement has its reason, and nothing else is listed.
func TestDependencies(t *testing.T) {
	f, err := os.Open("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	row := regexp.MustCompile("^\\| `([^`]+)` \\| (.+) \\|$")
	var listed []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		if m := row.FindStringSubmatch(s.Text()); m != nil {
			listed = append(listed, m[1])
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(requirements(t), listed); diff != "" {
		t.Errorf("docs/dependencies.md (-go.mod +listed):\n%s", diff)
	}
}

type goMod struct {
	Go      string
	Require []struct {
		Path, Version string
		Indirect      bool
	}
}

func readGoMod(t *testing.T) goMod {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod goMod
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	return mod
}

// requirements are the modules that go.mod requires directly, sorted.
func requirements(t *testing.T) []string {
	t.Helper()
	var direct []string
	for _, r := range readGoMod(t).Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	slices.Sort(direct)
	return direct
}
