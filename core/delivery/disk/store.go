package disk

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"sync"
	"time"

	"github.com/riffletrace/riffle/internal/trustedfile"
)

// Store holds the batches of one exporter in one process. [Open] makes it. It
// is safe for concurrent use, but for Close, which comes last.
type Store struct {
	fs          FS
	identity    Identity
	exporterDir string // the exporter's directory
	part        string // the part's
	epoch       uint32
	lock        io.Closer

	mu          sync.Mutex // held while files are written or taken over
	seq         uint64     // of the last file
	needsRepair bool       // a write has failed: the directories may be gone
	damaged     int        // files in bad
}

// The directories of a part, and its lock.
const (
	tmpDir   = "tmp"
	readyDir = "ready"
	badDir   = "bad"
	lockFile = "lock"
)

// maxDamaged is how many damaged files are kept; more are deleted.
const maxDamaged = 1000

// Open opens the store of an exporter in dir, which it makes if need be, and
// returns what waits there: in the order in which it was written, then what it
// took over from processes that are gone.
func Open(fsys FS, dir string, id Identity) (*Store, []Entry, error) {
	s := &Store{fs: fsys, identity: id, exporterDir: filepath.Join(dir, id.normalized().dir()), epoch: newEpoch()}
	entries, err := s.open(dir)
	if err != nil {
		if s.lock != nil {
			err = errors.Join(err, s.lock.Close())
		}
		return nil, nil, fmt.Errorf("opening the queue in %s: %w", dir, err)
	}
	return s, entries, nil
}

func newEpoch() uint32 {
	var epoch [4]byte
	_, _ = rand.Read(epoch[:]) // it never fails
	return binary.LittleEndian.Uint32(epoch[:])
}

func (s *Store) open(dir string) ([]Entry, error) {
	if err := makeDir(s.fs, dir); err != nil {
		return nil, err
	}
	// Others may write in it, as in the volumes of containers: what is below is private.
	if err := checkOwner(s.fs, dir); err != nil {
		return nil, err
	}
	if err := makePrivateDir(s.fs, s.exporterDir); err != nil {
		return nil, err
	}
	// Where others can write the directory, they can rename what is in it.
	if have, err := loadIdentity(s.fs, s.exporterDir); err == nil && have != (Identity{}) && !have.Equal(s.identity.written()) {
		return nil, fmt.Errorf("%s is the queue of another exporter: somebody has renamed it, or changed its %s", s.exporterDir, identityFile)
	}
	if err := s.identity.normalized().save(s.fs, s.exporterDir); err != nil {
		return nil, err
	}
	if err := s.claimPart(); err != nil {
		return nil, err
	}
	// Those who made the directories may have been killed before they synced them.
	for _, d := range []string{s.part, s.exporterDir, dir} {
		if err := s.fs.Sync(d); err != nil {
			return nil, err
		}
	}
	entries, err := s.load()
	if err != nil {
		return nil, err
	}
	// What cannot be taken over now can wait: TakeOver will tell why it cannot.
	takenOver, _ := s.TakeOver()
	return append(entries, takenOver...), nil
}

// load returns what is in the store's own part.
func (s *Store) load() ([]Entry, error) {
	entries, err := listOf(s.fs, filepath.Join(s.part, readyDir))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		s.seq = max(s.seq, e.seq)
	}
	damaged, err := s.fs.ReadDir(filepath.Join(s.part, badDir))
	if err != nil {
		return nil, err
	}
	s.damaged = len(damaged)
	written, _ := s.takeOverTmp(s.part) // what it cannot take over can wait
	return append(entries, written...), nil
}

// Dir is where the store has its files.
func (s *Store) Dir() string { return s.part }

// Write stores batches, in order. When it returns, those of the entries survive
// the process and, with sync, a power failure; the rest have left nothing
// behind, for the reason that the error tells.
func (s *Store) Write(batches []Batch, sync bool) ([]Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, err := s.write(batches, sync)
	s.needsRepair = err != nil
	if err != nil {
		err = fmt.Errorf("writing to the queue: %w", err)
	}
	return entries, err
}

