package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/riffletrace/riffle/internal/trustedfile"
)

// stamp is in the names of files that were put aside.
const stamp = "20060102T150405.000Z"

// rotated is a file of lines that is put aside when it is too large or of
// another period. What it needs to know after a restart it reads off the
// file: its size, and when it was written to last.
//
// Others may move or delete the file; it is opened again then. But only one
// may write to it: what a failed write has left is cut off.
type rotated struct {
	path     string
	maxSize  int64         // 0: no limit
	period   time.Duration // 0: never
	maxFiles int           // 0: all are kept
	now      func() time.Time

	f    *os.File // nil after a failure
	size int64
	last time.Time // when it was written to
}

func (r *rotated) open() error {
	if err := checkRegular(r.path); err != nil {
		return err
	}
	f, err := os.OpenFile(r.path, os.O_RDWR|os.O_APPEND|os.O_CREATE|trustedfile.NoFollow|trustedfile.NonBlock, 0o600)
	if err != nil {
		return err
	}
	if err := r.adopt(f); err != nil {
		return errors.Join(err, f.Close())
	}
	return nil
}

// adopt takes f over if it is still what stands at the path.
func (r *rotated) adopt(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if there, err := os.Lstat(r.path); err != nil || !os.SameFile(info, there) || !info.Mode().IsRegular() {
		return fmt.Errorf("%s changed while it was opened", r.path)
	}
	if err := checkOurs(info); err != nil {
		return fmt.Errorf("%s %w", r.path, err)
	}
	ended, err := endLine(f, info.Size())
	if err != nil {
		return err
	}
	r.f, r.size, r.last = f, info.Size()+ended, info.ModTime()
	return nil
}

// endLine ends a line that a crash has left half written, so that it spoils
// none but itself. It returns how many bytes that took.
func endLine(f *os.File, size int64) (int64, error) {
	if size == 0 {
		return 0, nil
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, size-1); err != nil || last[0] == '\n' {
		return 0, err
	}
	n, err := f.Write([]byte{'\n'})
	return int64(n), err
}

// rotate puts the file aside if it is due before n more bytes.
func (r *rotated) rotate(n int64) error {
	now := r.now()
	large := r.maxSize > 0 && r.size+n > r.maxSize
	old := r.period > 0 && r.last.Truncate(r.period).Before(now.Truncate(r.period))
	if r.f == nil || r.size == 0 || !large && !old {
		return nil
	}
	if !r.inPlace() {
		return r.close() // somebody else has put it aside
	}
	// Closed first: some systems rename no open file.
	if err := r.close(); err != nil {
		return err
	}
	aside, err := r.aside()
	if err != nil {
		return err
	}
	// Later than all others, whatever the clock says.
	if n := len(aside); n > 0 && !aside[n-1].Before(now.Truncate(time.Millisecond)) {
		now = aside[n-1].Add(time.Millisecond)
	}
	if err := os.Rename(r.path, r.asideName(now)); err != nil {
		return err
	}
	if r.maxFiles == 0 {
		return nil
	}
	var errs []error
	for excess := len(aside) + 1 - r.maxFiles; excess > 0 && len(aside) > 0; excess-- {
		if err := os.Remove(r.asideName(aside[0])); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
		aside = aside[1:]
	}
	return errors.Join(errs...)
}

// asideName is where a file put aside at t is.
func (r *rotated) asideName(t time.Time) string {
	ext := filepath.Ext(r.path)
	return strings.TrimSuffix(r.path, ext) + "-" + t.UTC().Format(stamp) + ext
}

// aside returns when the files were put aside that are still there, in order. What
// others have laid out there is none of them: it would have others deleted in its
// place, or be deleted itself.
func (r *rotated) aside() ([]time.Time, error) {
	entries, err := os.ReadDir(filepath.Dir(r.path))
	if err != nil {
		return nil, err
	}
	file := filepath.Base(r.path)
	ext := filepath.Ext(file)
	prefix := strings.TrimSuffix(file, ext) + "-"
	var all []time.Time
	for _, e := range entries {
		middle, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), ext), prefix)
		if t, err := time.Parse(stamp, middle); ok && err == nil && e.Name() == filepath.Base(r.asideName(t)) {
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() && trustedfile.Owner(info) == nil {
				all = append(all, t)
			}
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all, nil
}

// append writes all of text or, after an error, none of it.
func (r *rotated) append(text []byte) error {
	if r.f != nil && !r.inPlace() {
		if err := r.close(); err != nil {
			return err
		}
	}
	if r.f == nil {
		if err := r.open(); err != nil {
			return err
		}
	}
	n, err := r.f.Write(text)
	if err == nil {
		r.size += int64(n)
		r.last = r.now()
		return nil
	}
	if n > 0 {
		err = errors.Join(err, r.f.Truncate(r.size))
	}
	// Opened again for the next try, which also mends what could not be cut.
	return errors.Join(err, r.close())
}

// inPlace reports whether the file is still what stands at the path.
func (r *rotated) inPlace() bool {
	info, err := r.f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(r.path)
	return err == nil && os.SameFile(info, there)
}

// close may be called twice.
func (r *rotated) close() error {
	if r.f == nil {
		return nil
	}
	f := r.f
	r.f = nil
	return f.Close()
}
