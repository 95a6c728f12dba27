package spanmetrics

import (
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/route"
	"github.com/riffletrace/riffle/internal/bound"
)

// maxText is how much of a name or a value tells series apart, in bytes.
const maxText bound.Limit = 256

// key is what spans of a series have in common.
type key struct {
	name         string
	kind, status uint8
	values       []attribute.Value // of the dimensions, in their order; empty where there is none
}

// table finds the series of spans. It is safe for concurrent use; who finds what was
// there before waits for nobody and allocates nothing.
type table struct {
	seed   maphash.Seed
	limit  int // of series, with the one for what does not fit
	shapes route.Shapes
	// shape is what tells series apart of a value, by the place of its dimension.
	shape     func(int, attribute.Value) attribute.Value
	newSeries func(*key) *series // nil is the key of what does not fit

	// slots is a hash table with open addressing that is never more than half full. What
	// is in it stays.
	slots []atomic.Pointer[entry]
	// crowded tells that there is room for nothing but series that are yet to come, overflow,
	// once something does not fit, that none comes any more.
	crowded  atomic.Bool
	overflow atomic.Pointer[series]

	mu      sync.Mutex
	entries int
	all     []*series
}

// entry is a key under which a series is found: its own, or one that differs from it in
// what series are not told apart by.
type entry struct {
	key
	hash   uint64
	series *series
}

func newTable(limit int, shape func(int, attribute.Value) attribute.Value, newSeries func(*key) *series) *table {
	const slotsPerSeries = 4
	return &table{
		seed: maphash.MakeSeed(), limit: limit, shapes: route.Shapes{Patient: true}, shape: shape, newSeries: newSeries,
		slots: newSlots(1 << bits.Len(uint(slotsPerSeries*limit-1))),
	}
}

func newSlots(n int) []atomic.Pointer[entry] { return make([]atomic.Pointer[entry], n) }

// find returns the series of a span. It holds nothing of k afterwards.
func (t *table) find(k *key) *series {
	hash := t.hash(k)
	if s := t.lookup(hash, k); s != nil {
		return s
	}
	return t.findShape(hash, k, false)
}

func (t *table) hash(k *key) uint64 {
	h := mix(maphash.String(t.seed, k.name), uint64(k.kind)<<8+uint64(k.status))
	for i := range k.values {
		switch v := &k.values[i]; v.Type() {
		case attribute.STRING:
			h = mix(h, maphash.String(t.seed, v.AsString()))
		case attribute.INT64:
			h = mix(h, uint64(v.AsInt64()))
		case attribute.FLOAT64:
			h = mix(h, math.Float64bits(v.AsFloat64()))
		case attribute.BOOL:
			n := uint64(0)
			if v.AsBool() {
				n = 1
			}
			h = mix(h, n)
		default: // it is empty, or a list, which is looked for as a text
			h = mix(h, uint64(v.Type()))
		}
	}
	return h
}

// mix adds to a hash.
func mix(hash, n uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15 // 2^64 by the golden ratio
	high, low := bits.Mul64(hash^odd, n^hash<<1^odd)
	return high ^ low
}

// lookup returns the series of a key that was found before, nil if there is none.
func (t *table) lookup(hash uint64, k *key) *series {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		e := t.slots[i].Load()
		if e == nil {
			return nil
		}
		if e.hash == hash && e.is(k) {
			return e.series
		}
	}
}

// is compares a key with one in the table, whose values are no lists.
func (k *key) is(other *key) bool {
	if k.name != other.name || k.kind != other.kind || k.status != other.status {
		return false
	}
	for i := range k.values {
		if k.values[i] != other.values[i] {
			return false
		}
	}
	return true
}

// findShape returns the series of a key that was not found: that of what series are told
// apart by. A name that is a route's is as it is, and of others the path has its shape.
func (t *table) findShape(hash uint64, k *key, isRoute bool) *series {
	var room [2 * maxText]byte
	name := k.name
	if !isRoute {
		shaped := t.shapes.AppendName(room[:0], name[:min(len(name), len(room))], time.Now())
		name = unsafe.String(unsafe.SliceData(shaped), len(shaped))
	}
	var values [maxDimensions]attribute.Value
	shape := key{name: text(name), kind: k.kind, status: k.status, values: values[:0]}
	for i, v := range k.values {
		shape.values = append(shape.values, t.shape(i, v))
	}
	shapeHash := t.hash(&shape)
	s := t.lookup(shapeHash, &shape)
	if s == nil {
		s = t.overflow.Load()
	}
	remember := k.isSmall() && !t.crowded.Load()
	if s != nil && !remember {
		return s
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s == nil {
		s = t.add(shapeHash, &shape)
	}
	if remember && t.lookup(hash, k) == nil {
		t.insert(hash, k, s)
	}
	return s
}

// text is what tells series apart of a text: what is not UTF-8 cannot be exported.
func text(s string) string { return strings.ToValidUTF8(maxText.Text(s), "\uFFFD") }

// textOf is a value as a text, as most systems have it: 200 and "200" are the same. An
// empty one is none.
func textOf(_ int, v attribute.Value) attribute.Value {
	s := v.String()
	if v.Type() == attribute.EMPTY || s == "" {
		return attribute.Value{}
	}
	return attribute.StringValue(text(s))
}

// isSmall reports whether a key may be remembered, so that it is found by itself the next
// time.
func (k *key) isSmall() bool {
	return len(k.name) <= int(maxText) && !slices.ContainsFunc(k.values, func(v attribute.Value) bool {
		switch v.Type() {
		case attribute.EMPTY, attribute.BOOL, attribute.INT64, attribute.FLOAT64:
			return false
		case attribute.STRING:
			return len(v.AsString()) > int(maxText)
		default:
			return true
		}
	})
}

// clone returns a key that holds nothing of others.
func (k *key) clone() key {
	c := key{name: strings.Clone(k.name), kind: k.kind, status: k.status}
	for _, v := range k.values {
		if v.Type() == attribute.STRING {
			v = attribute.StringValue(strings.Clone(v.AsString()))
		}
		c.values = append(c.values, v)
	}
	return c
}

// add returns the series of a shape, which is new if there is room for it. The table is
// locked.
func (t *table) add(hash uint64, shape *key) *series {
	if s := t.lookup(hash, shape); s != nil {
		return s
	}
	if len(t.all) < t.limit-1 {
		own := shape.clone()
		s := t.newSeries(&own)
		t.all = append(t.all, s)
		t.insert(hash, shape, s)
		return s
	}
	s := t.overflow.Load()
	if s == nil {
		s = t.newSeries(nil)
		t.all = append(t.all, s)
		t.overflow.Store(s)
	}
	return s
}

// insert makes a series be found under a key, if there is room besides what series need
// that are yet to come. The table is locked.
func (t *table) insert(hash uint64, k *key, s *series) {
	if t.entries+max(0, t.limit-1-len(t.all)) >= len(t.slots)/2 {
		t.crowded.Store(true)
		return
	}
	e := &entry{key: k.clone(), hash: hash, series: s}
	mask := uint64(len(t.slots) - 1)
	i := hash & mask
	for t.slots[i].Load() != nil {
		i = (i + 1) & mask
	}
	t.slots[i].Store(e)
	t.entries++
}

// each calls f for all series.
func (t *table) each(f func(*series)) {
	t.mu.Lock()
	all := slices.Clip(t.all)
	t.mu.Unlock()
	for _, s := range all {
		f(s)
	}
}
