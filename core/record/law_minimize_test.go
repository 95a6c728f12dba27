package record

import (
	"slices"
	"testing"

	"github.com/riffletrace/riffle/core/sampling"
)

// lawTries bounds the checks that finding a smaller history takes.
const lawTries = 1500

// minimize drops what the failure does not need.
func (h *lawHistory) minimize(t *testing.T, f *lawFailure) (*lawHistory, *lawFailure) {
	tries := 0
	better := func(smaller *lawHistory) bool {
		if tries++; tries > lawTries {
			return false
		}
		draws := []uint64{f.r1, f.r2, uint64(sampling.Never) - 1, 0}
		_, found := checkLaw(t, smaller, draws)
		if found == nil || found.kind != f.kind {
			return false
		}
		h, f = smaller, found
		return true
	}
	if !better(h) {
		f.text += " (and not when it is run again)"
		return h, f
	}
	for again := true; again; {
		again = false
		for size := len(h.events); size > 0; size /= 2 {
			for at := 0; at < len(h.events); {
				smaller := h.with(slices.Concat(h.events[:at], h.events[min(at+size, len(h.events)):]))
				if better(smaller) {
					again = true
				} else {
					at += size
				}
			}
		}
		for _, l := range h.setup.samplers {
			smaller := h.with(h.events)
			smaller.setup.samplers = slices.DeleteFunc(slices.Clone(h.setup.samplers), func(o lawSampler) bool { return o == l })
			again = better(smaller) || again
		}
		again = h.simplify(better) || again
	}
	return h, f
}

func (h *lawHistory) with(events []lawEvent) *lawHistory {
	next := *h
	next.events = events
	return &next
}

// simplify tries simpler ways to say the same.
func (h *lawHistory) simplify(better func(*lawHistory) bool) (again bool) {
	for i := range h.events {
		for _, change := range []func(*lawEvent){
			func(e *lawEvent) { e.forced = false },
			func(e *lawEvent) { e.flag = false },
			func(e *lawEvent) {
				if e.kind.starts() || e.kind == lawGrow {
					e.n = 0
				}
			},
			func(e *lawEvent) {
				if e.kind == lawAdvance {
					e.n = max(1, e.n/2)
				}
			},
			func(e *lawEvent) {
				if e.kind == lawWrapped || e.kind == lawCopied {
					e.kind = lawChild
				}
			},
		} {
			smaller := h.with(slices.Clone(h.events))
			if change(&smaller.events[i]); smaller.events[i] != h.events[i] && better(smaller) {
				h, again = smaller, true
			}
		}
	}
	smaller := h.with(h.events)
	if smaller.setup.maxSegment = 4 << 20; h.setup.maxSegment != smaller.setup.maxSegment {
		again = better(smaller) || again
	}
	return again
}
