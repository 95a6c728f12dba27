//go:build unix

package file_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/exporters/file"
)

// A file that somebody else has laid out, or can write, is not appended to.
func TestFilesOfOthers(t *testing.T) {
	for _, tt := range []struct {
		name string
		lay  func(path string) error
		want string
		root bool
	}{
		{"another user's", func(path string) error { return os.Chown(path, 4711, -1) }, "belongs to user 4711", true},
		{"anybody's", func(path string) error { return os.Chmod(path, 0o666) }, "can be written by others (mode 0666): chmod go-w it", false},
		{"a hard link", func(path string) error { return os.Link(path, path+".other") }, "has 2 names (hard links)", false},
		{"a link", func(path string) error { return replace(path, func() error { return os.Symlink(os.DevNull, path) }) }, "is a symbolic link", false},
		{"a pipe", func(path string) error { return replace(path, func() error { return syscall.Mkfifo(path, 0o600) }) }, "is not a regular file", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.root && os.Geteuid() != 0 {
				t.Skip("only root can give a file away; CI runs as root")
			}
			path := filepath.Join(t.TempDir(), "spans.jsonl")
			if err := os.WriteFile(path, []byte("theirs"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := tt.lay(path); err != nil {
				t.Fatal(err)
			}
			e, err := file.New(t.Context(), component.Settings{}, file.Config{Path: path, Format: file.JSON})
			if err == nil {
				_ = e.Shutdown(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want %s", err, tt.want)
			}
		})
	}
}

func replace(path string, with func() error) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return with()
}
