package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/riffletrace/riffle/internal/trustedfile"
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
	// ReadFile reads a regular file, and refuses a link, one that somebody else has
	// written, and one that is larger than any batch.
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
type OS struct {
	// AnyOwner reads and locks what belongs to others too: for people who look at it.
	AnyOwner bool
}

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
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|trustedfile.NoFollow, fileMode)
}

// ReadFile implements FS.
func (o OS) ReadFile(name string) ([]byte, error) {
	f, info, err := trustedfile.OpenOwn(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := o.check(info); err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: notOursError{err}}
	}
	return trustedfile.ReadAll(f, name, maxFile)
}

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// Sync implements FS.
func (OS) Sync(name string) error { return syncName(name) }

// Lock implements FS.
func (o OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|trustedfile.NoFollow|trustedfile.NonBlock, fileMode)
	if err != nil {
		return nil, err
	}
	if err := o.checkLock(f); err != nil {
		return nil, errors.Join(err, f.Close())
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

// checkLock refuses to lock what somebody else can keep locked.
func (o OS) checkLock(f *os.File) error {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = trustedfile.ErrNotRegular
	}
	if err == nil {
		err = o.check(info)
	}
	if err != nil {
		return &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return nil
}

func (o OS) check(info fs.FileInfo) error {
	if o.AnyOwner {
		return nil
	}
	return trustedfile.Check(info, trustedfile.OwnGroup)
}

// maxFile bounds what is read of a file: the largest body of a batch, and its header.
const maxFile = 256<<20 + headerSize

// notOursError is about a file that somebody else has written, or could have: what is in it
// is none of ours.
type notOursError struct{ error }

func (notOursError) Is(target error) bool { return target == ErrDamaged }

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
