package disk_test

import (
	"errors"
	"flag"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/riffletrace/riffle/core/delivery/disk"
)

var many = flag.Int("files", 5000, "files of the test with many")

// confined is a file system of which only one directory can be written.
type confined struct {
	disk.FS
	dir string
}

func (c confined) allow(name string) error {
	if name == c.dir || strings.HasPrefix(name, c.dir+string(filepath.Separator)) {
		return nil
	}
	return &fs.PathError{Op: "write", Path: name, Err: syscall.EROFS}
}

func (c confined) Mkdir(name string) error {
	if err := c.allow(name); err != nil {
		return err
	}
	return c.FS.Mkdir(name)
}

func (c confined) Create(name string) (disk.File, error) {
	if err := c.allow(name); err != nil {
		return nil, err
	}
	return c.FS.Create(name)
}

func (c confined) Rename(from, to string) error {
	if err := errors.Join(c.allow(from), c.allow(to)); err != nil {
		return err
	}
	return c.FS.Rename(from, to)
}

func (c confined) Remove(name string) error {
	if err := c.allow(name); err != nil {
		return err
	}
	return c.FS.Remove(name)
}

func (c confined) Sync(name string) error {
	if err := c.allow(name); err != nil {
		return err
	}
	return c.FS.Sync(name)
}

func (c confined) Lock(name string) (io.Closer, error) {
	if err := c.allow(name); err != nil {
		return nil, err
	}
	return c.FS.Lock(name)
}

// In a container, the directory may be all that can be written.
func TestReadOnlyRoot(t *testing.T) {
	dir := t.TempDir()
	fsys := confined{disk.OS{}, dir}
	for n := range 3 {
		s, entries, err := disk.Open(fsys, dir, identity)
		if err != nil || len(entries) != n {
			t.Fatalf("%d entries: %v", len(entries), err)
		}
		write(t, s, uint64(n+1))
		closed(t, s)
	}
	if _, _, err := disk.Open(confined{disk.OS{}, dir + "2"}, dir, identity); !errors.Is(err, syscall.EROFS) {
		t.Errorf("a directory that cannot be written: %v", err)
	}
}

// counting counts operations.
type counting struct {
	disk.FS
	n atomic.Int64
}

func (c *counting) Create(name string) (disk.File, error) { c.n.Add(1); return c.FS.Create(name) }
func (c *counting) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := c.FS.ReadDir(name)
	c.n.Add(int64(1 + len(entries)))
	return entries, err
}

func (c *counting) ReadFile(name string) ([]byte, error)   { c.n.Add(1); return c.FS.ReadFile(name) }
func (c *counting) Lstat(name string) (fs.FileInfo, error) { c.n.Add(1); return c.FS.Lstat(name) }
func (c *counting) Lock(name string) (io.Closer, error)    { c.n.Add(1); return c.FS.Lock(name) }

// However many files there are, an operation looks at its own only.
func TestManyFiles(t *testing.T) {
	fsys := &counting{FS: disk.OS{}}
	dir := t.TempDir()
	s, _, err := disk.Open(fsys, dir, identity)
	if err != nil {
		t.Fatal(err)
	}
	group := make([]disk.Batch, 100)
	for i := range group {
		group[i] = batch(uint64(i + 1))
	}
	for range *many / len(group) {
		if _, err := s.Write(group, false); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, s)
	start := time.Now()
	s, entries, err := disk.Open(fsys, dir, identity)
	if err != nil || len(entries) != *many {
		t.Fatalf("%d of %d files: %v", len(entries), *many, err)
	}
	defer closed(t, s)
	t.Logf("opened with %d files in %v", *many, time.Since(start))
	before := fsys.n.Load()
	for _, e := range entries[:100] {
		if _, err := s.Read(e); err != nil {
			t.Fatal(err)
		}
		if err := s.Remove(e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Write(group, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.TakeOver(); err != nil {
		t.Fatal(err)
	}
	if n := fsys.n.Load() - before; n > 250 {
		t.Errorf("200 operations looked at %d files", n)
	}
}

// locks fails the test if a lock outside of a directory is taken.
type locks struct {
	disk.FS
	t   *testing.T
	dir string
}

func (l locks) Lock(name string) (io.Closer, error) {
	if !strings.HasPrefix(name, l.dir+string(filepath.Separator)) {
		l.t.Errorf("%s was locked", name)
	}
	return l.FS.Lock(name)
}
