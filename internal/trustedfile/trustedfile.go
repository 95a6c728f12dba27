// Package trustedfile tells whose files are read, taken over, appended to and run, and
// reads them within bounds. Who can write a file decides what a process does with it,
// and on a host with several users that must not be somebody else.
//
// A file is trusted that belongs to root or to the user of this process, and that
// nobody else can write. A group of this process may, where it is said: volumes of
// containers are shared so. What is checked is the file that is open, not its name.
//
// On systems without owners and modes in this sense, such as Windows, owners and modes
// are not checked; bounds and kinds of files are.
package trustedfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Group says what a group may do.
type Group bool

// Whether a group that this process is in may write a file.
const (
	NoGroup  Group = false
	OwnGroup Group = true
)

// Check returns what is wrong with the owner and the mode of a file or directory, and
// what to do; nil if it is to be trusted.
func Check(info fs.FileInfo, g Group) error {
	if err := Owner(info); err != nil {
		return err
	}
	return Mode(info, g)
}

// ErrTooLarge is what errors about files are that are larger than their bound.
var ErrTooLarge = errors.New("too large")

// ErrNotRegular is what errors about pipes, devices and directories are where a file
// is meant.
var ErrNotRegular = errors.New("is not a regular file")

// Open opens a regular file to read it. A pipe does not hold it up, and is refused.
func Open(name string) (*os.File, fs.FileInfo, error) { return open(name, NonBlock) }

// OpenOwn is Open for files of riffle's own, which are no links.
func OpenOwn(name string) (*os.File, fs.FileInfo, error) { return open(name, NonBlock|NoFollow) }

func open(name string, flags int) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|flags, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// ReadSetting reads a file that a user names, such as credentials or a certificate,
// up to a number of bytes. It may be a link, and anybody's, as the secrets of containers
// are; one that everybody can write is refused.
func ReadSetting(name string, most int64) ([]byte, error) {
	f, info, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := worldMode(info); err != nil {
		return nil, fmt.Errorf("%s %w", name, err)
	}
	return ReadAll(f, name, most)
}

// World refuses what everybody can write, for files that belong to whomever a user
// says.
func World(info fs.FileInfo) error { return worldMode(info) }

// CheckSetting is ReadSetting for files that a library reads itself. An empty name, and
// what is not there, is for the library to judge.
func CheckSetting(name string, most int64) error {
	if name == "" || name == os.DevNull {
		return nil
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil //nolint:nilerr // see above
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s %w", name, ErrNotRegular)
	case info.Size() > most:
		return tooLarge(name, most)
	}
	if err := worldMode(info); err != nil {
		return fmt.Errorf("%s %w", name, err)
	}
	return nil
}

// ReadAll reads up to most bytes; more are an error. It takes no more memory than that, whatever the size of the file is said to be.
func ReadAll(r io.Reader, name string, most int64) ([]byte, error) {
	if f, ok := r.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > most {
			return nil, tooLarge(name, most)
		}
	}
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, tooLarge(name, most)
	}
	return b, nil
}

func tooLarge(name string, most int64) error {
	return fmt.Errorf("%s is %w: want at most %s", name, ErrTooLarge, size(most))
}

func size(n int64) string {
	for _, u := range []struct {
		name string
		n    int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.n && n%u.n == 0 {
			return fmt.Sprintf("%d %s", n/u.n, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// Parents checks the directory that is named, and each that is passed on the way to it
// from the root: who can write one of them can put another in the place of what is
// inside, but for those with the sticky bit, such as /tmp. The way through each link is
// checked, and whose the link is.
func Parents(dir string) error {
	if !Checked {
		return nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	const most = 255 // links, as many as filepath.EvalSymlinks follows
	links := 0
	at, left := string(filepath.Separator), strings.Split(abs, string(filepath.Separator))
	for {
		if err := parent(at); err != nil {
			return fmt.Errorf("the directory %s %w", at, err)
		}
		for len(left) > 0 && (left[0] == "" || left[0] == ".") {
			left = left[1:]
		}
		if len(left) == 0 {
			return nil
		}
		next := filepath.Join(at, left[0])
		left = left[1:]
		info, err := os.Lstat(next)
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > most {
			return &fs.PathError{Op: "open", Path: dir, Err: errors.New("too many links")}
		}
		if err := Owner(info); err != nil {
			return fmt.Errorf("the link %s %w", next, err)
		}
		to, err := os.Readlink(next)
		if err != nil {
			return err
		}
		if filepath.IsAbs(to) {
			at = string(filepath.Separator)
		}
		left = append(strings.Split(to, string(filepath.Separator)), left...)
	}
}

func parent(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if err := Owner(info); err != nil {
		return err
	}
	return sharedMode(info)
}
