package rate

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Targets has a [Target] for each of a bounded number of keys, and one that the rest
// share. It is safe for concurrent use, and a call never waits for another.
type Targets struct {
	perSecond float64
	window    time.Duration
	most      int
	rest      *Target

	// targets is replaced, never written to.
	targets atomic.Pointer[map[string]*Target]

	mu    sync.Mutex // of who replaces targets
	swept time.Time
}

// NewTargets returns targets, as [NewTarget] makes them, for at most so many keys.
func NewTargets(perSecond float64, window time.Duration, most int) *Targets {
	t := &Targets{perSecond: perSecond, window: window, most: most, rest: NewTarget(perSecond, window)}
	t.targets.Store(&map[string]*Target{})
	return t
}

// Rest is the target of the keys that found no room.
func (t *Targets) Rest() *Target { return t.rest }

// Of returns the key's target. Where all are taken, it makes room by forgetting keys
// that are idle; without room, or while another call adds one, it is the rest's.
func (t *Targets) Of(key []byte, now time.Time) *Target {
	if target, ok := (*t.targets.Load())[string(key)]; ok {
		return target
	}
	return t.add(string(key), now)
}

// add makes a target for a key, in the place of idle ones if there is no room. Without
// any, it looks again after an eighth of a window.
func (t *Targets) add(key string, now time.Time) *Target {
	if !t.mu.TryLock() {
		return t.rest
	}
	defer t.mu.Unlock()
	targets := *t.targets.Load()
	if target, ok := targets[key]; ok {
		return target
	}
	full := len(targets) >= t.most
	if full && now.Sub(t.swept) < t.window/8 {
		return t.rest
	}
	targets = maps.Clone(targets)
	if full {
		t.swept = now
		maps.DeleteFunc(targets, func(_ string, target *Target) bool { return target.Idle(now) })
		if len(targets) >= t.most {
			return t.rest
		}
	}
	target := NewTarget(t.perSecond, t.window)
	targets[key] = target
	t.targets.Store(&targets)
	return target
}
