package pin

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/riffletrace/riffle/internal/trustedfile"
)

// Program is a file that may run.
type Program struct {
	// Path is the private copy, in a directory of its own; it has the name of the
	// file that it was made from.
	Path   string
	SHA256 string
	Pinned bool

	dir, tmp      string // as they were given to Copy
	allowUnpinned bool
	lock          io.Closer // of the copy's directory; nil where there are no locks
}

// Remove removes the copy and its directory.
func (p *Program) Remove() error { return remove(filepath.Dir(p.Path), p.lock) }

// Renew makes the copy again, elsewhere, if somebody has deleted it, such as who
// cleans the directory for temporary files. What it was made from must be the same
// file as before and pass the same checks.
func (p *Program) Renew() error {
	if _, err := os.Lstat(p.Path); !errors.Is(err, fs.ErrNotExist) {
		return nil // whatever else is wrong with it, its start will tell
	}
	file := filepath.Base(p.Path)
	again, err := Copy(p.dir, file, p.tmp, p.allowUnpinned)
	if err == nil && again.SHA256 != p.SHA256 {
		err = errors.Join(fmt.Errorf("%s is another file than the one that was started: restart the service to run it", filepath.Join(p.dir, file)), again.Remove())
	}
	if err != nil {
		return fmt.Errorf("its private copy %s was deleted and cannot be made again: %w", p.Path, err)
	}
	_ = p.Remove() // what is left of it: the next start of any host tries again
	*p = *again
	return nil
}

// Copy checks the program file in dir against the pins there and makes a private
// copy of it in a new directory below tmp, or below that for temporary files if
// tmp is "". Copies there whose process is gone are removed. One that is not pinned is
// refused unless allowUnpinned. Its errors say what to do.
func Copy(dir, file, tmp string, allowUnpinned bool) (_ *Program, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := open(root, file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lock, err := readLock(root)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, file)
	pin, pinned := lock.Find(file)
	if !pinned && !allowUnpinned {
		return nil, fmt.Errorf("%s is not pinned in %s: run riffle plugins pin --dir %s %s after checking where it comes from, or set plugins.allow_unpinned for development",
			path, LockFile, dir, file)
	}
	private, locked, err := makeDir(tmp)
	if err != nil {
		return nil, err
	}
	p := &Program{Path: filepath.Join(private, file), Pinned: pinned, dir: dir, tmp: tmp, allowUnpinned: allowUnpinned, lock: locked}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Remove())
		}
	}()
	if p.SHA256, err = copyTo(p.Path, f); err != nil {
		return nil, fmt.Errorf("copying %s: %w", path, err)
	}
	if pinned && p.SHA256 != pin.SHA256 {
		return nil, fmt.Errorf("%s is not the file that was pinned: its SHA-256 is %s, and %s has %s; if it was replaced on purpose, run riffle plugins pin --dir %s %s",
			path, p.SHA256, LockFile, pin.SHA256, dir, file)
	}
	return p, nil
}

// Sum returns the SHA-256 of the program file in dir, if it may be pinned.
func Sum(dir, file string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	f, err := open(root, file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return digest(h.Sum(nil)), nil
}

// open opens a program that nobody else can have changed.
func open(root *os.Root, file string) (_ *os.File, err error) {
	path := filepath.Join(root.Name(), file)
	defer func() {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}()
	dir, err := root.Stat(".")
	if err != nil {
		return nil, err
	}
	if err := trustedfile.Check(dir, trustedfile.NoGroup); err != nil {
		return nil, fmt.Errorf("its directory: %w", err)
	}
	if err := trustedfile.Parents(root.Name()); err != nil {
		return nil, err
	}
	f, err := openFile(root, file)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.Size() > maxProgram:
		err = fmt.Errorf("is larger than %d GiB", maxProgram>>30)
	default:
		err = runnable(info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// maxProgram bounds what is copied.
const maxProgram = 1 << 30

// openFile opens a file of a directory that nobody else can write.
func openFile(root *os.Root, file string) (*os.File, error) {
	// Looked at first: opening a pipe would wait for somebody to write to it.
	info, err := root.Stat(file)
	if err != nil {
		return nil, outside(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a file")
	}
	f, err := root.OpenFile(file, os.O_RDONLY|trustedfile.NonBlock, 0)
	if err != nil {
		return nil, outside(err)
	}
	opened, err := f.Stat()
	switch {
	case err != nil:
	case !os.SameFile(info, opened):
		err = errors.New("was replaced while it was opened")
	default:
		err = trustedfile.Check(opened, trustedfile.NoGroup)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// outside explains the error of a link that leaves the directory.
func outside(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) && strings.Contains(e.Err.Error(), "escapes") {
		return errors.New("is a link out of its directory")
	}
	return err
}

func copyTo(path string, from io.Reader) (sum string, err error) {
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(to, h), from)
	if err = errors.Join(err, to.Close()); err != nil {
		return "", err
	}
	return digest(h.Sum(nil)), nil
}
