package disk

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/internal/trustedfile"
)

const partPrefix = "part-"

func random() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// makePrivateDir makes a directory that nobody else may look into. One that is there
// must be of this user, or root's: what another user's holds may be anything.
func makePrivateDir(fsys FS, name string) error {
	if err := makeDir(fsys, name); err != nil {
		return err
	}
	info, err := fsys.Lstat(name)
	if err != nil {
		return err
	}
	if err := trustedfile.Owner(info); err != nil {
		return fmt.Errorf("%s %w", name, err)
	}
	// Kubernetes opens a volume to the group of a pod each time that it is mounted.
	if mode := info.Mode().Perm(); modes && mode&0o077 != 0 && (mode&0o007 != 0 || !trustedfile.InGroup(info)) {
		return fmt.Errorf("%s has mode %04o: others may read the traces in it; want %04o", name, mode, dirMode)
	}
	return nil
}

// checkOwner refuses a directory of another user.
func checkOwner(fsys FS, dir string) error {
	info, err := fsys.Lstat(dir)
	if err != nil {
		return err
	}
	if err := trustedfile.Owner(info); err != nil {
		return fmt.Errorf("%s %w", dir, err)
	}
	return nil
}

// claimPart gives the store a part: one that nobody has, or a new one.
func (s *Store) claimPart() error {
	parts, err := partsOf(s.fs, s.exporterDir)
	if err != nil {
		return err
	}
	const attempts = 100 // others start at the same time
	for range attempts {
		parts = append(parts, partPrefix+random())
	}
	for _, p := range parts {
		part := filepath.Join(s.exporterDir, p)
		err := makePrivateDir(s.fs, part)
		if errors.Is(err, fs.ErrNotExist) {
			continue // who had it has just removed it
		}
		if err != nil {
			return err
		}
		lock, err := s.fs.Lock(filepath.Join(part, lockFile))
		if errors.Is(err, ErrLocked) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		s.part, s.lock = part, lock
		return makeDirs(s.fs, part)
	}
	return fmt.Errorf("no part of %s can be locked", s.exporterDir)
}

func makeDirs(fsys FS, part string) error {
	for _, d := range []string{tmpDir, readyDir, badDir} {
		if err := makePrivateDir(fsys, filepath.Join(part, d)); err != nil {
			return err
		}
	}
	return nil
}

// repair makes the directories that somebody has deleted, and locks them.
func (s *Store) repair() error {
	if err := makePrivateDir(s.fs, s.part); err != nil {
		return err
	}
	name := filepath.Join(s.part, lockFile)
	if _, err := s.fs.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		lock, err := s.fs.Lock(name)
		if err != nil {
			return err
		}
		_ = s.lock.Close() // of a file that is gone
		s.lock = lock
	}
	return makeDirs(s.fs, s.part)
}

// otherParts lists the parts of the exporter but the store's own, in use or not.
func (s *Store) otherParts() (parts []string, err error) {
	others, err := s.identity.otherDirs(s.fs, filepath.Dir(s.exporterDir))
	errs := []error{err}
	for _, dir := range append([]string{s.exporterDir}, others...) {
		if err := checkOwner(s.fs, dir); err != nil {
			errs = append(errs, err)
			continue
		}
		names, err := partsOf(s.fs, dir)
		errs = append(errs, err)
		for _, name := range names {
			if part := filepath.Join(dir, name); part != s.part {
				parts = append(parts, part)
			}
		}
	}
	return parts, errors.Join(errs...)
}

func partsOf(fsys FS, dir string) (names []string, err error) {
	entries, err := fsys.ReadDir(dir)
	for _, d := range entries {
		if d.IsDir() && strings.HasPrefix(d.Name(), partPrefix) {
			names = append(names, d.Name())
		}
	}
	return names, err
}

// listOf returns the batches in a directory, in the order in which they were
// written. What is no file of a store's is left alone.
func listOf(fsys FS, dir string) ([]Entry, error) {
	files, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(files))
	for _, d := range files {
		e, ok := parseName(d.Name())
		if !ok || !d.Type().IsRegular() {
			continue
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		e.Size = info.Size()
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.name(), b.name()) })
	return entries, nil
}

// takeOverTmp takes over what a process had written when it was ended, but not
// stored yet. Files that are not whole were never promised to anybody.
func (s *Store) takeOverTmp(part string) ([]Entry, error) {
	dir := filepath.Join(part, tmpDir)
	files, err := listOf(s.fs, dir)
	if err != nil {
		return nil, err
	}
	var takenOver []Entry
	for _, e := range files {
		name := filepath.Join(dir, e.name())
		file, err := s.fs.ReadFile(name)
		if err != nil && !unfit(err) {
			return takenOver, err
		}
		if b, err := Decode(file); err != nil || !e.describes(b) {
			if err := s.fs.Remove(name); err != nil {
				return takenOver, err
			}
			continue
		}
		if err := s.fs.Sync(name); err != nil {
			return takenOver, err
		}
		e, err := s.move(name, e)
		if err != nil {
			return takenOver, err
		}
		takenOver = append(takenOver, e)
	}
	return takenOver, nil
}

// move takes a file in as the last one.
func (s *Store) move(name string, e Entry) (Entry, error) {
	s.seq++
	e.seq, e.epoch = s.seq, s.epoch
	return e, s.fs.Rename(name, s.path(readyDir, e))
}

// TakeOver takes over what processes have left behind that are gone, and returns
// it. Call it now and then.
func (s *Store) TakeOver() ([]Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts, err := s.otherParts()
	errs := []error{err}
	var all []Entry
	for _, part := range parts {
		entries, err := s.takeOverPart(part)
		all = append(all, entries...)
		if err != nil {
			errs = append(errs, fmt.Errorf("taking over %s: %w", part, err))
		}
	}
	return all, errors.Join(errs...)
}

func (s *Store) takeOverPart(part string) (takenOver []Entry, err error) {
	err = makePrivateDir(s.fs, part)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lock, err := s.fs.Lock(filepath.Join(part, lockFile))
	if errors.Is(err, ErrLocked) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := makeDirs(s.fs, part); err != nil {
		return nil, err
	}
	entries, err := listOf(s.fs, filepath.Join(part, readyDir))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		e, err := s.move(filepath.Join(part, readyDir, e.name()), e)
		if err != nil {
			return takenOver, err
		}
		takenOver = append(takenOver, e)
	}
	written, err := s.takeOverTmp(part)
	takenOver = append(takenOver, written...)
	if err != nil {
		return takenOver, err
	}
	if err := s.fs.Sync(filepath.Join(s.part, readyDir)); err != nil {
		return takenOver, err
	}
	return takenOver, s.removePart(part)
}

// removePart removes a part that holds no batches. What else is in it, such as
// damaged files, stays, and the part with it.
func (s *Store) removePart(part string) error {
	for _, d := range []string{tmpDir, readyDir, badDir} {
		name := filepath.Join(part, d)
		files, err := s.fs.ReadDir(name)
		if err != nil {
			return err
		}
		if len(files) > 0 {
			return nil
		}
	}
	for _, name := range []string{tmpDir, readyDir, badDir, lockFile, ""} {
		if err := s.fs.Remove(filepath.Join(part, name)); err != nil {
			return nil //nolint:nilerr // somebody has put something there; it can stay
		}
	}
	return nil
}
