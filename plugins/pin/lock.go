package pin

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/internal/trustedfile"
)

// LockFile is the name of the file that pins the programs of its directory.
const LockFile = "riffle-plugins.lock"

// maxLock bounds the lock file.
const maxLock = 1 << 20

// Pin is the content that a program must have.
type Pin struct {
	File   string // name in the directory
	SHA256 string // 64 hex digits
}

// Lock are the pins of a directory.
type Lock []Pin

// header leads the files that are written.
const header = "# The programs that riffle may run from this directory: riffle plugins pin writes it, sha256sum -c checks it.\n"

var lockLine = regexp.MustCompile(`^([0-9a-fA-F]{64}) [ *](.+)$`)

// Parse reads the content of a lock file.
func Parse(data []byte) (Lock, error) {
	var lock Lock
	var errs []error
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSuffix(lines.Text(), "\r")
		if strings.TrimSpace(text) == "" || text[0] == '#' {
			continue
		}
		m := lockLine.FindStringSubmatch(text)
		switch {
		case m == nil:
			errs = append(errs, fmt.Errorf("line %d: want 64 hex digits, two spaces and a file name", n))
		case m[2] != filepath.Base(m[2]) || m[2] == "." || m[2] == "..":
			errs = append(errs, fmt.Errorf("line %d: %q is not the name of a file in this directory", n, m[2]))
		case slices.ContainsFunc(lock, func(p Pin) bool { return p.File == m[2] }):
			errs = append(errs, fmt.Errorf("line %d: %s is pinned twice", n, m[2]))
		default:
			lock = append(lock, Pin{File: m[2], SHA256: strings.ToLower(m[1])})
		}
	}
	if err := lines.Err(); err != nil {
		errs = append(errs, err)
	}
	return lock, errors.Join(errs...)
}

// Read reads the lock file of a directory; without one there are no pins. A
// file that others could have written is an error.
func Read(dir string) (Lock, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return readLock(root)
}

func readLock(root *os.Root) (Lock, error) {
	name := filepath.Join(root.Name(), LockFile)
	f, err := openFile(root, LockFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer f.Close()
	data, err := trustedfile.ReadAll(f, name, maxLock)
	if err != nil {
		return nil, err
	}
	lock, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return lock, nil
}

// Find returns the pin of a file.
func (l Lock) Find(file string) (Pin, bool) {
	i := slices.IndexFunc(l, func(p Pin) bool { return p.File == file })
	if i < 0 {
		return Pin{}, false
	}
	return l[i], true
}

// With returns the lock with a pin added, or in place of one of the same file.
func (l Lock) With(p Pin) Lock {
	l = slices.DeleteFunc(slices.Clone(l), func(q Pin) bool { return q.File == p.File })
	l = append(l, p)
	slices.SortFunc(l, func(a, b Pin) int { return strings.Compare(a.File, b.File) })
	return l
}

// Write replaces the lock file of a directory.
func (l Lock) Write(dir string) error {
	var b strings.Builder
	b.WriteString(header)
	for _, p := range l {
		fmt.Fprintf(&b, "%s  %s\n", p.SHA256, p.File)
	}
	f, err := os.CreateTemp(dir, "."+LockFile+"-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(b.String())
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, LockFile))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// digest is the SHA-256 of sum, in hex.
func digest(sum []byte) string { return hex.EncodeToString(sum) }
