package lease

import (
	"context"
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/bound"
)

// KeySpec says what keys are made of.
type KeySpec struct {
	Keys                     []attribute.Key
	IgnoresName, IgnoresKind bool
}

// ways is how many entries can have hashes that agree in the bits which choose
// their set.
const ways = 16

// maxText bounds each text, list and map of a key. Longer ones are not asked
// about.
const maxText = 1 << 10

// Table holds leases. Make one with [New]; it is safe for concurrent use.
type Table struct {
	spec KeySpec
	seed maphash.Seed
	sets []set
	max  int64

	count            atomic.Int64
	misses, skipped  atomic.Uint64
	absent           atomic.Uint64 // misses of keys that got no entry
	retired          atomic.Uint64 // starts of entries that are gone
	batches, answers atomic.Uint64
	asks             stack

	// mu is for those who store or take away leases, never for those who start
	// spans.
	mu    sync.Mutex
	epoch uint64 // answers to questions of an earlier one do not count
}

type set struct {
	hashes  [ways]atomic.Uint64
	entries [ways]atomic.Pointer[entry]
	mu      sync.Mutex // for changes
}

// entry is a key with its lease. The lease is nil if there is none.
type entry struct {
	hash    uint64
	key     sampling.StartParameters
	lease   atomic.Pointer[activeLease]
	starts  atomic.Uint64 // see started
	pending atomic.Bool   // it is on its way to be asked about
	below   *entry        // in Table.asks
	used    atomic.Int64  // when a sweep last saw new starts

	// The following belong to who holds Table.mu.
	asked    uint64 // starts when it was last asked about
	swept    uint64 // starts when it was last swept
	replaced uint64 // how often others than an answer changed the lease
}

// gone is set in the starts of an entry that is in the table no more.
const gone = 1 << 63

func (e *entry) started() uint64 { return e.starts.Load() &^ gone }

// activeLease is a lease with its times.
type activeLease struct {
	answer           sampling.Answer
	refresh, expires time.Time
}

// New returns a table for at most limit leases.
func New(s KeySpec, limit int) *Table {
	limit = max(limit, ways)
	// Sets that are a quarter full on average hardly ever overflow.
	sets := 1 << bits.Len(uint(limit*4/ways-1))
	return &Table{
		spec: s,
		seed: maphash.MakeSeed(),
		sets: make([]set, sets),
		max:  int64(limit),
		asks: stack{signal: make(chan struct{}, 1)},
	}
}

// Decide answers with what is leased, and abstains otherwise.
func (t *Table) Decide(p *sampling.StartParameters) sampling.Answer {
	h, ok := t.hash(p)
	if !ok {
		t.misses.Add(1)
		t.absent.Add(1)
		t.skipped.Add(1)
		return sampling.Answer{}
	}
	s := t.set(h)
	if e := t.find(s, h, p); e != nil {
		if e.starts.Add(1)&gone != 0 {
			t.retired.Add(1) // it was put out after it was found
		}
		if l := e.lease.Load(); l != nil {
			return l.answer
		}
		t.misses.Add(1)
		t.enqueue(e)
		return sampling.Answer{}
	}
	t.misses.Add(1)
	if !t.add(s, h, p) {
		t.absent.Add(1)
	}
	return sampling.Answer{}
}

// set is where a key of that hash is, if it is anywhere.
func (t *Table) set(hash uint64) *set { return &t.sets[hash&uint64(len(t.sets)-1)] }

// find returns the entry of a key, nil if there is none. The hash says where to
// look; the key itself says whether it is the one.
func (t *Table) find(s *set, hash uint64, p *sampling.StartParameters) *entry {
	for i := range s.hashes {
		if s.hashes[i].Load() != hash {
			continue
		}
		if e := s.entries[i].Load(); e != nil && t.isOf(e, hash, p) {
			return e
		} // else it is being replaced, or another key has that hash
	}
	return nil
}

