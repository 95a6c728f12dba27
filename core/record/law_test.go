package record

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/riffletrace/riffle/core/sampling"
)

var (
	lawSeeds = flag.Int("seeds", 0, "how many histories TestLaw runs; 0 is as many as CI has time for")
	lawFirst = flag.Uint64("seed", 0, "the first seed of TestLaw")
	lawOnly  = flag.String("only", "", "the only kind of failure that TestLaw looks for: wrong, forced, law, others or traceless; empty is all")
)

// lawCheck runs a history with several randomnesses of one trace, and compares.
type lawCheck struct {
	h      *lawHistory
	traces map[int64]int // of spans
	runs   []*lawRun
	known  map[int64]lawKnown // thresholds of spans of the varied trace
	queue  []uint64
	seen   map[uint64]bool
}

type lawKnown struct {
	threshold  sampling.Threshold
	randomness uint64 // of the run in which it was first seen
}

// lawFailure is a violation. Its kind is so that a smaller history is sought for the
// same.
type lawFailure struct {
	kind   string
	text   string
	r1, r2 uint64
}

func (f *lawFailure) String() string { return f.kind + ": " + f.text }

// lawMost bounds the runs of a history: each threshold asks for three.
const lawMost = 60

// checkLaw checks a history with the given randomnesses, and those around every
// threshold that comes up.
func checkLaw(t *testing.T, h *lawHistory, draws []uint64) (*lawCheck, *lawFailure) {
	c := &lawCheck{h: h, traces: map[int64]int{}, known: map[int64]lawKnown{}, seen: map[uint64]bool{}}
	for _, e := range h.events {
		if e.kind.starts() {
			c.traces[int64(e.number)] = e.trace
		}
	}
	for _, r := range draws {
		c.add(r)
	}
	for len(c.queue) > 0 && len(c.runs) < lawMost {
		r := runLaw(t, h, c.queue[0])
		c.queue = c.queue[1:]
		for _, check := range []func(*lawRun) *lawFailure{wrongIn, c.law, c.others, c.traceless} {
			if f := check(r); f != nil && (*lawOnly == "" || *lawOnly == f.kind) {
				return c, f
			}
		}
		c.runs = append(c.runs, r)
	}
	return c, nil
}

func (c *lawCheck) add(r uint64) {
	if r < uint64(sampling.Never) && !c.seen[r] {
		c.seen[r] = true
		c.queue = append(c.queue, r)
	}
}

// wrongIn is what must not be in any run.
func wrongIn(r *lawRun) *lawFailure {
	fail := func(kind, format string, args ...any) *lawFailure {
		return &lawFailure{kind: kind, text: fmt.Sprintf("R = %014x: %s", r.randomness, fmt.Sprintf(format, args...)), r1: r.randomness, r2: r.randomness}
	}
	if len(r.wrong) > 0 {
		return fail("wrong", "%s", strings.Join(r.wrong, "; "))
	}
	for n := range r.forced {
		if k, ok := r.kept[n]; !ok || k.threshold != sampling.Always {
			return fail("forced", "%d is in a forced segment: kept %v with %v", n, ok, k.threshold)
		}
	}
	return nil
}

// law is the law: a span has one threshold, and is kept with it exactly if the
// randomness reaches it.
func (c *lawCheck) law(r *lawRun) *lawFailure {
	for n, k := range r.kept {
		if c.traces[n] != c.h.varied || k.threshold == sampling.Unknown {
			continue
		}
		known, ok := c.known[n]
		if !ok {
			known = lawKnown{k.threshold, r.randomness}
			c.known[n] = known
			for _, near := range []sampling.Threshold{k.threshold - 1, k.threshold, k.threshold + 1} {
				c.add(uint64(near))
			}
			for _, old := range c.runs {
				if f := known.agrees(n, old); f != nil {
					return f
				}
			}
		}
		if known.threshold != k.threshold {
			return &lawFailure{"law", fmt.Sprintf("span %d is kept with T = %v where R = %014x, and with T = %v where R = %014x",
				n, known.threshold, known.randomness, k.threshold, r.randomness), known.randomness, r.randomness}
		}
	}
	for n, known := range c.known {
		if f := known.agrees(n, r); f != nil {
			return f
		}
	}
	return nil
}