func (s *Store) write(batches []Batch, sync bool) ([]Entry, error) {
	if s.needsRepair {
		if err := s.repair(); err != nil {
			return nil, err
		}
	}
	var entries []Entry
	var failure error
	for _, b := range batches {
		e, err := s.create(b, sync)
		if err != nil {
			failure = err
			break
		}
		entries = append(entries, e)
	}
	for i, e := range entries {
		if err := s.fs.Rename(s.path(tmpDir, e), s.path(readyDir, e)); err != nil {
			s.removeUnstored(tmpDir, entries[i:])
			entries, failure = entries[:i], err
			break
		}
	}
	if sync && len(entries) > 0 {
		if err := s.fs.Sync(filepath.Join(s.part, readyDir)); err != nil {
			s.removeUnstored(readyDir, entries)
			return nil, err
		}
	}
	return entries, failure
}

// create writes a file in tmp.
func (s *Store) create(b Batch, sync bool) (Entry, error) {
	s.seq++
	b.FirstEnd = time.Unix(0, b.FirstEnd.UnixNano()) // as the file will tell it
	b.Spans = min(max(b.Spans, 0), math.MaxInt32)
	e := Entry{Meta: b.Meta, Size: int64(headerSize + len(b.Payload)), seq: s.seq, epoch: s.epoch}
	f, err := s.fs.Create(s.path(tmpDir, e))
	if err != nil {
		return e, err
	}
	err = fill(f, b, sync)
	if err = errors.Join(err, f.Close()); err != nil {
		s.removeUnstored(tmpDir, []Entry{e})
	}
	return e, err
}

func fill(f File, b Batch, sync bool) error {
	// One write for the header and the payload, so that a small batch is one call.
	file := make([]byte, 0, headerSize+len(b.Payload))
	if _, err := f.Write(append(appendHeader(file, b), b.Payload...)); err != nil {
		return err
	}
	if !sync {
		return nil
	}
	return f.Sync()
}

// removeUnstored deletes what was not stored. If it cannot, the batch is sent twice
// in the worst case.
func (s *Store) removeUnstored(dir string, entries []Entry) {
	for _, e := range entries {
		_ = s.fs.Remove(s.path(dir, e))
	}
}

func (s *Store) path(dir string, e Entry) string { return filepath.Join(s.part, dir, e.name()) }

// Read returns a batch. If its file is damaged, the error is [ErrDamaged], and
// the file is moved out of the way; after any other error, reading can be
// retried.
func (s *Store) Read(e Entry) (Batch, error) {
	name := s.path(readyDir, e)
	file, err := s.fs.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Batch{}, damaged("%s is gone", name)
	case unfit(err):
		return Batch{}, fmt.Errorf("%s: %w: %w", s.quarantine(e), ErrDamaged, err)
	case err != nil:
		return Batch{}, fmt.Errorf("reading from the queue: %w", err)
	}
	b, err := Decode(file)
	if err == nil && !e.describes(b) {
		err = damaged("its name and its header differ")
	}
	if err != nil {
		return Batch{}, fmt.Errorf("%s: %w", s.quarantine(e), err)
	}
	return b, nil
}

// unfit reports whether a file can be no batch of ours, whenever it is read.
func unfit(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, trustedfile.ErrTooLarge) || errors.Is(err, trustedfile.ErrNotRegular)
}

func (e *Entry) describes(b Batch) bool {
	return e.Spans == b.Spans && e.FirstEnd.Equal(b.FirstEnd) && e.Encoding == b.Encoding
}

// quarantine moves a damaged file to bad, and returns where it is.
func (s *Store) quarantine(e Entry) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, to := s.path(readyDir, e), s.path(badDir, e)
	if s.damaged >= maxDamaged {
		_ = s.fs.Remove(from) // it stays, if it cannot be removed, and is found again
		return from
	}
	if err := s.fs.Rename(from, to); err != nil {
		return from
	}
	s.damaged++
	return to
}

// Remove deletes a batch that was sent, or is not wanted any more.
func (s *Store) Remove(e Entry) error {
	if err := s.fs.Remove(s.path(readyDir, e)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting from the queue: %w", err)
	}
	return nil
}

// Close gives the part free, with what waits in it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lock.Close()
}
