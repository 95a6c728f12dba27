package scaffold

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What is written builds, is formatted and vetted, and passes its tests.
func TestWritten(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and tests three plugins with the go command; CI runs this without -short too")
	}
	root, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range Kinds {
		t.Run(kind, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new")
			files, module, err := Write(dir, "my-first", kind)
			if err != nil || !module || len(files) != 4 {
				t.Fatalf("wrote %v (go.mod: %t): %v", files, module, err)
			}
			requireRiffle(t, root, dir)
			for _, args := range [][]string{{"vet", "./..."}, {"test", "./..."}, {"build", "-o", filepath.Join(dir, "riffle-plugin-my-first"), "."}} {
				cmd := exec.Command("go", args...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
				}
			}
			out, err := exec.Command(filepath.Join(dir, "riffle-plugin-my-first"), "--describe").Output()
			if err != nil || !bytes.Contains(out, []byte(`"name": "my_first"`)) {
				t.Errorf("--describe prints %s: %v", out, err)
			}
		})
	}
}

// requireRiffle adds to a go.mod what go get would, from this source tree.
func requireRiffle(t *testing.T, root, dir string) {
	t.Helper()
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	const module = "module github.com/riffletrace/riffle\n"
	mod = bytes.Replace(mod, []byte(module), []byte("module riffle-plugin-my-first\n"), 1)
	mod = append(mod, "\nrequire github.com/riffletrace/riffle v0.0.0\n\nreplace github.com/riffletrace/riffle => "+root+"\n"...)
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"go.mod": mod, "go.sum": sum} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ name, kind, want string }{
		{"Upper", "sampler", "is not a name for a plugin"},
		{"../up", "sampler", "is not a name for a plugin"},
		{"fine", "scrambler", `"scrambler" is not a kind of plugin: want exporter or sampler`},
	} {
		if _, _, err := Write(dir, tt.name, tt.kind); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, %s: %v", tt.name, tt.kind, err)
		}
	}
	if _, _, err := Write(dir, "fine", "sampler"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Write(dir, "fine", "sampler"); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("written twice: %v", err)
	}
}
