package disk_test

import (
	"encoding/binary"
	"errors"
	"flag"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/riffletrace/riffle/core/delivery/disk"
)

var histories = flag.Int("histories", 100, "random histories of the power failure test")

var identity = disk.Identity{Name: "otlp", Type: "otlp", Endpoint: "localhost:4317"}

const queueDir = "/var/queue"

// payload is that of the batch with a number.
func payload(id uint64) []byte {
	r := rand.New(rand.NewPCG(id, 7))
	b := binary.LittleEndian.AppendUint64(nil, id)
	for range r.IntN(200) {
		b = append(b, byte(r.Uint32()))
	}
	return b
}

func batch(id uint64) disk.Batch {
	return disk.Batch{Meta: disk.Meta{Spans: int(id%7) + 1, FirstEnd: time.Unix(int64(id), 5), Encoding: uint8(id % 3)}, Payload: payload(id)}
}

func idOf(p []byte) uint64 {
	if len(p) < 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(p)
}

// history is what happened to the batches of a queue.
type history struct {
	t    *testing.T
	seed uint64
	r    *rand.Rand
	fs   *model

	last    uint64              // number of the last batch that was written
	stored  map[uint64]struct{} // reported, and not deleted since
	synced  map[uint64]struct{} // of those, the ones that are to survive a power failure
	stores  []*process
	cuts    int
	doubled map[uint64]bool // has two names since the power failed
	checked *rand.Rand
}

// process is a store with what it knows of.
type process struct {
	*disk.Store
	entries []disk.Entry
}

type crash string

const (
	killed   crash = "what a killed process left behind"
	powerCut crash = "what a power failure left behind"
)

// check opens what a later process would find, looks at all of it, and returns
// how often it found each batch.
func (h *history) check(fsys *model, want map[uint64]struct{}, what crash) (found map[uint64]int) {
	h.t.Helper()
	store, entries, err := disk.Open(fsys, queueDir, identity)
	if err != nil {
		h.t.Fatalf("history %d: opening %s: %v", h.seed, what, err)
	}
	found = map[uint64]int{}
	for _, e := range entries {
		b, err := store.Read(e)
		if errors.Is(err, disk.ErrDamaged) {
			continue // its batch is missed below, if it was promised
		}
		if err != nil {
			h.t.Fatalf("history %d: reading %s: %v", h.seed, what, err)
		}
		id := idOf(b.Payload)
		if id == 0 || id > h.last || string(b.Payload) != string(payload(id)) || b.Meta != meta(id) {
			h.t.Fatalf("history %d: %s: found a batch that nobody has written: %d", h.seed, what, id)
		}
		// Power may fail between two names of one batch, which then has both.
		if found[id]++; found[id] > 1 && what == killed && !h.doubled[id] {
			h.t.Fatalf("history %d: %s: found batch %d twice", h.seed, what, id)
		}
	}
	for id := range want {
		if found[id] == 0 {
			h.t.Fatalf("history %d: %s: batch %d is lost", h.seed, what, id)
		}
	}
	return found
}

// meta is as files tell it.
func meta(id uint64) disk.Meta { return batch(id).Meta }

// cut is called after every operation of the file system.
func (h *history) cut() {
	h.cuts++
	if h.checked.IntN(4) == 0 {
		h.check(h.fs.copy(), h.stored, killed)
	}
	h.check(h.fs.cut(h.checked), h.synced, powerCut)
}

func (h *history) open() {
	s, entries, err := disk.Open(h.fs, queueDir, identity)
	if err != nil {
		h.t.Fatalf("history %d: %v", h.seed, err)
	}
	h.stores = append(h.stores, &process{s, entries})
}

