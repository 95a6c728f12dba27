package viewer

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

// Detector is what finds what is wrong: the functions of package findings.
type Detector struct {
	Trace, Across func([]sdktrace.ReadOnlySpan) []findings.Finding
	Merge         func([]findings.Finding) []findings.Finding
}

// How long nothing was added to a trace that is looked at, and how often that is asked.
const (
	quietFor  = time.Second
	lookEvery = 200 * time.Millisecond
	lookMost  = 512 // traces at a time, so that newer ones do not wait for all of them
)

// analysis looks for what is wrong in traces, on a goroutine of its own: whoever hands
// over spans never waits for it.
type analysis struct {
	store  *store
	detect Detector
	quiet  time.Duration

	mu      sync.Mutex
	merged  []findings.Finding
	version uint64 // of the store
	known   bool
	at      time.Time
	took    time.Duration
}

func (a *analysis) run(ctx context.Context) {
	tick := time.NewTicker(min(lookEvery, a.quiet))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for full := true; full && ctx.Err() == nil; {
			full = a.look(ctx)
		}
	}
}

// look looks at those traces that are quiet; more tells that some of them are left.
func (a *analysis) look(ctx context.Context) (more bool) {
	due := a.store.quiet(a.quiet, lookMost)
	for _, t := range due {
		if ctx.Err() != nil {
			return false
		}
		o, ok := a.store.openEntry(t)
		if !ok {
			continue
		}
		found := a.detect.Trace(o.readable(nil))
		a.store.found(t, found, lone(o))
	}
	return len(due) == lookMost
}

// quiet takes up to most of the traces that have changed, but not lately.
func (s *store) quiet(age time.Duration, most int) (due []*entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.now().Add(-age)
	kept := s.changed[:0]
	for i, t := range s.changed {
		if len(due) == most { // the others are many, and looking at them takes the lock's time
			kept = append(kept, s.changed[i:]...)
			break
		}
		switch {
		case t.gone:
		case t.arrived.After(before):
			kept = append(kept, t)
		default:
			t.waits = false
			due = append(due, t)
		}
	}
	clear(s.changed[len(kept):])
	s.changed, s.due = kept, len(due)
	return due
}

// openEntry is open for an entry that may be gone. Nothing is added to it, as far as one
// knows, so it takes the memory that it needs and no more.
func (s *store) openEntry(t *entry) (opened, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.gone {
		s.due--
		return opened{}, false
	}
	h := *t.held
	h.spans, h.data = exact(h.spans), exact(h.data)
	t.held = &h
	s.count(t)
	return s.opened(t), true
}

func exact[E any](all []E) []E {
	if cap(all)-len(all) <= len(all)/8 {
		return all
	}
	return append(make([]E, 0, len(all)), all...)
}

func (s *store) found(t *entry, found []findings.Finding, open []uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due--
	if t.gone {
		return
	}
	h := *t.held
	h.found, h.open = found, open
	t.held = &h
	s.count(t)
	s.version++
	s.fit() // there may be no more spans that make room
}

// lone are the spans of which another trace may tell more.
func lone(o opened) []uint32 {
	answered := map[trace.SpanID]bool{}
	for i := range o.spans {
		if s := &o.spans[i]; trace.SpanKind(s.kind) == trace.SpanKindServer && s.parent.IsValid() {
			answered[s.parent] = true
		}
	}
	out := []uint32{}
	for i := range o.spans {
		switch s := &o.spans[i]; trace.SpanKind(s.kind) {
		case trace.SpanKindServer:
			if !s.parent.IsValid() {
				out = append(out, uint32(i))
			}
		case trace.SpanKindClient:
			if !answered[s.id] && !o.database(i) {
				out = append(out, uint32(i))
			}
		}
	}
	return slices.Clip(out)
}

// database tells whether a span calls a database, which answers no trace.
func (o opened) database(i int) bool {
	d := o.decoder(i, o.keys)
	for range d.count() {
		if key := d.key(); key == "db.system.name" || key == "db.system" {
			return true
		}
		d.skipValue(d.typ())
	}
	return false
}

// patience is how many times as long as merging takes the last merger stands, though
// there is something newer: who asks all the time does not keep a core busy.
const patience = 5

// findings are those of all traces, and of which version of the store they are.
func (a *analysis) findings() ([]findings.Finding, uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.store.figures()
	if a.known && (now.version == a.version || time.Since(a.at) < patience*a.took) {
		return a.merged, a.version
	}
	began := time.Now()
	snap := a.store.snapshot()
	var all []findings.Finding
	var across []sdktrace.ReadOnlySpan
	for _, h := range snap.traces {
		all = append(all, h.found...)
		if len(h.open) > 0 {
			across = append(across, opened{h, snap.opsOf(h), snap.keys}.readable(h.open)...)
		}
	}
	all = append(all, a.detect.Across(across)...)
	a.merged, a.version, a.known = a.detect.Merge(all), snap.version, true
	a.at = time.Now()
	a.took = a.at.Sub(began)
	return a.merged, a.version
}

// opsOf are the operations of a trace's spans.
func (s *snapshot) opsOf(h *held) []*op {
	ops := make([]*op, len(h.spans))
	for i := range ops {
		ops[i] = s.ops[h.spans[i].op]
	}
	return ops
}

// attributeText is a value as the API has it.
func attributeText(v attribute.Value) string { return v.String() }
