package core

import (
	"encoding/binary"
	"math/bits"

	"go.opentelemetry.io/otel/trace"
)

// forgottenTraces remembers of traces that were complete, and for which nobody
// spoke, what their late spans need: such a trace begins again where it was.
// They are most of all traces, so each takes 32 bytes, in one cache line with
// its only rival; the newer of three displaces the oldest. The table is in no
// cache, so the latest wait until there are some to file: memory fetches the lines
// of all of them at once.
type forgottenTraces struct {
	sets   [][2]forgottenTrace // a power of two; nil until something is forgotten
	shift  uint8
	latest [8]forgottenTrace
	waits  int   // how many of latest
	ticks  int32 // their sets', added up for no other reason than to fetch them
}

type forgottenTrace struct {
	id         trace.TraceID // zero: none
	randomness uint64
	spans      int32
	at         int32 // tick
}

const forgottenBytes = 32

// bytes is what the table takes that remembers about so many traces.
func (f *forgottenTraces) bytes() int64 { return int64(len(f.sets)) * 2 * forgottenBytes }

func (f *forgottenTraces) grow(traces int) {
	n := bits.Len(uint(max(traces, 2)-1) / 2) // sets, as a power of two
	f.sets, f.shift = make([][2]forgottenTrace, 1<<n), uint8(64-n)
}

// set is where the trace is, if it is anywhere.
func (f *forgottenTraces) set(id trace.TraceID) *[2]forgottenTrace {
	const golden = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio: Fibonacci hashing
	return &f.sets[binary.LittleEndian.Uint64(id[8:])*golden>>f.shift]
}

// put remembers a trace.
func (f *forgottenTraces) put(t forgottenTrace) {
	f.latest[f.waits] = t
	if f.waits++; f.waits < len(f.latest) {
		return
	}
	for i := range f.latest {
		f.ticks += f.set(f.latest[i].id)[0].at
	}
	for i := range f.latest {
		f.file(&f.latest[i])
	}
	f.waits = 0
}

func (f *forgottenTraces) file(t *forgottenTrace) {
	set := f.set(t.id)
	switch {
	case set[0].id == t.id || set[0].id == trace.TraceID{}:
		set[0] = *t
	case set[1].id == t.id || set[1].id == trace.TraceID{} || set[1].at <= set[0].at:
		set[1] = *t
	default:
		set[0] = *t
	}
}

// find returns a trace that was forgotten after a tick, nil if there is none.
func (f *forgottenTraces) find(id trace.TraceID, after int32) *forgottenTrace {
	if f.sets == nil || !id.IsValid() {
		return nil
	}
	for i := f.waits - 1; i >= 0; i-- {
		if t := &f.latest[i]; t.id == id && t.at > after {
			return t
		}
	}
	set := f.set(id)
	for i := range set {
		if set[i].id == id && set[i].at > after {
			return &set[i]
		}
	}
	return nil
}
