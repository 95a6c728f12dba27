package core

import (
	"encoding/binary"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// index is where states are found by their trace IDs: an open-addressed table of
// their numbers. It has no copy of the IDs and no pointer, so that it stays
// in a cache where a map would not.
type index struct {
	slots []slot // a power of two, at most three quarters of them taken
	taken int
}

type slot struct {
	hash  uint32
	state ref // 0: empty
}

const leastSlots = 64

// hashKeys are odd and chosen by nobody, so that no client can send trace IDs that
// fall in one place.
var hashKeys = [2]uint64{rand.Uint64() | 1, rand.Uint64() | 1}

// hashOf is the upper half of a multiply-shift hash, which is universal
// (Dietzfelbinger et al., "A Reliable Randomized Algorithm for the Closest-Pair
// Problem", 1997).
func hashOf(id trace.TraceID) uint32 {
	upper, lower := binary.LittleEndian.Uint64(id[:8]), binary.LittleEndian.Uint64(id[8:])
	return uint32((upper*hashKeys[0] + lower*hashKeys[1]) >> 32)
}

// home is where the search for a hash begins: at its upper bits, the best mixed.
func (x *index) home(hash uint32) int {
	return int(uint64(hash) * uint64(len(x.slots)) >> 32)
}

func (x *index) after(i int) int { return (i + 1) & (len(x.slots) - 1) }

// find is the state of the trace in sh, nil if there is none.
func (x *index) find(sh *shard, id trace.TraceID) *traceState {
	if x.taken == 0 {
		return nil
	}
	hash := hashOf(id)
	for i := x.home(hash); x.slots[i].state != 0; i = x.after(i) {
		if x.slots[i].hash == hash {
			if st := sh.at(x.slots[i].state); st.id == id {
				return st
			}
		}
	}
	return nil
}

// add makes st found. No other state has its trace ID.
func (x *index) add(st *traceState) {
	if 4*(x.taken+1) > 3*len(x.slots) {
		x.grow()
	}
	x.taken++
	x.put(slot{hashOf(st.id), st.self})
}

func (x *index) put(s slot) {
	i := x.home(s.hash)
	for x.slots[i].state != 0 {
		i = x.after(i)
	}
	x.slots[i] = s
}

func (x *index) grow() {
	old := x.slots
	x.slots = make([]slot, max(leastSlots, 2*len(old)))
	for _, s := range old {
		if s.state != 0 {
			x.put(s)
		}
	}
}

// remove makes st, which add made found, not found any more.
func (x *index) remove(st *traceState) {
	i := x.home(hashOf(st.id))
	for x.slots[i].state != st.self {
		i = x.after(i)
	}
	// What comes after it moves up where its search would otherwise end too early.
	mask := len(x.slots) - 1
	for j := x.after(i); x.slots[j].state != 0; j = x.after(j) {
		if fromHome := (j - x.home(x.slots[j].hash)) & mask; fromHome >= (j-i)&mask {
			x.slots[i], i = x.slots[j], j
		}
	}
	x.slots[i] = slot{}
	x.taken--
}
