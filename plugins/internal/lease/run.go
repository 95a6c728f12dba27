package lease

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/riffletrace/riffle/core/sampling"
)

const (
	// batchSize is how many keys are asked about at once, linger how long the
	// first of them waits for others.
	batchSize = 512
	linger    = 5 * time.Millisecond
	// sweepEvery is how exactly leases run out.
	sweepEvery = 100 * time.Millisecond
	// askTimeout bounds a question; after a failure there is a backoff.
	askTimeout = 2 * time.Second
	askBackoff = time.Second
	// The bounds of what a lease lasts, and what it does if nobody says.
	minTTL     = 500 * time.Millisecond
	maxTTL     = time.Hour
	defaultTTL = 30 * time.Second
	// unusedAfter is when a key without starts and without lease is forgotten.
	unusedAfter = time.Minute
	// lookEvery is how often somebody who waits for a lease looks.
	lookEvery = 5 * time.Millisecond
)

// Question is about one key.
type Question struct {
	Key    sampling.StartParameters
	Starts uint64 // since the last question about it
}

// Lease is an answer and how long it holds; 0 leaves that to the table.
type Lease struct {
	Answer sampling.Answer
	TTL    time.Duration
}

// Ask asks about a batch of keys. It returns one lease per question.
type Ask func(ctx context.Context, questions []Question) ([]Lease, error)

// Run asks and sweeps until ctx is done. ready waits until there is somebody
// to ask, or ctx is done; failed is told what went wrong with a question.
func (t *Table) Run(ctx context.Context, ready func(context.Context), ask Ask, failed func(error)) {
	var both sync.WaitGroup
	both.Go(func() { t.askAll(ctx, ready, ask, failed) })
	both.Go(func() {
		ticker := time.NewTicker(sweepEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				t.sweep(now)
			}
		}
	})
	both.Wait()
}

func (t *Table) askAll(ctx context.Context, ready func(context.Context), ask Ask, failed func(error)) {
	var waiting []*entry
	for {
		if len(waiting) == 0 {
			waiting = t.next(ctx)
		}
		if ready(ctx); ctx.Err() != nil {
			return
		}
		batch := waiting[:min(len(waiting), batchSize)]
		waiting = waiting[len(batch):]
		err := t.ask(ctx, ask, batch)
		if err == nil {
			continue
		}
		failed(err)
		backoff := time.NewTimer(askBackoff)
		select {
		case <-backoff.C:
		case <-ctx.Done():
			backoff.Stop()
		}
		for _, e := range batch {
			e.pending.Store(false) // the next start has it asked about again
		}
	}
}

// Prepare has a key asked about, as a start would, and returns when there is a
// lease for it. Run asks; once that has failed, Prepare asks itself, so that it can
// tell what went wrong.
func (t *Table) Prepare(ctx context.Context, p *sampling.StartParameters, ask Ask) error {
	h, ok := t.hash(p)
	if ok {
		_, ok = t.key(p)
	}
	if !ok {
		return fmt.Errorf("nobody is asked about a name or an attribute of over %d bytes", maxText)
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	t.Decide(p)
	for {
		switch e := t.find(t.set(h), h, p); {
		case e == nil:
			t.Decide(p) // another had the set, or all places wait
		case e.lease.Load() != nil:
			return nil
		case e.pending.CompareAndSwap(false, true):
			if e.lease.Load() != nil { // Run had the answer meanwhile
				e.pending.Store(false)
				return nil
			}
			if err := t.ask(ctx, ask, []*entry{e}); err != nil {
				e.pending.Store(false)
				return err
			}
			continue
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for an answer: %w", ctx.Err())
		}
	}
}

// next waits for keys to ask about.
func (t *Table) next(ctx context.Context) []*entry {
	select {
	case <-t.asks.signal:
	case <-ctx.Done():
		return nil
	}
	wait := time.NewTimer(linger)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
	return t.asks.take()
}

func (t *Table) ask(ctx context.Context, ask Ask, batch []*entry) error {
	questions := make([]Question, len(batch))
	starts, replaced := make([]uint64, len(batch)), make([]uint64, len(batch))
	t.mu.Lock()
	epoch := t.epoch
	for i, e := range batch {
		starts[i], replaced[i] = e.started(), e.replaced
		questions[i] = Question{Key: e.key, Starts: starts[i] - e.asked}
	}
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	t.batches.Add(1)
	leases, err := ask(ctx, questions)
	if err == nil && len(leases) != len(batch) {
		err = fmt.Errorf("%d answers to %d questions", len(leases), len(batch))
	}
	if err != nil {
		return err
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, e := range batch {
		e.asked = starts[i]
		if t.epoch == epoch && e.replaced == replaced[i] {
			e.store(leases[i], now)
			t.answers.Add(1)
		}
		e.pending.Store(false) // last: who finds neither an answer nor a question asks
		if t.epoch != epoch {
			t.enqueue(e) // the answer was overtaken
		}
	}
	return nil
}

// store gives an entry a lease.
func (e *entry) store(l Lease, now time.Time) {
	ttl := l.TTL
	if ttl == 0 {
		ttl = defaultTTL
	}
	ttl = min(max(ttl, minTTL), maxTTL)
	// Ahead of its end, and not all at once.
	ahead := ttl/5 + time.Duration(rand.Int64N(int64(ttl/10)))
	e.lease.Store(&activeLease{answer: l.Answer, refresh: now.Add(ttl - ahead), expires: now.Add(ttl)})
}

// sweep takes away what has run out, and has those asked about that will soon
// and are used.
func (t *Table) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.each(func(s *set, place int, e *entry) {
		starts := e.started()
		if starts != e.swept {
			e.swept = starts
			e.used.Store(now.UnixNano())
		}
		l := e.lease.Load()
		switch {
		case l == nil:
			if !e.pending.Load() && now.Sub(time.Unix(0, e.used.Load())) > unusedAfter {
				t.forget(s, place, e)
			}
		case now.After(l.expires) && starts == e.asked:
			t.forget(s, place, e)
		case now.After(l.expires):
			e.lease.Store(nil)
			t.enqueue(e)
		case now.After(l.refresh) && starts != e.asked:
			t.enqueue(e)
		}
	})
}

func (t *Table) forget(s *set, place int, e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[place].Load() == e {
		t.remove(s, place)
	}
}

// Revoke takes all leases back at once and has their keys asked about again.
func (t *Table) Revoke() {
	t.again(func(e *entry) { e.lease.Store(nil) })
}

// Refresh has all keys asked about again and lets their leases hold meanwhile.
func (t *Table) Refresh() {
	t.again(func(*entry) {})
}

func (t *Table) again(f func(*entry)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epoch++
	t.each(func(_ *set, _ int, e *entry) {
		f(e)
		t.enqueue(e)
	})
}

// Replace gives a key another lease at once, or none if l is nil. A key that
// is not in the table stays out of it.
func (t *Table) Replace(key sampling.StartParameters, l *Lease) {
	h, ok := t.hash(&key)
	if !ok {
		return
	}
	s := t.set(h)
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range s.entries {
		e := s.entries[i].Load()
		if e == nil || !t.isOf(e, h, &key) {
			continue
		}
		e.replaced++
		if l == nil {
			e.lease.Store(nil)
			t.enqueue(e)
		} else {
			e.store(*l, time.Now())
		}
	}
}