func (known lawKnown) agrees(n int64, r *lawRun) *lawFailure {
	k, kept := r.kept[n]
	kept = kept && k.threshold != sampling.Unknown
	if kept == known.threshold.Selects(r.randomness) {
		return nil
	}
	return &lawFailure{"law", fmt.Sprintf("span %d is kept with T = %v where R = %014x, and kept %v where R = %014x",
		n, known.threshold, known.randomness, kept, r.randomness), known.randomness, r.randomness}
}

// others tells whether the randomness of one trace reaches another. Under pressure it
// does so through samplers with a memory.
func (c *lawCheck) others(r *lawRun) *lawFailure {
	if len(c.runs) == 0 || c.h.setup.pressed && c.h.setup.couples() {
		return nil
	}
	first := c.runs[0]
	for n, x := range c.traces {
		if x == c.h.varied {
			continue
		}
		a, keptA := first.kept[n]
		if b, keptB := r.kept[n]; keptA != keptB || a != b {
			return &lawFailure{"others", fmt.Sprintf("span %d of trace %d: kept %v %+v where R of trace %d is %014x, and %v %+v where it is %014x",
				n, x, keptA, a, c.h.varied, first.randomness, keptB, b, r.randomness), first.randomness, r.randomness}
		}
	}
	return nil
}

// traceless tells whether anything else depends on the randomness: who is asked, what
// waits, is remembered and counted. It may where pressure lets go of segments, where
// the parent's decision is followed, and where nothing waits.
func (c *lawCheck) traceless(r *lawRun) *lawFailure {
	if len(c.runs) == 0 || c.h.setup.pressed || c.h.setup.mode == Follow || r.settled {
		return nil
	}
	first := c.runs[0]
	if slices.Equal(first.notes, r.notes) {
		return nil
	}
	i := 0
	for i < len(first.notes) && i < len(r.notes) && first.notes[i] == r.notes[i] {
		i++
	}
	at := func(r *lawRun) string {
		if i < len(r.notes) {
			return r.notes[i].String()
		}
		return "nothing"
	}
	return &lawFailure{"traceless", fmt.Sprintf("%s where R = %014x, and %s where R = %014x", at(first), first.randomness, at(r), r.randomness), first.randomness, r.randomness}
}

// lawDraws are randomnesses to begin with: any, and those around what callers and
// samplers speak of.
func lawDraws(d *lawDice) []uint64 {
	list := []uint64{uint64(sampling.Never) - 1, 0, d.uint64() >> 8, d.uint64() >> 8}
	for range 2 {
		list = append(list, uint64(d.threshold())+uint64(d.intN(3))-1)
	}
	return list
}

// TestLaw runs random histories. Everything of one is fixed but the randomness of one
// of its traces, on which nothing may depend but a comparison.
func TestLaw(t *testing.T) {
	n := uint64(*lawSeeds)
	if n == 0 {
		switch n = 2000; {
		case underRace:
			n = 1000
		case testing.Short():
			n = 300
		}
	}
	var next atomic.Uint64
	var runs, spans, rare atomic.Int64
	t.Run("seeds", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for !t.Failed() {
					i := next.Add(1) - 1
					if i >= n {
						return
					}
					seed := *lawFirst + i
					d := newLawDice(seed)
					h := newLawHistory(d)
					c, f := checkLaw(t, h, lawDraws(d))
					if f != nil {
						h, f = h.minimize(t, f)
						t.Errorf("seed %d: %v\n%v", seed, f, h)
						next.Store(n)
						return
					}
					runs.Add(int64(len(c.runs)))
					spans.Add(int64(len(c.known)))
					for _, k := range c.known {
						if k.threshold != sampling.Always {
							rare.Add(1)
						}
					}
				}
			})
		}
	})
	t.Logf("%d histories, %d runs, %d spans with a known threshold, of which %d above 0", n, runs.Load(), spans.Load(), rare.Load())
	if !t.Failed() && n >= 100 && rare.Load() < int64(n)/2 {
		t.Errorf("of %d histories only %d spans have a threshold above 0", n, rare.Load())
	}
}

// FuzzLaw makes histories from bytes.
func FuzzLaw(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		b := make([]byte, 400)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &lawDice{bytes: b}
		h := newLawHistory(d)
		if _, fail := checkLaw(t, h, lawDraws(newLawDice(uint64(len(b))))); fail != nil {
			h, fail = h.minimize(t, fail)
			t.Errorf("%v\n%v", fail, h)
		}
	})
}
