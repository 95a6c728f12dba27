package record

import (
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// memory remembers, for other segments of a trace, what was said of one. That may
// depend on a trace's randomness no more than anything else: what is remembered is
// every answer, whether or not it keeps the segment.
type memory struct {
	shards [memoryShards]memoryShard
	traces atomic.Int64 // how many are remembered
	told   atomic.Int64 // answers
	most   atomic.Int64 // traces in a shard
	late   atomic.Int64 // likewise, when a sweep is late
	age    atomic.Int32 // in ticks
	swept  int32        // when it was last swept
}

const (
	memoryShards = 16
	// freelyHeard is how many segments may hear an answer of a limited sampler without
	// being counted: most traces have no more here.
	freelyHeard = 32
)

type memoryShard struct {
	mu      sync.Mutex
	byTrace map[trace.TraceID][]told
	order   []toldAt // each trace once, the first answers first
	told    int      // answers
}

// told is an answer that somebody gave.
type told struct {
	answer
	rules      *rules       // under which it was given; nil if it was given for the whole trace
	randomness uint64       // of the segment that it was given for
	giver      trace.SpanID // its local root; invalid if it was given for the whole trace
	at         int32        // tick
	heard      int32        // how many segments it has made the answer of
}

// rank is the greater, the sooner the answer is forgotten where there are too many.
// Unknown ones go first.
func (t *told) rank() sampling.Threshold { return max(t.threshold, t.from) }

type toldAt struct {
	trace trace.TraceID
	at    int32
}

const (
	// maxTold bounds what is remembered of one trace: a client can give any number of
	// randomnesses to an ID. The greatest thresholds go first. Under pressure a
	// segment gives no answer if its randomness is too low for it, so that the oldest
	// would be others for one randomness than for another.
	maxTold = 8
	// toldBytes is what a trace with one answer takes, with its place in the map.
	toldBytes   = answerBytes + int64(unsafe.Sizeof(toldAt{})) + 2*int64(unsafe.Sizeof(trace.TraceID{})) + 24
	answerBytes = int64(unsafe.Sizeof(told{}))
)

func (m *memory) init() {
	for i := range m.shards {
		m.shards[i].byTrace = map[trace.TraceID][]told{}
	}
}

// bound bounds what is remembered. Where that is less than before, it is the next sweep
// that forgets what is too much, since segments hear it before.
func (m *memory) bound(traces int, age int32) {
	most := int64(traces+memoryShards-1) / memoryShards
	m.age.Store(age)
	m.most.Store(most)
	m.late.Store(max(m.late.Load(), most+most/4+1))
}

func (m *memory) shard(id trace.TraceID) *memoryShard {
	return &m.shards[(id[15]^id[7])%memoryShards]
}

// put remembers an answer. What an earlier one says of the same segments, and no
// better, is not needed any more.
func (m *memory) put(id trace.TraceID, t told) {
	sh := m.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	list := sh.byTrace[id]
	if list == nil {
		m.traces.Add(1)
		sh.order = append(sh.order, toldAt{id, t.at})
	}
	kept := list[:0]
	for _, old := range list {
		same := old.randomness == t.randomness && old.giver == t.giver && (old.threshold == sampling.Unknown) == (t.threshold == sampling.Unknown)
		if !same || old.keepsFrom() < t.keepsFrom() {
			kept = append(kept, old)
		}
	}
	if kept = append(kept, t); len(kept) > maxTold {
		greatest := 0
		for i := range kept {
			if kept[i].rank() > kept[greatest].rank() {
				greatest = i
			}
		}
		kept = slices.Delete(kept, greatest, greatest+1)
	}
	sh.byTrace[id] = kept
	m.count(sh, len(kept)-len(list))
	for sh.isOver(int(m.late.Load())) {
		m.forgetOldest(sh)
	}
}

// count counts answers that came, or went.
func (m *memory) count(sh *memoryShard, n int) {
	sh.told += n
	m.told.Add(int64(n))
}

// mostTold is how many answers there may be for so many traces in a shard: most have
// one.
func mostTold(traces int) int { return 2*traces + maxTold }

// isOver tells that a shard has more than so many traces, or too many answers.
func (sh *memoryShard) isOver(most int) bool {
	return len(sh.byTrace) > most || sh.told > mostTold(most)
}

// find calls f with the answers for a trace that are not too old for a segment that
// is listed since that tick.
func (m *memory) find(id trace.TraceID, since int32, f func(*told)) {
	sh := m.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	list, age := sh.byTrace[id], m.age.Load()
	for i := range list {
		if list[i].at+age >= since {
			f(&list[i])
		}
	}
}

// sweep forgets what is old, or too much. hear is called before: what an open segment
// has not heard, it could not any more.
func (m *memory) sweep(now int32, hear func()) {
	const partOfAge = 8
	most := int(m.most.Load())
	defer m.late.Store(int64(most + most/4 + 1))
	if m.traces.Load() == 0 || now-m.swept < m.age.Load()/partOfAge && !m.isFull() {
		return
	}
	m.swept = now
	heard, age := false, m.age.Load()
	for i := range m.shards {
		sh := &m.shards[i]
		sh.mu.Lock()
		for len(sh.order) > 0 && (sh.order[0].at+age < now || sh.isOver(most)) {
			if !heard {
				sh.mu.Unlock()
				hear()
				heard = true
				sh.mu.Lock()
				continue
			}
			m.drop(sh, now)
			m.forgetOldest(sh)
		}
		sh.mu.Unlock()
	}
}

func (m *memory) isFull() bool {
	most := m.most.Load()
	return m.traces.Load() > most*memoryShards || m.told.Load() > int64(mostTold(int(most)))*memoryShards
}

// drop forgets the answers for the first trace in order that are old, but for the last
// one: they would take the place of others.
func (m *memory) drop(sh *memoryShard, now int32) {
	id := sh.order[0].trace
	list := sh.byTrace[id]
	last, age := len(list)-1, m.age.Load()
	kept := slices.DeleteFunc(list[:last], func(t told) bool { return t.at+age < now })
	kept = append(kept, list[last])
	m.count(sh, len(kept)-len(list))
	sh.byTrace[id] = kept
}

// forgetOldest forgets the trace that is the first in order. One of which there is a
// later answer gets a new place instead: a place for each answer would let a client
// that uses a trace ID again and again fill the memory.
func (m *memory) forgetOldest(sh *memoryShard) {
	oldest := sh.order[0]
	if sh.order = sh.order[1:]; len(sh.order) == 0 {
		sh.order = nil
	}
	list := sh.byTrace[oldest.trace]
	if last := list[len(list)-1]; last.at > oldest.at {
		sh.order = append(sh.order, toldAt{oldest.trace, last.at})
		return
	}
	delete(sh.byTrace, oldest.trace)
	m.traces.Add(-1)
	m.count(sh, -len(list))
}

// share tells other segments of the trace what was said of this one.
func (g *segment) share(a answer) {
	if g.has(isPrivate | isFollowing) {
		return
	}
	l := g.live()
	a.from = max(a.from, g.pressure)
	l.memory.put(g.traceID, told{answer: a, rules: g.rules(), randomness: g.randomness, giver: g.root.id, at: l.clock.Load()})
}

// absorb takes what others have said of the trace. Under rules by which what the start
// does not select is not recorded, nothing is heard: only those that it selects could.
func (g *segment) absorb(l *live) {
	if l.memory.traces.Load() == 0 || g.has(isGone) || !g.rules().WaitForEnd() {
		return
	}
	l.memory.find(g.traceID, g.since, func(t *told) {
		whole := !t.giver.IsValid()
		if !whole && (t.giver == g.root.id || g.has(isPrivate) || t.randomness != g.randomness) {
			return
		}
		a := t.answer
		if !whole && t.rules != g.rules() {
			a.place = g.rules().placeOf(a.by)
		}
		if limit := g.rules().limited[a.place]; limit != nil {
			if g.isCapped(a.place) || !g.improves(&a) { // it was heard already
				return
			}
			if t.heard++; t.heard > freelyHeard {
				g.capped(limit, limit.heard, &a, a.keepsFrom())
			}
		}
		g.file(a)
		if t.from.Selects(g.randomness) && (t.threshold == sampling.Unknown || t.threshold.Selects(g.randomness)) {
			g.bits |= wasTold
		}
	})
}

// Keep lets others speak for a trace: what is not decided of it, or starts within the
// decision memory, is kept if its randomness reaches t, for the reason given. It
// reports whether a span of it is open or waits.
func (p *TracerProvider) Keep(id trace.TraceID, t sampling.Threshold, reason string) bool {
	l := p.live
	if !l.rules().WaitForEnd() && l.former.n.Load() == 0 {
		return false
	}
	a := answer{threshold: t, place: afterAll, by: l.names.number(reason)}
	l.memory.put(id, told{answer: a, at: l.clock.Load()})
	var here bool
	for _, s := range l.list(func(s slot) bool { return s.segment.traceID == id }) {
		var out handOver
		g := s.segment
		g.mu.Lock()
		if g.slot != unlisted {
			here = true
			g.absorb(l)
			g.makeSure(&out)
		}
		g.mu.Unlock()
		out.deliver()
	}
	return here
}

// afterAll is the place of who is in no list of samplers.
const afterAll = 1<<15 - 1
