package cli

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/internal/otlptest"
)

// root looks at another user's queue, and does not send what is in it: it may be
// forged.
func TestQueueOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away; CI runs as root")
	}
	dir := t.TempDir()
	leave(t, dir, "gone.example.com:4317", 2)
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, 4711, -1)
	})
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := riffle("queue", "ls", dir)
	if code != 0 || !strings.Contains(stdout, "gone.example.com:4317") {
		t.Errorf("ls: exit code %d\n%s%s", code, stdout, stderr)
	}
	code, _, stderr = send(t, dir, "--to", otlptest.Dead(t))
	if code == 0 || !strings.Contains(stderr, "belongs to user 4711, who is neither root nor the user of this process (0)") {
		t.Errorf("send: exit code %d\n%s", code, stderr)
	}
}

// What a file says its size is, costs nothing.
func TestSparseFiles(t *testing.T) {
	dir := t.TempDir()
	leave(t, dir, "gone.example.com:4317", 1)
	identities, err := filepath.Glob(filepath.Join(dir, "*", "exporter.json"))
	if err != nil || len(identities) != 1 {
		t.Fatal(identities, err)
	}
	config := filepath.Join(t.TempDir(), "fluxbase.yaml")
	if err := os.WriteFile(config, []byte("observability: {tracing: {enabled: true}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	spans := filepath.Join(t.TempDir(), "trace.json")
	if err := os.WriteFile(spans, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{identities[0], spans} {
		if err := os.Truncate(name, 1<<40); err != nil {
			t.Fatal(err)
		}
	}
	if code, stdout, stderr := riffle("queue", "ls", dir); code != 0 || !strings.Contains(stdout, "EXPORTER") {
		t.Errorf("ls: exit code %d\n%s%s", code, stdout, stderr)
	}
	if code, _, stderr := riffle("explain", "--config", config, "--trace", spans); code == 0 || !strings.Contains(stderr, "is too large: want at most 64 MiB") {
		t.Errorf("explain: exit code %d\n%s", code, stderr)
	}
}

// A header that is written as curl takes it is not repeated: its value is secret.
func TestHeaderIsNotShown(t *testing.T) {
	_, _, stderr := riffle("queue", "send", t.TempDir(), "--to", "a:1", "--header", "Authorization: Bearer hunter2secretpa")
	if strings.Contains(stderr, "hunter2") || !strings.Contains(stderr, "want NAME=VALUE") {
		t.Error(stderr)
	}
}

func riffle(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = newProgram(nil).run(context.Background(), slices.Clone(args), &out, &errs)
	return code, out.String(), errs.String()
}
