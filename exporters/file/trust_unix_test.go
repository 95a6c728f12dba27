//go:build unix

package file_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/exporters/file"
	"github.com/riffletrace/riffle/internal/otlptest"
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

// Another user lays out files with the names of those that were put aside: none of ours
// is deleted or written over for it, and none of theirs deleted.
func TestRotatedFilesOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away; CI runs as root")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	var theirs []string
	for _, at := range []string{"20010101T000000.000Z", "99991231T235959.998Z", "99991231T235959.999Z"} {
		name := filepath.Join(dir, "traces-"+at+".jsonl")
		if err := errors.Join(os.WriteFile(name, []byte("theirs"), 0o600), os.Chown(name, 4711, 4711)); err != nil {
			t.Fatal(err)
		}
		theirs = append(theirs, name)
	}
	c := file.Config{Path: filepath.Join(dir, "traces.jsonl"), Format: file.JSON, MaxSize: 1, MaxFiles: 3}
	e, err := file.New(t.Context(), component.Settings{Logger: slog.New(slog.DiscardHandler)}, c)
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range theirs {
		if text, err := os.ReadFile(name); err != nil || string(text) != "theirs" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	all, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(all) != len(theirs)+4 {
		t.Errorf("there are %q, %v", all, err)
	}
}
