package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// goMod is a go.mod file.
type goMod struct {
	Module  struct{ Path string }
	Go      string
	Require []struct {
		Path, Version string
		Indirect      bool
	}
}

func readGoMod(t *testing.T, dir string) goMod {
	t.Helper()
	return readJSON[goMod](t, "go", "mod", "edit", "-json", filepath.Join(dir, "go.mod"))
}

func readJSON[T any](t *testing.T, command ...string) (into T) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).Output()
	if err != nil {
		t.Fatal(command, err)
	}
	if err := json.Unmarshal(out, &into); err != nil {
		t.Fatal(command, err)
	}
	return into
}

// direct are the modules that it requires directly, sorted, but riffle's own.
func (m goMod) direct() []string {
	var all []string
	for _, r := range m.Require {
		if !r.Indirect && !strings.HasPrefix(r.Path, modulePath) {
			all = append(all, r.Path)
		}
	}
	slices.Sort(all)
	return all
}

// shipped are the modules of the workspace.
func shipped(t *testing.T) []goMod {
	t.Helper()
	work := readJSON[struct{ Use []struct{ DiskPath string } }](t, "go", "work", "edit", "-json", "go.work")
	var all []goMod
	for _, use := range work.Use {
		all = append(all, readGoMod(t, use.DiskPath))
	}
	return all
}

// Every direct requirement of the root module has its reason, and so does what the
// other modules require besides; nothing else is listed.
func TestDependencies(t *testing.T) {
	data, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile("^## `([^`]+)`$")
	row := regexp.MustCompile("^\\| `([^`]+)` \\| (.+) \\|$")
	listed := map[string][]string{}
	var module string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if m := heading.FindStringSubmatch(line); m != nil {
			module = m[1]
			listed[module] = nil
		} else if m := row.FindStringSubmatch(line); m != nil {
			listed[module] = append(listed[module], m[1])
		}
	}
	want := map[string][]string{}
	root := readGoMod(t, ".").direct()
	for _, m := range shipped(t) {
		besides := m.direct()
		if m.Module.Path != modulePath {
			besides = slices.DeleteFunc(besides, func(r string) bool { return slices.Contains(root, r) })
		}
		want[m.Module.Path] = besides
	}
	if diff := cmp.Diff(want, listed, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("docs/dependencies.md (-go.mod +listed):\n%s", diff)
	}
}

// A service that imports riffle takes on few modules, and none that it has not
// asked for. The page says how many, and how many OpenTelemetry's exporter takes.
func TestModules(t *testing.T) {
	const bar = 35
	modules := modulesOf(t, firstBlock(t, "README.md", "go"))
	if len(modules) > bar {
		t.Errorf("%d modules, want at most %d:\n%s", len(modules), bar, strings.Join(modules, "\n"))
	}
	for _, m := range modules {
		for _, banned := range []string{"aws-sdk", "smithy", "Azure", "cloud.google", "pgx", "otelsql", "cobra", "pprof", "go-plugin", "go-hclog", "pdata"} {
			if strings.Contains(m, banned) {
				t.Errorf("%s is linked into a service that did not ask for it", m)
			}
		}
	}
	stock := modulesOf(t, `package main

import (
	_ "go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
)

func main() {}
`)
	data, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("is linked from %d modules, itself and riffle among them; one that imports OpenTelemetry's `otlptracegrpc` alone, from %d", len(modules), len(stock))
	if !strings.Contains(string(data), want) {
		t.Errorf("docs/dependencies.md does not say %q", want)
	}
}

// modulesOf are the modules that a program is linked from, its own among them.
func modulesOf(t *testing.T, program string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")
	cmd.Dir = outside(t, map[string]string{"main.go": program})
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(string(out))
	slices.Sort(modules)
	return slices.Compact(modules)
}
