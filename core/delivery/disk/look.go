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
// may not show. The error is about what cannot be looked at; the others are told.
func Inspect(fsys FS, dir string) ([]Queue, error) {
	files, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var queues []Queue
	var errs []error
	for _, d := range files {
		if !d.IsDir() {
			continue
		}
		q, ok, err := inspectQueue(fsys, filepath.Join(dir, d.Name()), func(Identity) bool { return true })
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if ok {
			queues = append(queues, q)
		}
	}
	return queues, errors.Join(errs...)
}

// Stranded returns what waits in a directory of queues for an exporter of the name of
// id, but of another endpoint or type: no process works with it, and neither id nor
// another exporter of this process, all of which known names, will send it. That is
// what a change of the configuration leaves. It takes nothing from processes that
// start at the same time: the queues of id and known it does not look into.
//
// A process with another configuration, not running at the moment, may still come
// for it.
func Stranded(fsys FS, dir string, id Identity, known []Identity) ([]Queue, error) {
	files, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	known = append([]Identity{id}, known...)
	var queues []Queue
	for _, d := range files {
		if !d.IsDir() || !id.mayOwn(d.Name()) || checkOwner(fsys, filepath.Join(dir, d.Name())) != nil {
			continue
		}
		q, ok, err := inspectQueue(fsys, filepath.Join(dir, d.Name()), func(have Identity) bool {
			// Of two names the directories may begin alike.
			return (have == Identity{} || have.Name == id.Name) && !isOf(known, d.Name(), have)
		})
		if err != nil {
			return nil, err
		}
		if batches, _ := q.Waiting(); ok && batches > 0 && !q.InUse() {
			queues = append(queues, q)
		}
	}
	return queues, nil
}

// inspectQueue tells what is in the directory of an exporter, unless it is none, or
// none that is wanted.
func inspectQueue(fsys FS, dir string, want func(Identity) bool) (q Queue, ok bool, err error) {
	q.Dir = dir
	parts, err := partsOf(fsys, dir)
	if err != nil {
		return q, false, err
	}
	if q.Identity, err = loadIdentity(fsys, dir); err != nil {
		q.Identity = Identity{}
		if len(parts) == 0 {
			return q, false, nil // none of ours
		}
	}
	if !want(q.Identity) {
		return q, false, nil
	}
	for _, name := range parts {
		p, err := inspect(fsys, filepath.Join(dir, name))
		if err != nil {
			return q, false, err
		}
		q.Parts = append(q.Parts, p)
	}
	return q, true, nil
}

// Waiting counts what waits.
func (q *Queue) Waiting() (batches, spans int) {
	for _, p := range q.Parts {
		batches += len(p.Ready)
		for _, e := range p.Ready {
			spans += e.Spans
		}
	}
	return batches, spans
}

// InUse reports whether a process has any part.
func (q *Queue) InUse() bool {
	return slices.ContainsFunc(q.Parts, func(p Part) bool { return p.InUse })
}

func inspect(fsys FS, dir string) (p Part, err error) {
	p.Dir = dir
	if err := noLinks(fsys, dir); err != nil {
		return p, err
	}
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

// noLinks refuses a part whose directories are links: what is behind them is no queue's,
// and would be deleted with it.
func noLinks(fsys FS, part string) error {
	for _, d := range []string{"", readyDir, tmpDir, badDir} {
		name := filepath.Join(part, d)
		info, err := fsys.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", name)
		}
	}
	return nil
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

// Open opens the store of a part that no process has, and returns what waits in it.
// It takes over no other part. The error is [ErrLocked] if a process has it.
func (p *Part) Open(fsys FS) (*Store, []Entry, error) {
	s := &Store{fs: fsys, exporterDir: filepath.Dir(p.Dir), part: p.Dir, epoch: newEpoch()}
	for _, dir := range []string{s.exporterDir, p.Dir} {
		if err := checkOwner(fsys, dir); err != nil {
			return nil, nil, err
		}
	}
	lock, err := fsys.Lock(filepath.Join(p.Dir, lockFile))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", p.Dir, err)
	}
	s.lock = lock
	var entries []Entry
	if err = makeDirs(fsys, p.Dir); err == nil {
		entries, err = s.load()
	}
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return s, entries, nil
}

// Purge deletes batches of a part and the files that were damaged. A part
// that is in use is left alone; the error is [ErrLocked] then.
func (p *Part) Purge(fsys FS, batches []Entry, damaged []string) (err error) {
	unlock, err := p.lock(fsys)
	if err != nil {
		return fmt.Errorf("%s: %w", p.Dir, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := noLinks(fsys, p.Dir); err != nil {
		return err
	}
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
