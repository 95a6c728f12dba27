package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/riffletrace/riffle/core/delivery/disk"
)

var trusted = disk.Identity{Name: "otlp", Type: "otlp", Endpoint: "localhost:4317"}

// filled makes a queue with a batch that a process has left.
func filled(t *testing.T) (dir, file string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "queue")
	s, _, err := disk.Open(disk.OS{}, dir, trusted)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := s.Write([]disk.Batch{{Meta: disk.Meta{Spans: 1, FirstEnd: time.Now()}, Payload: []byte("spans")}}, false)
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	ready := filepath.Join(s.Dir(), "ready")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(ready)
	if err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(ready, files[0].Name())
}

// readable opens the queue and reads what waits.
func readable(dir string) error {
	s, entries, err := disk.Open(disk.OS{}, dir, trusted)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.TakeOver(); err != nil {
		return err
	}
	if len(entries) == 0 {
		return errors.New("nothing waits")
	}
	_, err = s.Read(entries[0])
	return err
}

// What belongs to another user is not taken over: a batch in it may be a forged one.
func TestAnotherUsersQueue(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away; CI runs as root")
	}
	for name, path := range map[string]func(dir, file string) string{
		"the directory":     func(dir, _ string) string { return dir },
		"of the exporter":   func(_, file string) string { return filepath.Dir(filepath.Dir(filepath.Dir(file))) },
		"a part":            func(_, file string) string { return filepath.Dir(filepath.Dir(file)) },
		"ready":             func(_, file string) string { return filepath.Dir(file) },
		"the lock":          func(_, file string) string { return filepath.Join(filepath.Dir(filepath.Dir(file)), "lock") },
		"a batch":           func(_, file string) string { return file },
		"a link to a batch": nil,
	} {
		t.Run(name, func(t *testing.T) {
			dir, file := filled(t)
			if path != nil {
				if err := os.Chown(path(dir, file), 4711, -1); err != nil {
					t.Fatal(err)
				}
			} else {
				elsewhere := filepath.Join(t.TempDir(), "forged")
				if err := errors.Join(os.Rename(file, elsewhere), os.Symlink(elsewhere, file)); err != nil {
					t.Fatal(err)
				}
			}
			err := readable(dir)
			want := "belongs to user 4711, who is neither root nor the user of this process (0)"
			if path == nil {
				want = "nothing waits"
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("the error is %v", err)
			}
			if _, err := disk.Inspect(disk.OS{AnyOwner: true}, dir); err != nil {
				t.Errorf("it cannot be looked at: %v", err)
			}
			if name == "a batch" && !errors.Is(err, disk.ErrDamaged) {
				t.Errorf("it would be read again and again: %v", err)
			}
		})
	}
}

// What others can write is not trusted either; a group of this process may, as
// volumes of containers are shared.
func TestWritableQueue(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no modes; CI runs it on Linux")
	}
	for mode, want := range map[os.FileMode]bool{0o600: true, 0o660: true, 0o644: true, 0o606: false, 0o666: false} {
		dir, file := filled(t)
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if err := readable(dir); (err == nil) != want {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	dir, file := filled(t)
	for name := filepath.Dir(file); name != dir; name = filepath.Dir(name) { // as Kubernetes does with fsGroup
		if err := os.Chmod(name, 0o770|os.ModeSetgid); err != nil {
			t.Fatal(err)
		}
	}
	if err := readable(dir); err != nil {
		t.Errorf("a volume of the group: %v", err)
	}
	dir, _ = filled(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := readable(dir); err != nil {
		t.Errorf("a volume that all of a container can write: %v", err)
	}
}

// A file takes no more memory than a batch can have, whatever it says its size is.
func TestSparse(t *testing.T) {
	dir, file := filled(t)
	if err := os.Truncate(file, 1<<40); err != nil {
		t.Fatal(err)
	}
	if err := readable(dir); !errors.Is(err, disk.ErrDamaged) || !strings.Contains(err.Error(), "too large") {
		t.Errorf("a batch of 1 TiB: %v", err)
	}
	dir, file = filled(t)
	identity := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(file))), "exporter.json")
	if err := os.Truncate(identity, 1<<40); err != nil {
		t.Fatal(err)
	}
	queues, err := disk.Inspect(disk.OS{AnyOwner: true}, dir)
	if err != nil || len(queues) != 1 || queues[0].Identity != (disk.Identity{}) {
		t.Errorf("an identity of 1 TiB: %+v, %v", queues, err)
	}
	if err := readable(dir); err != nil {
		t.Errorf("an identity of 1 TiB: %v", err)
	}
}

// What a queue of others has in the place of its directories leads nowhere, and hides
// no other queue.
func TestLinksInAQueue(t *testing.T) {
	for _, name := range []string{"bad", "ready", "lock"} {
		t.Run(name, func(t *testing.T) {
			dir, file := filled(t)
			kept := filepath.Join(t.TempDir(), filepath.Base(file))
			if err := os.WriteFile(kept, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			queues, err := disk.Inspect(disk.OS{AnyOwner: true}, dir)
			if err != nil || len(queues) != 1 {
				t.Fatal(queues, err)
			}
			part := queues[0].Parts[0]
			path := filepath.Join(part.Dir, name)
			if err := errors.Join(os.RemoveAll(path), os.Symlink(filepath.Dir(kept), path)); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(filepath.Join(part.Dir, "ready")); err != nil {
				t.Fatal(err)
			}
			other := disk.Identity{Name: "other", Type: "otlp", Endpoint: "localhost:4317"}
			s, _, err := disk.Open(disk.OS{}, dir, other)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			left, err := disk.Inspect(disk.OS{AnyOwner: true}, dir)
			if err == nil || !strings.Contains(err.Error(), path) || len(left) != 1 || left[0].Identity != other {
				t.Errorf("it finds %+v, %v", left, err)
			}
			// It was put there after somebody had looked.
			if err := part.Purge(disk.OS{AnyOwner: true}, part.Ready, []string{filepath.Join(path, filepath.Base(kept))}); err == nil {
				t.Error("what is behind a link is purged")
			}
			if _, err := os.Stat(kept); err != nil {
				t.Error(err)
			}
		})
	}
}

// Where others can rename the queue of one exporter to that of another, its batches do
// not go to that one's backend.
func TestRenamedQueue(t *testing.T) {
	dir, file := filled(t)
	other := disk.Identity{Name: "other\xff", Type: "otlp", Endpoint: "elsewhere:4317"}
	open := func() error {
		s, entries, err := disk.Open(disk.OS{}, dir, other)
		if err == nil {
			err = s.Close()
		}
		if len(entries) > 0 {
			t.Errorf("it has taken %d batches", len(entries))
		}
		return err
	}
	for range 2 {
		if err := open(); err != nil {
			t.Fatal(err)
		}
	}
	theirs, err := filepath.Glob(filepath.Join(dir, "other*"))
	if err != nil || len(theirs) != 1 {
		t.Fatal(theirs, err)
	}
	first := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	if err := errors.Join(os.RemoveAll(theirs[0]), os.Rename(first, theirs[0])); err != nil {
		t.Fatal(err)
	}
	if err := open(); err == nil || !strings.Contains(err.Error(), "is the queue of another exporter") {
		t.Errorf("the error is %v", err)
	}
}
