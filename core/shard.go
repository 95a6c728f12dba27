package core

import (
	"slices"
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// A shard keeps its states in chunks without a pointer, and refers to them by
// number: the garbage collector must not walk a hundred thousand remembered
// decisions again and again.
type shard struct {
	mu sync.Mutex
	// The complete ones are looked for apart, because they are many, and in no
	// cache.
	live, complete index
	recent         *traceState // the last one looked for or made
	chunks         []*[chunkLen]traceState
	free           []ref
	// Every state is in one of four lists, oldest first: undecided; before the
	// judge; decided with open spans; complete, which is what remains to remember.
	lists [listCount]stateList
	holds []*liveTrace // by traceState.holds-1
	spare []ref        // unused ones of holds
	delta int64        // bytes not yet in buffer.held
	// lostPressure is the highest pressure threshold of open traces that were not
	// remembered for lack of room: what is said of one that is recalled weighs no
	// less than what is said of those that pressure spared.
	lostPressure sampling.Threshold
	forgotten    forgottenTraces
	counts       bufferCounts

	_ [64]byte // keeps neighbours off the cache line
}

// ref is the number of a state in its shard; 0 is none.
type ref int32

const chunkLen = 256

// listName says which list a state is in.
type listName uint8

const (
	inNone listName = iota
	inUndecided
	inJudging
	inOpen
	inComplete
	listCount
)

// traceState is what is known of one trace. It holds no pointer.
type traceState struct {
	id         trace.TraceID
	randomness uint64
	// least is the running minimum of the start threshold and all answers.
	least    sampling.Threshold
	pressure sampling.Threshold // the highest pressure threshold in its life
	answered uint64             // one bit per end sampler that has answered
	by       int32              // who spoke the least threshold: a place in buffer.names
	byRank   int32
	open     int32 // spans
	ended    int32 // spans
	// forgotten counts ended spans that are gone.
	forgotten int32
	at        int32 // tick of the start, then of the completion
	holds     ref   // a place in shard.holds

	self, prev, next ref

	list    listName
	kept    bool // R reached a threshold
	spoken  bool // somebody other than the start said so
	decided bool // spans do not wait any more
	discard bool // a trace sampler discarded it
	forced  bool // no trace sampler can discard it
	cut     bool // decided before it was complete
	late    bool // what ends now was not there when the trace was decided
	marked  bool // a span that carries sampling.partial was handed over
	counted bool // in the statistics of kept traces
	follows bool // a remote parent decided for good, or may have
}

// liveTrace is what a trace holds only while it waits.
type liveTrace struct {
	spans []sdktrace.ReadOnlySpan
	bytes int64
	// roots are the open local roots, until the trace is decided.
	roots []openRoot
}

type openRoot struct {
	id   trace.SpanID
	span sdktrace.ReadOnlySpan
}

// spareCap bounds the capacity of slices that are used again.
const spareCap = 32

// grow adds a chunk of free states.
func (sh *shard) grow() {
	base := ref(len(sh.chunks) * chunkLen)
	sh.chunks = append(sh.chunks, new([chunkLen]traceState))
	for i := ref(chunkLen); i > 0; i-- {
		sh.free = append(sh.free, base+i)
	}
}

func (sh *shard) at(r ref) *traceState { return &sh.chunks[(r-1)/chunkLen][(r-1)%chunkLen] }

// state is the state of the trace, nil if there is none. What happens to a trace
// mostly happens at once, so that the last one looked for is often the next.
func (sh *shard) state(id trace.TraceID) *traceState {
	if st := sh.liveState(id); st != nil {
		return st
	}
	return sh.found(sh.complete.find(sh, id))
}

// liveState is the state of the trace unless that is complete.
func (sh *shard) liveState(id trace.TraceID) *traceState {
	if sh.recent != nil && sh.recent.id == id {
		return sh.recent
	}
	return sh.found(sh.live.find(sh, id))
}

func (sh *shard) found(st *traceState) *traceState {
	if st != nil {
		sh.recent = st
	}
	return st
}

// held is what a trace holds while it is live, nil if nothing.
func (sh *shard) held(st *traceState) *liveTrace {
	if st.holds == 0 {
		return nil
	}
	return sh.holds[st.holds-1]
}

// hold makes room for what a trace holds while it is live.
func (sh *shard) hold(st *traceState) *liveTrace {
	if st.holds != 0 {
		return sh.holds[st.holds-1]
	}
	if n := len(sh.spare); n > 0 {
		st.holds, sh.spare = sh.spare[n-1], sh.spare[:n-1]
		return sh.holds[st.holds-1]
	}
	live := new(liveTrace)
	sh.holds = append(sh.holds, live)
	st.holds = ref(len(sh.holds))
	return live
}

// closeRoot lets go of a local root that ended, and tells whether it held it.
func (l *liveTrace) closeRoot(id trace.SpanID) bool {
	for i, r := range l.roots {
		if r.id == id {
			l.roots = slices.Delete(l.roots, i, i+1) // in order, because they are asked about in order
			return true
		}
	}
	return false
}

// stateList is a doubly linked list of states.
type stateList struct {
	first, last ref
	n           int
}

// first is the oldest state of a list, next the one after st; nil if there is
// none.
func (sh *shard) first(list listName) *traceState { return sh.get(sh.lists[list].first) }
func (sh *shard) next(st *traceState) *traceState { return sh.get(st.next) }

func (sh *shard) get(r ref) *traceState {
	if r == 0 {
		return nil
	}
	return sh.at(r)
}

// move puts st at the end of a list, or in none.
func (sh *shard) move(st *traceState, to listName) {
	if from, in := sh.index(st.list), sh.index(to); from != in {
		if from != nil {
			from.remove(st)
		}
		if in != nil {
			in.add(st)
		}
	}
	if st.list != inNone {
		from := &sh.lists[st.list]
		if st.prev != 0 {
			sh.at(st.prev).next = st.next
		} else {
			from.first = st.next
		}
		if st.next != 0 {
			sh.at(st.next).prev = st.prev
		} else {
			from.last = st.prev
		}
		from.n--
	}
	st.list, st.prev, st.next = to, 0, 0
	if to == inNone {
		return
	}
	list := &sh.lists[to]
	if st.prev = list.last; st.prev != 0 {
		sh.at(st.prev).next = st.self
	} else {
		list.first = st.self
	}
	list.last = st.self
	list.n++
}

// index is where the states of a list are looked for, nil for those of none.
func (sh *shard) index(list listName) *index {
	switch list {
	case inNone:
		return nil
	case inComplete:
		return &sh.complete
	default:
		return &sh.live
	}
}

// opened counts a span that will end. A complete trace that was not kept begins
// again: what starts in it now waits as before, so that an error keeps it whole.
func (sh *shard) opened(st *traceState, now int32) {
	st.open++
	switch {
	case st.list != inComplete:
	case st.kept || st.discard:
		sh.move(st, inOpen)
	default:
		st.decided, st.at = false, now
		sh.move(st, inUndecided)
	}
}
