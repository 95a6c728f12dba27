package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/delivery/disk"
)

func open(t *testing.T, dir string) (*disk.Store, []disk.Entry) {
	t.Helper()
	s, entries, err := disk.Open(disk.OS{}, dir, identity)
	if err != nil {
		t.Fatal(err)
	}
	return s, entries
}

func closed(t *testing.T, s *disk.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, s *disk.Store, ids ...uint64) []disk.Entry {
	t.Helper()
	var batches []disk.Batch
	for _, id := range ids {
		batches = append(batches, batch(id))
	}
	entries, err := s.Write(batches, true)
	if err != nil || len(entries) != len(ids) {
		t.Fatalf("%d of %d are stored: %v", len(entries), len(ids), err)
	}
	return entries
}

// idsOf reads batches; a damaged one is 0.
func idsOf(t *testing.T, s *disk.Store, entries []disk.Entry) (ids []uint64) {
	t.Helper()
	for _, e := range entries {
		b, err := s.Read(e)
		if err != nil && !errors.Is(err, disk.ErrDamaged) {
			t.Fatal(err)
		}
		if err == nil && string(b.Payload) != string(payload(idOf(b.Payload))) {
			t.Fatalf("%x is nothing that was written", b.Payload)
		}
		ids = append(ids, idOf(b.Payload))
	}
	return ids
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	s, entries := open(t, dir)
	if len(entries) != 0 {
		t.Fatalf("%d entries in an empty directory", len(entries))
	}
	written := write(t, s, 1, 2, 3)
	if diff := cmp.Diff([]uint64{1, 2, 3}, idsOf(t, s, written)); diff != "" {
		t.Error(diff)
	}
	if err := s.Remove(written[1]); err != nil {
		t.Error(err)
	}
	if err := s.Remove(written[1]); err != nil {
		t.Errorf("a batch that is gone: %v", err)
	}
	closed(t, s)
	s, entries = open(t, dir)
	defer closed(t, s)
	if diff := cmp.Diff([]uint64{1, 3}, idsOf(t, s, entries)); diff != "" {
		t.Error(diff)
	}
	if e := entries[0]; e.Spans != 2 || !e.FirstEnd.Equal(time.Unix(1, 5)) || e.Encoding != 1 || e.Size != int64(40+len(payload(1))) {
		t.Errorf("%+v", e)
	}
}

// Clocks jump; what was written first comes first.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	for id := uint64(9); id > 0; id-- { // each older than the one before, by a process of its own
		s, entries := open(t, dir)
		if len(entries) != int(9-id) {
			t.Fatalf("%d entries", len(entries))
		}
		write(t, s, id)
		closed(t, s)
	}
	s, entries := open(t, dir)
	defer closed(t, s)
	if diff := cmp.Diff([]uint64{9, 8, 7, 6, 5, 4, 3, 2, 1}, idsOf(t, s, entries)); diff != "" {
		t.Error(diff)
	}
}

