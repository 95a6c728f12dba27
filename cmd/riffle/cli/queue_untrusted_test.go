package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/internal/untrustedtest"
)

// Whoever may write into the directory of queues names directories and files there, and
// says in exporter.json whose they are. No command prints that as it is.
func TestQueueOfOthers(t *testing.T) {
	said := untrustedtest.Say(1 << 20)
	name := strings.NewReplacer("/", "", "\x00", "").Replace(said[:200])
	dir := filepath.Join(t.TempDir(), "queue")
	store, _, err := disk.Open(disk.OS{}, dir, disk.Identity{Name: said, Type: said, Endpoint: said})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	own, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(own) != 1 {
		t.Fatal(own, err)
	}
	named := filepath.Join(dir, name)
	if err := os.Rename(own[0], named); err != nil {
		t.Fatal(err)
	}
	parts, err := filepath.Glob(filepath.Join(dir, "*", "*", "ready"))
	if err != nil || len(parts) != 1 {
		t.Fatal(parts, err)
	}
	ready := parts[0]
	for _, file := range []string{filepath.Join(ready, name), filepath.Join(filepath.Dir(ready), "bad", name)} {
		if err := os.WriteFile(file, []byte(said), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"ls", dir},
		{"inspect", dir},
		{"inspect", filepath.Join(ready, name)},
		{"inspect", filepath.Join(named, "nothing")},
		{"send", dir, "--to", "127.0.0.1:1", "--timeout", "1ms"},
		{"ls", filepath.Join(ready, name)},
		{"purge", dir},
	} {
		var out, errs bytes.Buffer
		code := newProgram(nil).run(t.Context(), append([]string{"queue"}, args...), &out, &errs)
		for text := range strings.Lines(out.String() + errs.String()) {
			untrustedtest.Check(t, args[0], strings.TrimSuffix(text, "\n"))
			if strings.HasPrefix(strings.TrimSpace(text), untrustedtest.Forged) {
				t.Errorf("%s: a forged line: %s", args[0], text)
			}
		}
		if lines := strings.Count(out.String()+errs.String(), "\n"); lines > 20 || lines == 0 {
			t.Errorf("%s: code %d, %d lines", args[0], code, lines)
		}
	}
}
