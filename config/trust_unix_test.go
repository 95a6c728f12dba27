//go:build unix

package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/riffletrace/riffle/config"
)

// A file that everybody can write is told of; links and pipes are fine, and none takes
// more memory than its bound.
func TestTrust(t *testing.T) {
	opts := append(registries(t), config.Environ(nil))
	name := filepath.Join(t.TempDir(), "fluxbase.yaml")
	text := []byte(tracing("enabled: true"))
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
	link := name + ".link"
	if err := os.Symlink(name, link); err != nil {
		t.Fatal(err)
	}
	spec, err := config.Load(link, opts...)
	if err != nil || len(warnings(spec)) > 0 {
		t.Errorf("a link: %v, %v", err, warnings(spec))
	}
	if err := os.Chmod(name, 0o666); err != nil {
		t.Fatal(err)
	}
	spec, err = config.Load(name, opts...)
	const want = "fluxbase.yaml: can be written by everybody (mode 0666): chmod o-w it: who writes it decides where traces are sent, and which plugins run"
	if err != nil || !strings.HasSuffix(warnings(spec).Error(), want) {
		t.Errorf("got %v, %v, want %s", err, warnings(spec), want)
	}
	if err := os.Truncate(name, 1<<40); err == nil {
		if _, err := config.Load(name, opts...); err == nil || !strings.Contains(err.Error(), "the file is larger than 1 MiB") {
			t.Errorf("1 TiB: %v", err)
		}
	}
	pipe := name + ".pipe"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() { _ = os.WriteFile(pipe, text, 0o600) }()
	if _, err := config.Load(pipe, opts...); err != nil {
		t.Errorf("a pipe: %v", err)
	}
}
