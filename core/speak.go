package core

import (
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// unanswered are the end samplers to ask about a span of the trace.
func (b *buffer) unanswered(st *traceState) uint64 {
	if st.least == sampling.Always || st.discard || st.follows {
		return 0
	}
	return (1<<len(b.end) - 1) &^ st.answered
}

// askEnd asks end samplers about a span, without a lock, and files what they
// say. It reports whether no more needs to be said.
func (b *buffer) askEnd(st *traceState, id trace.TraceID, ask uint64, p *sampling.EndParameters) (done bool) {
	for ask != 0 {
		e, a, rest := firstAnswer(b.end, id, ask, p)
		if ask = rest; e == nil {
			continue
		}
		sh := b.shard(id)
		sh.mu.Lock()
		if st.id == id && st.answered&e.bit == 0 {
			st.answered |= e.bit
			t, _ := a.Threshold()
			b.speak(st, t, e.limited(t), e.rank, e.number)
		}
		done = st.id != id || st.least == sampling.Always
		sh.mu.Unlock()
		if done {
			return true
		}
	}
	return false
}

// speak files the threshold t that somebody other than the start has for the
// trace. What is compared is no less than limit, and no less than the pressure
// threshold, because traces below that are gone.
func (b *buffer) speak(st *traceState, t, limit sampling.Threshold, rank, by int32) {
	if st.discard || st.follows {
		return
	}
	st.pressure = max(st.pressure, b.pressure())
	compared := max(limit, st.pressure)
	if t != sampling.Unknown {
		compared = max(compared, t)
		t = compared
	}
	if compared.Selects(st.randomness) {
		st.kept, st.spoken = true, true
	}
	st.lower(t, rank, by)
}

// startSpoke files what the start decided.
func (*buffer) startSpoke(st *traceState, d *startDecision) {
	st.forced = st.forced || d.forced
	st.kept = st.kept || d.selected && !st.discard
	var by int32
	if d.by != nil {
		by = d.by.number
	}
	st.lower(d.threshold, startRank, by)
}

// lower takes t into the running minimum. On a tie the one that comes first
// in the list has spoken it.
func (st *traceState) lower(t sampling.Threshold, rank, by int32) {
	least := sampling.Least(st.least, t)
	if least == st.least && (least != t || rank >= st.byRank) {
		return
	}
	st.least, st.by, st.byRank = least, by, rank
}

// Ranks that are no place in the list.
const (
	startRank = -1      // of what decided at the start
	unranked  = 1 << 30 // of a threshold that nobody spoke
)

// keep is [Provider.Keep].
func (b *buffer) keep(id trace.TraceID, t sampling.Threshold, reason string) bool {
	sh := b.shard(id)
	sh.mu.Lock()
	st := sh.state(id)
	if st == nil && b.forgotten(sh, id) != nil {
		st = b.newState(sh, id, 0, sampling.Always)
		b.resume(sh, st)
		b.decide(sh, st)
	}
	if st == nil || st.discard {
		sh.mu.Unlock()
		return false
	}
	b.speak(st, t, sampling.Always, unranked-1, b.names.number(reason))
	var out handOver
	switch {
	case !st.decided && b.streams(st):
		b.stream(sh, st, nil, &out)
	case st.decided && st.open == 0:
		b.completed(sh, st) // and is remembered from now on
	}
	sh.mu.Unlock()
	b.handOver(&out)
	return true
}
