package core

import (
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// completed files a decided trace without open spans among those that are
// only remembered.
func (b *buffer) completed(sh *shard, st *traceState) {
	if b.unspoken(st) {
		b.bury(sh, st)
		return
	}
	if old := sh.complete.find(sh, st.id); old != nil && old != st {
		b.drop(sh, old) // an ID generator repeats itself
	}
	st.at, st.late = b.clock.Load(), true
	b.release(sh, st)
	b.remember(sh, st, inComplete)
}

// bury leaves of a trace that was forgotten what its late spans need.
func (b *buffer) bury(sh *shard, st *traceState) {
	if sh.forgotten.sets == nil {
		sh.forgotten.grow(b.memoryPerShard)
		b.account(sh, sh.forgotten.bytes())
	}
	sh.forgotten.put(forgottenTrace{id: st.id, randomness: st.randomness, spans: st.forgotten, at: b.clock.Load()})
	b.drop(sh, st)
}

// unspoken reports whether nothing was said of a trace that is not kept but by
// its start: whatever is said later has a lesser threshold than that, or does not
// keep it either, so that the start's need not be remembered.
func (b *buffer) unspoken(st *traceState) bool {
	return !st.kept && !st.discard && st.answered == 0 && st.least != sampling.Unknown && st.pressure == sampling.Always && b.rules.remote != Follow
}

// forgotten is what remains of a trace that was forgotten, nil if nothing.
func (b *buffer) forgotten(sh *shard, id trace.TraceID) *forgottenTrace {
	return sh.forgotten.find(id, b.clock.Load()-b.ticks(b.limits.memoryAge))
}

// remember files a decided trace, in the place of the oldest if there are too
// many. Those that are complete go first.
func (b *buffer) remember(sh *shard, st *traceState, list listName) {
	sh.move(st, list)
	for sh.lists[inComplete].n+sh.lists[inOpen].n > b.memoryPerShard {
		old := sh.first(inComplete)
		if old == nil || old == st {
			old = sh.first(inOpen)
		}
		if old == nil || old == st {
			return
		}
		sh.lostPressure = max(sh.lostPressure, old.pressure)
		b.drop(sh, old)
	}
}

// resume takes up a trace where it was forgotten.
func (b *buffer) resume(sh *shard, st *traceState) {
	if old := b.forgotten(sh, st.id); old != nil {
		st.randomness, st.forgotten = old.randomness, old.spans
	}
}

// recall makes the state of a trace that riffle has forgotten about, or never
// knew, from the context of one of its spans.
func (b *buffer) recall(sh *shard, sc trace.SpanContext) *traceState {
	st := b.newState(sh, sc.TraceID(), sampling.Randomness(sc), max(b.pressure(), sh.lostPressure))
	b.resume(sh, st)
	// Below a parent that did, unselected traces are not here: no threshold of
	// ours could have a right weight.
	st.follows = b.rules.remote == Follow
	st.trust(sc)
	return st
}

// trust takes the word of a span of the trace that it is kept: riffle has
// forgotten that it said so.
func (st *traceState) trust(sc trace.SpanContext) {
	if sc.IsSampled() && !st.kept && !st.discard {
		st.kept = true
		st.lower(sampling.ThresholdOf(sc), startRank, 0)
	}
}