// isOf reports whether an entry is that of a key.
func (t *Table) isOf(e *entry, hash uint64, p *sampling.StartParameters) bool {
	if e.hash != hash || !t.spec.IgnoresName && e.key.Name != p.Name || !t.spec.IgnoresKind && e.key.Kind != p.Kind {
		return false
	}
	stored := e.key.Attributes // in the order of the keys, without those that were missing
	for _, k := range t.spec.Keys {
		v := valueOf(p.Attributes, k)
		has := len(stored) > 0 && stored[0].Key == k
		if has != (v != nil) || has && stored[0].Value != *v {
			return false
		}
		if has {
			stored = stored[1:]
		}
	}
	return len(stored) == 0
}

// hash is that of the key, never 0; not ok if the key is too long to be asked
// about. All of it depends on the seed, numbers too, so that nobody outside can
// choose keys that meet in one set.
func (t *Table) hash(p *sampling.StartParameters) (h uint64, ok bool) {
	var name, kind uint64
	if !t.spec.IgnoresName {
		if len(p.Name) > maxText {
			return 0, false
		}
		name = maphash.String(t.seed, p.Name)
	}
	if !t.spec.IgnoresKind {
		kind = uint64(p.Kind)
	}
	// Not by multiplication, where a number can make what stands before it count
	// for nothing.
	h = maphash.Comparable(t.seed, [2]uint64{name, kind})
	for _, k := range t.spec.Keys {
		var kind, value uint64 // of one that is missing
		if v := valueOf(p.Attributes, k); v != nil {
			if len(v.AsString()) > maxText {
				return 0, false
			}
			kind, value = 1+uint64(v.Type()), t.hashValue(v)
		}
		h = maphash.Comparable(t.seed, [3]uint64{h, kind, value})
	}
	return h | 1<<63, true
}

func (t *Table) hashValue(v *attribute.Value) uint64 {
	switch v.Type() {
	case attribute.STRING, attribute.BYTESLICE:
		return maphash.String(t.seed, v.AsString())
	case attribute.INT64:
		return uint64(v.AsInt64())
	case attribute.BOOL:
		if v.AsBool() {
			return 1
		}
		return 0
	case attribute.FLOAT64:
		return math.Float64bits(v.AsFloat64())
	default: // lists and maps, which are rare
		return maphash.Comparable(t.seed, *v)
	}
}

// valueOf returns the value that the SDK would keep of a key: the last.
func valueOf(attrs []attribute.KeyValue, key attribute.Key) *attribute.Value {
	for i := len(attrs) - 1; i >= 0; i-- {
		if attrs[i].Key == key {
			return &attrs[i].Value
		}
	}
	return nil
}

// add makes an entry for a key that has none, has it asked about, and tells
// whether it did. Another that changes the set at this moment is not waited for:
// the next start will do.
func (t *Table) add(s *set, h uint64, p *sampling.StartParameters) bool {
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	place := -1
	for i := range s.entries {
		e := s.entries[i].Load()
		if e != nil && t.isOf(e, h, p) {
			return false
		}
		if e == nil {
			place = i
		}
	}
	key, ok := t.key(p)
	if !ok {
		t.skipped.Add(1)
		return false
	}
	switch {
	case place < 0:
		victim, _ := s.leastUsed()
		if place = victim; place < 0 {
			t.skipped.Add(1)
			return false
		}
		t.remove(s, place)
	case t.count.Load() >= t.max && !t.makeRoom(s, h):
		t.skipped.Add(1)
		return false
	}
	e := &entry{hash: h, key: key}
	e.starts.Store(1)
	e.used.Store(math.MaxInt64) // until it was swept
	s.entries[place].Store(e)
	s.hashes[place].Store(h)
	t.count.Add(1)
	t.enqueue(e)
	return true
}

// makeRoom puts an entry out that was not used for the longest time, among those
// of s, which is locked and belongs to h, and of the sets after it.
func (t *Table) makeRoom(s *set, h uint64) bool {
	const sets = 8
	from, place, used := s, -1, int64(math.MaxInt64)
	for i := range uint64(sets) {
		other := &t.sets[(h+i)&uint64(len(t.sets)-1)]
		if p, u := other.leastUsed(); p >= 0 && (place < 0 || u < used) {
			from, place, used = other, p, u
		}
	}
	if place < 0 {
		return false
	}
	if from != s {
		if !from.mu.TryLock() {
			return false
		}
		defer from.mu.Unlock()
		if e := from.entries[place].Load(); e == nil || e.used.Load() != used {
			return false // another was quicker
		}
	}
	t.remove(from, place)
	return true
}

