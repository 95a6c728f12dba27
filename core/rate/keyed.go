package rate

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Keyed has a [Target] or a [Budget] for each of a bounded number of keys, and one that
// the rest share: together they hold what one holds for each key, and once for the rest.
// It is safe for concurrent use, and a call never waits for another.
type Keyed[T idler] struct {
	create func() T
	most   int
	sweep  time.Duration // how often idle ones are looked for, at most
	rest   T

	// values is replaced, never written to.
	values atomic.Pointer[map[string]T]

	mu    sync.Mutex // of who replaces values
	swept time.Time
}

// idler tells that it can be forgotten, and nobody gains by it.
type idler interface{ Idle(now time.Time) bool }

// Targets has a [Target] for each key.
type Targets = Keyed[*Target]

// Budgets has a [Budget] for each key.
type Budgets = Keyed[*Budget]

// budgetsSweep is how often budgets that are idle are looked for, at most.
const budgetsSweep = time.Second

// NewTargets returns targets, as [NewTarget] makes them, for at most so many keys.
func NewTargets(perSecond float64, window time.Duration, most int) *Targets {
	return newKeyed(func() *Target { return NewTarget(perSecond, window) }, most, window/8)
}

// NewBudgets returns budgets, as [NewBudget] makes them, for at most so many keys.
func NewBudgets(perSecond float64, classes, most int) *Budgets {
	return newKeyed(func() *Budget { return NewBudget(perSecond, classes) }, most, budgetsSweep)
}

func newKeyed[T idler](create func() T, most int, sweep time.Duration) *Keyed[T] {
	k := &Keyed[T]{create: create, most: most, sweep: sweep, rest: create()}
	k.values.Store(&map[string]T{})
	return k
}

// Rest is that of the keys that found no room.
func (k *Keyed[T]) Rest() T { return k.rest }

// Of returns the key's. Where all are taken, it makes room by forgetting keys that are
// idle; without room, or while another call adds one, it is the rest's.
func (k *Keyed[T]) Of(key []byte, now time.Time) T {
	if v, ok := (*k.values.Load())[string(key)]; ok {
		return v
	}
	return k.add(string(key), now)
}

// add makes one for a key, in the place of idle ones if there is no room.
func (k *Keyed[T]) add(key string, now time.Time) T {
	if !k.mu.TryLock() {
		return k.rest
	}
	defer k.mu.Unlock()
	values := *k.values.Load()
	if v, ok := values[key]; ok {
		return v
	}
	full := len(values) >= k.most
	if full && now.Sub(k.swept) < k.sweep {
		return k.rest
	}
	values = maps.Clone(values)
	if full {
		k.swept = now
		maps.DeleteFunc(values, func(_ string, v T) bool { return v.Idle(now) })
		if len(values) >= k.most {
			return k.rest
		}
	}
	v := k.create()
	values[key] = v
	k.values.Store(&values)
	return v
}
