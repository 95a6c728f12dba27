package core

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

// The index against a map: what was added is found, what was removed is not, and
// the order does not matter.
func TestIndex(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		var sh shard
		var x index
		model := map[trace.TraceID]*traceState{}
		few := 1 + r.IntN(300)
		id := func() (id trace.TraceID) { // neighbours, and IDs with an empty half
			binary.LittleEndian.PutUint64(id[8*r.IntN(2):], 1+r.Uint64N(uint64(few)))
			return id
		}
		for step := range 5000 {
			id := id()
			want := model[id]
			if got := x.find(&sh, id); got != want {
				t.Fatalf("seed %d, step %d: found %p, want %p", seed, step, got, want)
			}
			switch {
			case want == nil:
				if len(sh.free) == 0 {
					sh.grow()
				}
				last := len(sh.free) - 1
				st := sh.at(sh.free[last])
				st.self, st.id = sh.free[last], id
				sh.free = sh.free[:last]
				x.add(st)
				model[id] = st
			case r.IntN(3) > 0:
				x.remove(want)
				delete(model, id)
				sh.free = append(sh.free, want.self)
			}
			if x.taken != len(model) {
				t.Fatalf("seed %d, step %d: %d taken, want %d", seed, step, x.taken, len(model))
			}
		}
		for id, want := range model {
			if got := x.find(&sh, id); got != want {
				t.Fatalf("seed %d: found %p in the end, want %p", seed, got, want)
			}
			x.remove(want)
		}
		for _, s := range x.slots {
			if s.state != 0 {
				t.Fatalf("seed %d: something is left", seed)
			}
		}
	}
}

// IDs that a client chose are found as fast as others.
func TestIndexChosenIDs(t *testing.T) {
	for name, choose := range map[string]func(i uint64) (upper, lower uint64){
		"counted below":      func(i uint64) (uint64, uint64) { return 0, i },
		"counted above":      func(i uint64) (uint64, uint64) { return i, 1 },
		"of the top bits":    func(i uint64) (uint64, uint64) { return 0, i << 48 },
		"of the golden rule": func(i uint64) (uint64, uint64) { return 0, i * 0xf1de83e19937733d }, // its inverse
	} {
		t.Run(name, func(t *testing.T) {
			var sh shard
			var x index
			const n = 10_000
			for i := range uint64(n) {
				if len(sh.free) == 0 {
					sh.grow()
				}
				last := len(sh.free) - 1
				st := sh.at(sh.free[last])
				st.self = sh.free[last]
				sh.free = sh.free[:last]
				upper, lower := choose(i + 1)
				binary.LittleEndian.PutUint64(st.id[:8], upper)
				binary.LittleEndian.PutUint64(st.id[8:], lower)
				x.add(st)
			}
			longest, run := 0, 0
			for _, s := range x.slots {
				if run++; s.state == 0 {
					run = 0
				}
				longest = max(longest, run)
			}
			if longest > n/20 {
				t.Errorf("%d neighbours in a row", longest)
			}
		})
	}
}
