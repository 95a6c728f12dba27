package core_test

import (
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// voice is one thing that was said of a trace.
type voice struct {
	t       sampling.Threshold
	selects bool
	sampler string
	place   int  // in the list; -1 for what decided at the start
	late    bool // not said by the start
}

// life is a trace from its first span until it is no longer remembered.
type life struct {
	id        trace.TraceID
	r         uint64
	began     time.Time
	voices    []voice
	answered  map[int]bool
	open      int
	roots     []*modelSpan // open ones
	waiting   []*modelSpan
	decided   bool
	cut       bool
	follows   bool
	discarded bool
	marked    bool
	lost      int
	quiet     time.Time // when the last span ended
}

// trust takes a span's word that its trace is kept, which was forgotten.
func (l *life) trust(sc trace.SpanContext) {
	if sc.IsSampled() && !l.selected() && !l.discarded {
		l.voices = append(l.voices, voice{t: consistent(sc), selects: true, place: -1})
	}
}

func (l *life) least() sampling.Threshold {
	least := sampling.Never
	for _, v := range l.voices {
		switch {
		case v.t == sampling.Always:
			return sampling.Always
		case v.t == sampling.Unknown || least == sampling.Unknown:
			least = sampling.Unknown
		default:
			least = min(least, v.t)
		}
	}
	return least
}

func (l *life) by() string {
	least := l.least()
	var by *voice
	for i := range l.voices {
		if v := &l.voices[i]; v.t == least && (by == nil || v.place < by.place) {
			by = v
		}
	}
	return by.sampler
}

func (l *life) selected() bool {
	return !l.discarded && slices.ContainsFunc(l.voices, func(v voice) bool { return v.selects })
}

func (l *life) spoken() bool {
	return !l.discarded && slices.ContainsFunc(l.voices, func(v voice) bool { return v.selects && v.late })
}

// streams tells whether spans need not wait.
func (l *life) streams(s *setup) bool {
	return l.least() == sampling.Always && l.selected() && !s.judges
}

func (l *life) bigOnes() (n int) {
	for _, s := range l.waiting {
		if s.big {
			n++
		}
	}
	return n
}
