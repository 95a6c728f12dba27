package disk_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/riffletrace/riffle/core/delivery/disk"
)

// model is a file system that forgets as a real one may when the power fails.
// What was written to a file and not synced is kept, lost or torn; a new name,
// a rename or a deletion in a directory that was not synced since has happened
// or not, each by itself, whatever came before or after it. A rename happens as
// a whole.
type model struct {
	mu      sync.Mutex
	root    *node
	pending []change
	after   func()                // runs after each operation that may have changed something
	fault   func(op string) error // runs before each operation
}

type node struct {
	names, synced map[string]*node // of a directory; nil of a file
	data, safe    []byte           // of a file
	link          bool
	locked        bool
}

// change is edits of directories that happen together.
type change []edit

type edit struct {
	dir  *node
	name string
	to   *node // nil: the name is gone
}

func newModel() *model { return &model{root: directory()} }

func directory() *node { return &node{names: map[string]*node{}, synced: map[string]*node{}} }

// copy returns what another process finds now.
func (m *model) copy() *model {
	seen := map[*node]*node{}
	c := &model{root: m.root.copy(seen)}
	for _, ch := range m.pending {
		var copied change
		for _, e := range ch {
			copied = append(copied, edit{e.dir.copy(seen), e.name, e.to.copy(seen)})
		}
		c.pending = append(c.pending, copied)
	}
	return c
}

func (n *node) copy(seen map[*node]*node) *node {
	if n == nil || seen[n] != nil {
		return seen[n]
	}
	c := &node{data: bytes.Clone(n.data), safe: bytes.Clone(n.safe), link: n.link}
	seen[n] = c
	if n.names != nil {
		c.names, c.synced = map[string]*node{}, map[string]*node{}
		for name, to := range n.names {
			c.names[name] = to.copy(seen)
		}
		for name, to := range n.synced {
			c.synced[name] = to.copy(seen)
		}
	}
	return c
}

// cut returns what is there after the power has failed now.
func (m *model) cut(r *rand.Rand) *model {
	c := m.copy()
	for _, ch := range c.pending {
		if r.IntN(2) == 0 {
			ch.apply(func(n *node) map[string]*node { return n.synced })
		}
	}
	c.pending = nil
	c.root.lose(r, map[*node]bool{})
	return c
}

func (n *node) lose(r *rand.Rand, seen map[*node]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	if n.names == nil {
		n.data = torn(r, n.safe, n.data)
		n.safe = bytes.Clone(n.data)
		return
	}
	n.names = maps.Clone(n.synced)
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		n.names[name].lose(r, seen)
	}
}

// torn returns what is left of data if only safe was synced.
func torn(r *rand.Rand, safe, data []byte) []byte {
	if bytes.Equal(safe, data) || len(data) == 0 {
		return data
	}
	switch r.IntN(5) {
	case 0:
		return safe
	case 1:
		return data
	case 2: // the beginning
		return data[:r.IntN(len(data))]
	case 3: // the length, but not all of the blocks
		lost := bytes.Clone(data)
		from := r.IntN(len(lost))
		clear(lost[from : from+r.IntN(len(lost)-from)+1])
		return lost
	default: // what others had written there before
		lost := bytes.Clone(data)
		for i := r.IntN(len(lost)); i < len(lost); i++ {
			lost[i] = byte(r.Uint32())
		}
		return lost
	}
}

func (ch change) apply(names func(*node) map[string]*node) {
	for _, e := range ch {
		if e.to == nil {
			delete(names(e.dir), e.name)
		} else {
			names(e.dir)[e.name] = e.to
		}
	}
}

// do runs one operation.
func (m *model) do(op, name string, f func() error) error {
	m.mu.Lock()
	err := error(nil)
	if m.fault != nil {
		err = m.fault(op)
	}
	if err == nil {
		err = f()
	}
	after := m.after
	m.mu.Unlock()
	if after != nil && op != "lstat" && op != "readdir" && op != "read" && op != "close" {
		after()
	}
	if err != nil && !errors.Is(err, disk.ErrLocked) {
		err = &fs.PathError{Op: op, Path: name, Err: err}
	}
	return err
}

// change changes directories now, and after a power failure perhaps.
func (m *model) change(edits ...edit) {
	change(edits).apply(func(n *node) map[string]*node { return n.names })
	m.pending = append(m.pending, edits)
}