// leastUsed returns the place of the entry that was not used for the longest
// time, and when it was; -1 if all are waited for.
func (s *set) leastUsed() (place int, used int64) {
	place, used = -1, int64(math.MaxInt64)
	for i := range s.entries {
		if e := s.entries[i].Load(); e != nil && !e.pending.Load() && e.used.Load() <= used {
			place, used = i, e.used.Load()
		}
	}
	return place, used
}

// remove empties a place of a set that is locked.
func (t *Table) remove(s *set, place int) {
	e := s.entries[place].Load()
	s.hashes[place].Store(0)
	s.entries[place].Store(nil)
	t.count.Add(-1)
	t.retired.Add(e.starts.Or(gone) &^ gone)
}

// enqueue has an entry asked about, unless it is on its way already.
func (t *Table) enqueue(e *entry) {
	if !e.pending.Load() && e.pending.CompareAndSwap(false, true) {
		t.asks.push(e)
	}
}

// stack holds the entries to ask about. Only the first of them wakes who asks: to
// wake somebody takes longer than all else that the start of a span does here.
type stack struct {
	top    atomic.Pointer[entry]
	signal chan struct{}
}

func (s *stack) push(e *entry) {
	for {
		top := s.top.Load()
		e.below = top
		if !s.top.CompareAndSwap(top, e) {
			continue
		}
		if top == nil {
			select {
			case s.signal <- struct{}{}:
			default: // it was woken already
			}
		}
		return
	}
}

// take returns all entries, the oldest first.
func (s *stack) take() []*entry {
	var all []*entry
	for e := s.top.Swap(nil); e != nil; e = e.below {
		all = append(all, e)
	}
	for _, e := range all {
		e.below = nil
	}
	slices.Reverse(all)
	return all
}

// key copies what the key is made of; not ok if that is too much.
func (t *Table) key(p *sampling.StartParameters) (k sampling.StartParameters, ok bool) {
	if !t.spec.IgnoresName {
		k.Name = strings.Clone(p.Name)
	}
	if !t.spec.IgnoresKind {
		k.Kind = p.Kind
	} else {
		k.Kind = trace.SpanKindUnspecified
	}
	k.ParentContext = context.Background()
	k.Attributes = make([]attribute.KeyValue, 0, len(t.spec.Keys))
	size := len(k.Name)
	for _, name := range t.spec.Keys {
		v := valueOf(p.Attributes, name)
		if v == nil {
			continue
		}
		if size = max(size, int(bound.ValueBytes(*v))); size > maxText {
			return k, false
		}
		kv := attribute.KeyValue{Key: name, Value: *v}
		if v.Type() == attribute.STRING {
			kv.Value = attribute.StringValue(strings.Clone(v.AsString()))
		}
		k.Attributes = append(k.Attributes, kv)
	}
	return k, size <= maxText
}

// each calls f for every entry.
func (t *Table) each(f func(s *set, place int, e *entry)) {
	for i := range t.sets {
		s := &t.sets[i]
		for place := range s.entries {
			if e := s.entries[place].Load(); e != nil {
				f(s, place, e)
			}
		}
	}
}

// Stats are counters of a table, which only grow, and how many keys it holds.
type Stats struct {
	// Hits counts starts that a lease decided, Misses those that found none,
	// Skipped keys that were not asked about: all places wait, or they are too long.
	Hits, Misses, Skipped uint64
	// Batches counts questions to the plugin, Answers the leases it gave.
	Batches, Answers uint64
	Keys             int
}

// Stats returns a snapshot.
func (t *Table) Stats() Stats {
	starts := t.retired.Load() + t.absent.Load()
	t.each(func(_ *set, _ int, e *entry) { starts += e.started() })
	misses := t.misses.Load()
	return Stats{
		Hits: max(starts, misses) - misses, Misses: misses, Skipped: t.skipped.Load(),
		Batches: t.batches.Load(), Answers: t.answers.Load(), Keys: int(t.count.Load()),
	}
}
