package pin

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/internal/trustedfile"
)

// Each copy has a directory of its own, whose lock file is locked as long as the
// process that made it lives. What nobody has locked is of a process that was killed.
const (
	copyPrefix = "riffle-plugin-"
	copyLock   = "lock"
)

var copyName = regexp.MustCompile(`^` + copyPrefix + `[0-9]+$`) // as [os.MkdirTemp] makes them

// makeDir makes a directory for a copy and locks it. The lock is nil where there are
// none.
func makeDir(tmp string) (dir string, lock io.Closer, err error) {
	if err := trustedfile.Parents(cmp.Or(tmp, os.TempDir())); err != nil {
		return "", nil, fmt.Errorf("the private copy would not be private: %w", err)
	}
	removeAbandoned(tmp) // only here: elsewhere others may have put something in their place
	const attempts = 100 // until it is locked, a process that starts may take it for a dead one's
	for range attempts {
		if dir, err = os.MkdirTemp(tmp, copyPrefix); err != nil { // 0700
			return "", nil, err
		}
		lock, err = disk.OS{}.Lock(filepath.Join(dir, copyLock))
		switch {
		case err == nil, errors.Is(err, errors.ErrUnsupported):
			return dir, lock, nil
		case !errors.Is(err, disk.ErrLocked) && !errors.Is(err, fs.ErrNotExist):
			return "", nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	return "", nil, err
}

// removeAbandoned removes the copies that processes of this user have left below
// tmp. What it cannot remove stays: it costs nothing but room.
func removeAbandoned(tmp string) {
	tmp = cmp.Or(tmp, os.TempDir())
	entries, err := os.ReadDir(tmp)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !copyName.MatchString(e.Name()) {
			continue
		}
		info, err := e.Info()
		if err != nil || !trustedfile.Own(info) {
			continue
		}
		dir := filepath.Join(tmp, e.Name())
		name := filepath.Join(dir, copyLock)
		if _, err := os.Lstat(name); err != nil {
			_ = os.Remove(dir) // killed before it was locked: empty, else it is none of ours
			continue
		}
		if lock, err := (disk.OS{}).Lock(name); err == nil {
			_ = remove(dir, lock)
		}
	}
}

// remove removes a directory that is locked.
func remove(dir string, lock io.Closer) error {
	if lock == nil {
		return os.RemoveAll(dir)
	}
	_ = os.RemoveAll(dir) // while nobody else can lock it
	_ = lock.Close()
	// Windows deletes no file that is open, and elsewhere removeAbandoned of another
	// process may just have made a lock file again.
	return os.RemoveAll(dir)
}