// files lists what is below a directory, in it and below.
func files(t *testing.T, dir, pattern string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if ok, _ := filepath.Match(pattern, d.Name()); ok && !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A file that is not what was written costs its batch, and no other.
func TestDamage(t *testing.T) {
	whole := func() []byte {
		dir := t.TempDir()
		s, _ := open(t, dir)
		defer closed(t, s)
		write(t, s, 2)
		b, err := os.ReadFile(files(t, dir, "*.batch")[0])
		if err != nil {
			t.Fatal(err)
		}
		return b
	}()
	damages := map[string][]byte{"longer": append(slices.Clip(whole), 0)}
	for n := range whole {
		damages["truncated to "+time.Duration(n).String()] = whole[:n]
		flipped := append([]byte(nil), whole...)
		flipped[n] ^= 1 << (n % 8)
		damages["flipped at "+time.Duration(n).String()] = flipped
	}
	for name, content := range damages {
		if _, err := disk.Decode(content); !errors.Is(err, disk.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}

	dir := t.TempDir()
	s, _ := open(t, dir)
	write(t, s, 1, 2, 3)
	closed(t, s)
	if err := os.WriteFile(files(t, dir, "*.batch")[1], damages["longer"], 0o600); err != nil {
		t.Fatal(err)
	}
	s, entries := open(t, dir)
	defer closed(t, s)
	if diff := cmp.Diff([]uint64{1, 0, 3}, idsOf(t, s, entries)); diff != "" {
		t.Error(diff)
	}
	if bad := files(t, filepath.Join(s.Dir(), "bad"), "*"); len(bad) != 1 {
		t.Errorf("%q in bad", bad)
	}
	// A batch under another's name is none of the two.
	if err := os.Rename(files(t, s.Dir(), "*.batch")[1], files(t, s.Dir(), "*.batch")[2]); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint64{0, 0, 0}, idsOf(t, s, entries)); diff != "" {
		t.Error(diff)
	}
}

// What others have put there stays there, and is not read.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := open(t, dir)
	e := write(t, s, 1, 2)
	batches := files(t, dir, "*.batch")
	for _, sub := range []string{"tmp", "ready", "bad", "."} {
		at := filepath.Join(s.Dir(), sub)
		if err := os.WriteFile(filepath.Join(at, "README"), []byte("hello"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(secret, filepath.Join(at, strings.Replace(filepath.Base(batches[0]), "01-", "0a-", 1))); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(at, strings.Replace(filepath.Base(batches[0]), "01-", "0b-", 1)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, s)
	s, entries := open(t, dir)
	if diff := cmp.Diff([]uint64{1, 2}, idsOf(t, s, entries)); diff != "" {
		t.Error(diff)
	}
	// A link that takes the place of a batch is refused, too.
	if err := os.Remove(batches[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, batches[0]); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Read(e[0]); err == nil {
		t.Errorf("read %q through a link", b.Payload)
	}
	closed(t, s)
	// Another part takes the batches, and leaves the rest.
	other, _ := open(t, dir)
	closed(t, other)
	if n := len(files(t, dir, "README")); n != 4 {
		t.Errorf("%d files of others are left", n)
	}
}

func TestLinksAreRefused(t *testing.T) {
	target := t.TempDir()
	dir := filepath.Join(t.TempDir(), "queue")
	if err := os.Symlink(target, dir); err != nil {
		t.Fatal(err)
	}
	if _, _, err := disk.Open(disk.OS{}, dir, identity); err == nil {
		t.Error("the directory may be a link")
	}
	s, _ := open(t, target)
	closed(t, s)
	line := filepath.Dir(s.Dir())
	if err := os.Rename(line, line+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(line+".moved", line); err != nil {
		t.Fatal(err)
	}
	if _, _, err := disk.Open(disk.OS{}, target, identity); err == nil {
		t.Error("the exporter's directory may be a link")
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s, _ := open(t, dir)
	defer closed(t, s)
	write(t, s, 1)
	err := filepath.WalkDir(filepath.Dir(dir), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(s.Dir()), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := disk.Open(disk.OS{}, dir, identity); err == nil || !strings.Contains(err.Error(), "mode 0755") {
		t.Errorf("a directory that others may read: %v", err)
	}
}

// Two processes have a part each; the part of one that is gone goes to one
// with the same exporter only.
func TestTakeOver(t *testing.T) {
	dir := t.TempDir()
	a, _ := open(t, dir)
	write(t, a, 1, 2)
	b, entries := open(t, dir)
	if len(entries) != 0 || a.Dir() == b.Dir() {
		t.Fatalf("two processes on one part: %d entries, %s", len(entries), b.Dir())
	}
	write(t, b, 3)
	if taken, err := b.TakeOver(); err != nil || len(taken) != 0 {
		t.Fatalf("took %d from a living process: %v", len(taken), err)
	}
	closed(t, a)

	for _, id := range []disk.Identity{
		{Name: "x", Type: identity.Type, Endpoint: identity.Endpoint},
		{Name: identity.Name, Type: "x", Endpoint: identity.Endpoint},
		{Name: identity.Name, Type: identity.Type, Endpoint: "x"},
	} {
		other, entries, err := disk.Open(disk.OS{}, dir, id)
		if err != nil || len(entries) != 0 {
			t.Errorf("%v took %d: %v", id, len(entries), err)
		}
		closed(t, other)
	}

	taken, err := b.TakeOver()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint64{1, 2}, idsOf(t, b, taken)); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Lstat(a.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the empty part is left: %v", err)
	}
	closed(t, b)
	s, entries := open(t, dir)
	defer closed(t, s)
	if diff := cmp.Diff([]uint64{3, 1, 2}, idsOf(t, s, entries)); diff != "" {
		t.Error(diff)
	}
}

// Somebody deletes everything below a running process.
func TestDeletedDirectory(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	write(t, s, 1)
	if err := os.RemoveAll(filepath.Dir(s.Dir())); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]disk.Batch{batch(2)}, true); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("wrote into nowhere: %v", err)
	}
	write(t, s, 2) // the next attempt makes it anew
	other, entries := open(t, dir)
	if len(entries) != 0 {
		t.Error("the part is not locked any more")
	}
	closed(t, other)
	closed(t, s)
}

func TestLookAndPurge(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, _ := open(t, dir)
	write(t, s, 1, 2, 3)
	if err := os.Truncate(files(t, dir, "*.batch")[1], 50); err != nil {
		t.Fatal(err)
	}
	look := func() disk.Part {
		t.Helper()
		lines, err := disk.Inspect(disk.OS{}, dir)
		if err != nil || len(lines) != 1 || lines[0].Identity != identity || len(lines[0].Parts) != 1 {
			t.Fatalf("%+v, %v", lines, err)
		}
		return lines[0].Parts[0]
	}
	p := look()
	if !p.InUse || len(p.Ready) != 3 {
		t.Errorf("%+v", p)
	}
	if err := p.Purge(disk.OS{}, p.Ready, nil); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("purged what a process works with: %v", err)
	}
	if b, err := disk.ReadFile(disk.OS{}, p.Path(p.Ready[2])); err != nil || idOf(b.Payload) != 3 {
		t.Error(b, err)
	}
	idsOf(t, s, p.Ready)
	closed(t, s)
	p = look()
	if p.InUse || len(p.Ready) != 2 || len(p.Damaged) != 1 {
		t.Errorf("%+v", p)
	}
	if err := p.Purge(disk.OS{}, p.Ready[:1], p.Damaged); err != nil {
		t.Error(err)
	}
	if p = look(); len(p.Ready) != 1 || len(p.Damaged) != 0 {
		t.Errorf("%+v", p)
	}
}

func FuzzDecode(f *testing.F) {
	s := newModel()
	store, _, err := disk.Open(s, queueDir, identity)
	if err != nil {
		f.Fatal(err)
	}
	entries, err := store.Write([]disk.Batch{batch(1)}, true)
	if err != nil {
		f.Fatal(err)
	}
	lines, err := disk.Inspect(s, queueDir)
	if err != nil {
		f.Fatal(err)
	}
	whole, err := s.ReadFile(lines[0].Parts[0].Path(entries[0]))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := disk.Decode(file)
		if err != nil {
			if !errors.Is(err, disk.ErrDamaged) {
				t.Error(err)
			}
			return
		}
		// What is accepted is what Write writes.
		fsys := newModel()
		store, _, err := disk.Open(fsys, queueDir, identity)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := store.Write([]disk.Batch{b}, true)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := disk.Inspect(fsys, queueDir)
		if err != nil {
			t.Fatal(err)
		}
		again, err := fsys.ReadFile(lines[0].Parts[0].Path(entries[0]))
		if err != nil || string(again) != string(file) {
			t.Errorf("%x became %x (%v)", file, again, err)
		}
	})
}
