package rate

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// budgetsSweep is how often budgets that are idle are looked for, at most.
const budgetsSweep = time.Second

// Budgets has a [Budget] for each of a bounded number of keys, and one that the rest
// share: together they keep at most perSecond for each key and once for the rest. It is
// safe for concurrent use. A call of Of never waits for another.
type Budgets struct {
	perSecond float64
	classes   int
	most      int
	rest      *Budget

	// budgets is replaced, never written to.
	budgets atomic.Pointer[map[string]*Budget]

	mu    sync.Mutex // of who replaces budgets
	swept time.Time
}

// NewBudgets returns budgets, as [NewBudget] makes them, for at most so many keys.
func NewBudgets(perSecond float64, classes, most int) *Budgets {
	b := &Budgets{perSecond: perSecond, classes: classes, most: most, rest: NewBudget(perSecond, classes)}
	b.budgets.Store(&map[string]*Budget{})
	return b
}

// Rest is the budget of the keys that found no room.
func (b *Budgets) Rest() *Budget { return b.rest }

// Of returns the key's budget. Where all are taken, it makes room by forgetting keys
// that are idle; without room, or while another call adds one, it is the rest's.
func (b *Budgets) Of(key []byte, now time.Time) *Budget {
	if budget, ok := (*b.budgets.Load())[string(key)]; ok {
		return budget
	}
	return b.add(string(key), now)
}

// add makes a budget for a key, in the place of idle ones if there is no room.
func (b *Budgets) add(key string, now time.Time) *Budget {
	if !b.mu.TryLock() {
		return b.rest
	}
	defer b.mu.Unlock()
	budgets := *b.budgets.Load()
	if budget, ok := budgets[key]; ok {
		return budget
	}
	full := len(budgets) >= b.most
	if full && now.Sub(b.swept) < budgetsSweep {
		return b.rest
	}
	budgets = maps.Clone(budgets)
	if full {
		b.swept = now
		maps.DeleteFunc(budgets, func(_ string, budget *Budget) bool { return budget.idle(now) })
		if len(budgets) >= b.most {
			return b.rest
		}
	}
	budget := NewBudget(b.perSecond, b.classes)
	budgets[key] = budget
	b.budgets.Store(&budgets)
	return budget
}
