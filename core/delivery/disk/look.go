package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Queue is what a directory holds of one exporter.
type Queue struct {
	// Identity is the zero one if its file cannot be read.
	Identity
	Dir   string
	Parts []Part
}

// Part is what one process has left, or works with.
type Part struct {
	Dir string
	// InUse tells that a process has it.
	InUse bool
	// Ready are the batches that wait, in order; Writing is how many were being
	// written, and Damaged are the files that were.
	Ready   []Entry
	Writing int
	Damaged []string
}

// Path is the file of a batch.
func (p *Part) Path(e Entry) string { return filepath.Join(p.Dir, readyDir, e.name()) }

// Inspect tells what is in a directory of queues. It changes nothing, and takes
// nothing from the processes that work with it; what they do meanwhile may or
// may not show.
func Inspect(fsys FS, dir string) ([]Queue, error) {
	files, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var queues []Queue
	for _, d := range files {
		if !d.IsDir() {
			continue
		}
		q := Queue{Dir: filepath.Join(dir, d.Name())}
		parts, err := partsOf(fsys, q.Dir)
		if err != nil {
			return nil, err
		}
		if q.Identity, err = loadIdentity(fsys, q.Dir); err != nil && len(parts) == 0 {
			continue // none of ours
		}
		for _, name := range parts {
			p, err := inspect(fsys, filepath.Join(q.Dir, name))
			if err != nil {
				return nil, err
			}
			q.Parts = append(q.Parts, p)
		}
		queues = append(queues, q)
	}
	return queues, nil
}

func inspect(fsys FS, dir string) (p Part, err error) {
	p.Dir = dir
	if p.Ready, err = listOf(fsys, filepath.Join(dir, readyDir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	writing, err := fsys.ReadDir(filepath.Join(dir, tmpDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	p.Writing = len(writing)
	damaged, err := fsys.ReadDir(filepath.Join(dir, badDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	for _, d := range damaged {
		p.Damaged = append(p.Damaged, filepath.Join(dir, badDir, d.Name()))
	}
	unlock, err := p.lock(fsys)
	if errors.Is(err, ErrLocked) {
		p.InUse = true
		return p, nil
	}
	if err != nil {
		return p, err
	}
	return p, unlock()
}

// lock locks the part, unless nobody ever has.
func (p *Part) lock(fsys FS) (unlock func() error, err error) {
	name := filepath.Join(p.Dir, lockFile)
	if _, err := fsys.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return func() error { return nil }, nil
	}
	l, err := fsys.Lock(name)
	if err != nil {
		return nil, err
	}
	return l.Close, nil
}

// Purge deletes batches of a part and the files that were damaged. A part
// that is in use is left alone; the error is [ErrLocked] then.
func (p *Part) Purge(fsys FS, batches []Entry, damaged []string) (err error) {
	unlock, err := p.lock(fsys)
	if err != nil {
		return fmt.Errorf("%s: %w", p.Dir, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	names := slices.Clone(damaged)
	for _, e := range batches {
		names = append(names, p.Path(e))
	}
	for _, name := range names {
		if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// ReadFile reads the file of a batch, wherever it is. Errors about what it holds
// are [ErrDamaged].
func ReadFile(fsys FS, name string) (Batch, error) {
	file, err := fsys.ReadFile(name)
	if err != nil {
		return Batch{}, err
	}
	b, err := Decode(file)
	if err != nil {
		return b, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// IsBatch reports whether a file is named as one that holds a batch.
func IsBatch(name string) bool { return strings.HasSuffix(name, suffix) }