func (h *history) step() {
	p := h.stores[h.r.IntN(len(h.stores))]
	switch n := h.r.IntN(20); {
	case n < 8: // a group of batches
		var group []disk.Batch
		for range 1 + h.r.IntN(3) {
			h.last++
			group = append(group, batch(h.last))
		}
		sync := h.r.IntN(4) > 0
		entries, err := p.Write(group, sync)
		if err != nil || len(entries) != len(group) {
			h.t.Fatalf("history %d: %d entries, %v", h.seed, len(entries), err)
		}
		for _, b := range group {
			h.stored[idOf(b.Payload)] = struct{}{}
			if sync {
				h.synced[idOf(b.Payload)] = struct{}{}
			}
		}
		p.entries = append(p.entries, entries...)
	case n < 13 && len(p.entries) > 0: // one was sent
		i := h.r.IntN(len(p.entries))
		b, err := p.Read(p.entries[i])
		if err == nil {
			delete(h.stored, idOf(b.Payload))
			delete(h.synced, idOf(b.Payload))
			err = p.Remove(p.entries[i])
		}
		if err != nil && !errors.Is(err, disk.ErrDamaged) {
			h.t.Fatalf("history %d: %v", h.seed, err)
		}
		p.entries = append(p.entries[:i], p.entries[i+1:]...)
	case n < 15: // another process starts
		h.open()
	case n < 17:
		entries, err := p.TakeOver()
		if err != nil {
			h.t.Fatalf("history %d: %v", h.seed, err)
		}
		p.entries = append(p.entries, entries...)
	case n < 18: // all processes are killed
		h.restart(h.fs.copy(), h.stored)
	case n < 19: // the power fails
		left := h.fs.cut(h.r)
		for id, names := range h.check(left.copy(), h.synced, powerCut) {
			h.doubled[id] = h.doubled[id] || names > 1
		}
		h.restart(left, h.synced)
	case len(h.stores) > 1: // one ends
		i := h.r.IntN(len(h.stores))
		if err := h.stores[i].Close(); err != nil {
			h.t.Fatal(err)
		}
		h.stores = append(h.stores[:i], h.stores[i+1:]...)
	}
}

// restart goes on with what a crash has left behind, of which survived is
// promised.
func (h *history) restart(fsys *model, survived map[uint64]struct{}) {
	h.fs.after = nil
	h.stores, h.fs = nil, fsys
	h.stored = map[uint64]struct{}{}
	for id := range survived {
		h.stored[id] = struct{}{}
	}
	h.fs.after = h.cut
	h.open()
}

func TestPowerFailure(t *testing.T) {
	cuts := 0
	for seed := range uint64(*histories) {
		h := &history{
			t: t, seed: seed, fs: newModel(),
			r:      rand.New(rand.NewPCG(seed, 1)),
			stored: map[uint64]struct{}{}, synced: map[uint64]struct{}{}, doubled: map[uint64]bool{},
			checked: rand.New(rand.NewPCG(seed, 2)),
		}
		h.fs.after = h.cut
		h.open()
		for range 5 + h.r.IntN(15) {
			h.step()
		}
		cuts += h.cuts
	}
	t.Logf("%d histories with %d power failures", *histories, cuts)
}

// The disk is full at each operation in turn, and has room again.
func TestDiskFull(t *testing.T) {
	for n := 1; ; n++ {
		fsys := newModel()
		store, _, err := disk.Open(fsys, queueDir, identity)
		if err != nil {
			t.Fatal(err)
		}
		ops, failed := 0, false
		fsys.fault = func(op string) error {
			if ops++; ops == n && op != "lock" {
				failed = true
				return syscall.ENOSPC
			}
			return nil
		}
		stored := map[uint64]struct{}{}
		group := []disk.Batch{batch(1), batch(2), batch(3)}
		for tries := 0; len(group) > 0; tries++ {
			entries, err := store.Write(group, true)
			if len(entries) < len(group) && !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("operation %d: %d of %d are stored: %v", n, len(entries), len(group), err)
			}
			for _, b := range group[:len(entries)] {
				stored[idOf(b.Payload)] = struct{}{}
			}
			group = group[len(entries):]
			if tries > 1 {
				t.Fatalf("operation %d: %v", n, err)
			}
		}
		h := &history{t: t, seed: uint64(n), last: 3}
		fsys.fault = nil
		h.check(fsys.copy(), stored, killed)
		h.check(fsys.cut(rand.New(rand.NewPCG(uint64(n), 3))), stored, powerCut)
		if !failed {
			if n < 10 {
				t.Fatalf("only %d operations", n)
			}
			return
		}
	}
}
