package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// FS is what a [Store] needs of a file system. Names are paths. It is safe for
// concurrent use. Errors are those of package os: [fs.ErrNotExist] and the
// like.
type FS interface {
	// Mkdir makes a directory that only its owner can use. Its parent must exist.
	Mkdir(name string) error
	// ReadDir lists a directory.
	ReadDir(name string) ([]fs.DirEntry, error)
	// Lstat describes a file, and a link as a link.
	Lstat(name string) (fs.FileInfo, error)
	// Create makes a file that must not exist, for its owner only.
	Create(name string) (File, error)
	// ReadFile reads a regular file, and refuses a link.
	ReadFile(name string) ([]byte, error)
	// Rename moves a file to a name that is free, at once.
	Rename(from, to string) error
	// Remove deletes a file, or a directory that is empty.
	Remove(name string) error
	// Sync makes what a file holds, or the entries of a directory, survive a power
	// failure.
	Sync(name string) error
	// Lock locks a file, which it makes if need be, until the lock is closed or
	// the process ends. [ErrLocked] says that somebody else has it.
	Lock(name string) (io.Closer, error)
}

// File is a file that is being written.
type File interface {
	io.WriteCloser
	// Sync makes what was written survive a power failure; the file's name may
	// still be lost.
	Sync() error
}

// ErrLocked tells that another process holds a lock.
var ErrLocked = errors.New("locked by another process")

// OS is the file system of the operating system.
type OS struct{}

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// Mkdir implements FS.
func (OS) Mkdir(name string) error { return os.Mkdir(name, dirMode) }

// ReadDir implements FS.
func (OS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// Lstat implements FS.
func (OS) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }

// Create implements FS.
func (OS) Create(name string) (File, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|noFollow, fileMode)
}

// ReadFile implements FS.
func (OS) ReadFile(name string) ([]byte, error) {
	// A pipe must not hold up whoever opens it.
	f, err := os.OpenFile(name, os.O_RDONLY|noFollow|nonBlock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	b := make([]byte, info.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return b, nil
}

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// Sync implements FS.
func (OS) Sync(name string) error { return syncName(name) }

// Lock implements FS.
func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|noFollow, fileMode)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	// It may have been deleted before it was locked.
	ours, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if now, err := os.Lstat(name); err != nil || !os.SameFile(ours, now) {
		return nil, errors.Join(ErrLocked, f.Close())
	}
	return f, nil
}

// makeDir makes a directory and its parents unless they are there. What it made
// survives a power failure.
func makeDir(fsys FS, name string) error {
	switch info, err := fsys.Lstat(name); {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: name, Err: errors.New("not a directory")}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(name)
	if parent != name {
		if err := makeParents(fsys, parent); err != nil {
			return err
		}
	}
	if err := fsys.Mkdir(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return fsys.Sync(parent)
}

// makeParents is makeDir for a directory that may be reached through a link,
// as those above the queue's may.
func makeParents(fsys FS, name string) error {
	if _, err := fsys.Lstat(name); err == nil {
		return nil // if it is no directory, what follows says so
	}
	return makeDir(fsys, name)
}

// Interface guard.
var _ FS = OS{}