func (m *model) find(name string) (*node, error) {
	n := m.root
	for part := range strings.SplitSeq(strings.Trim(filepath.ToSlash(name), "/"), "/") {
		if part == "" {
			continue
		}
		if n = n.names[part]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

func (m *model) parent(name string) (*node, string, error) {
	dir, base := filepath.Split(name)
	n, err := m.find(dir)
	if err == nil && n.names == nil {
		err = errors.New("not a directory")
	}
	return n, base, err
}

func (m *model) add(name string, n *node) error {
	dir, base, err := m.parent(name)
	if err != nil {
		return err
	}
	if dir.names[base] != nil {
		return fs.ErrExist
	}
	m.change(edit{dir, base, n})
	return nil
}

func (m *model) Mkdir(name string) error {
	return m.do("mkdir", name, func() error { return m.add(name, directory()) })
}

func (m *model) ReadDir(name string) (entries []fs.DirEntry, err error) {
	err = m.do("readdir", name, func() error {
		n, err := m.find(name)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(n.names)) {
			entries = append(entries, fs.FileInfoToDirEntry(info{name, n.names[name]}))
		}
		return nil
	})
	return entries, err
}

func (m *model) Lstat(name string) (fi fs.FileInfo, err error) {
	err = m.do("lstat", name, func() error {
		n, err := m.find(name)
		fi = info{filepath.Base(name), n}
		return err
	})
	return fi, err
}

func (m *model) Create(name string) (disk.File, error) {
	n := &node{}
	err := m.do("create", name, func() error { return m.add(name, n) })
	return &file{m, name, n}, err
}

func (m *model) ReadFile(name string) (b []byte, err error) {
	err = m.do("read", name, func() error {
		n, err := m.find(name)
		if err != nil {
			return err
		}
		if n.link || n.names != nil {
			return errors.New("not a regular file")
		}
		b = bytes.Clone(n.data)
		return nil
	})
	return b, err
}

func (m *model) Rename(from, to string) error {
	return m.do("rename", from, func() error {
		d, base, err := m.parent(from)
		if err != nil {
			return err
		}
		n := d.names[base]
		e, target, err := m.parent(to)
		if err == nil && n == nil {
			err = fs.ErrNotExist
		}
		if err == nil {
			m.change(edit{d, base, nil}, edit{e, target, n})
		}
		return err
	})
}

func (m *model) Remove(name string) error {
	return m.do("remove", name, func() error {
		d, base, err := m.parent(name)
		if err != nil {
			return err
		}
		switch n := d.names[base]; {
		case n == nil:
			return fs.ErrNotExist
		case len(n.names) > 0:
			return errors.New("not empty")
		}
		m.change(edit{d, base, nil})
		return nil
	})
}

func (m *model) Sync(name string) error {
	return m.do("sync", name, func() error {
		n, err := m.find(name)
		if err != nil {
			return err
		}
		n.safe = bytes.Clone(n.data)
		var rest []change
		for _, ch := range m.pending {
			if !slices.ContainsFunc(ch, func(e edit) bool { return e.dir == n }) {
				rest = append(rest, ch)
				continue
			}
			ch.apply(func(n *node) map[string]*node { return n.synced })
			for i := range rest { // an older state of the same names does not come back
				rest[i] = slices.DeleteFunc(rest[i], func(old edit) bool {
					return slices.ContainsFunc(ch, func(e edit) bool { return e.dir == old.dir && e.name == old.name })
				})
			}
		}
		m.pending = rest
		return nil
	})
}

func (m *model) Lock(name string) (l io.Closer, err error) {
	err = m.do("lock", name, func() error {
		n, err := m.find(name)
		if err != nil {
			n = &node{}
			if err := m.add(name, n); err != nil {
				return err
			}
		}
		if n.locked {
			return disk.ErrLocked
		}
		n.locked = true
		l = unlock{m, n}
		return nil
	})
	return l, err
}

type unlock struct {
	m *model
	n *node
}

func (u unlock) Close() error {
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	u.n.locked = false
	return nil
}

type file struct {
	m    *model
	name string
	n    *node
}

func (f *file) Write(b []byte) (int, error) {
	written := 0
	err := f.m.do("write", f.name, func() error {
		f.n.data = append(f.n.data, b...)
		written = len(b)
		return nil
	})
	if err != nil { // a full disk takes what it can
		f.m.mu.Lock()
		f.n.data = append(f.n.data, b[:len(b)/2]...)
		f.m.mu.Unlock()
	}
	return written, err
}

func (f *file) Sync() error {
	return f.m.do("fsync", f.name, func() error {
		f.n.safe = bytes.Clone(f.n.data)
		return nil
	})
}

func (f *file) Close() error { return f.m.do("close", f.name, func() error { return nil }) }

type info struct {
	name string
	n    *node
}

func (i info) Name() string     { return i.name }
func (i info) Size() int64      { return int64(len(i.n.data)) }
func (info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool      { return i.n.names != nil }
func (info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	switch {
	case i.n.link:
		return fs.ModeSymlink | 0o777
	case i.IsDir():
		return fs.ModeDir | 0o700
	default:
		return 0o600
	}
}

// Interface guard.
var _ disk.FS = (*model)(nil)
