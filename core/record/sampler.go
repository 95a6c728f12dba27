package record

import (
	"log/slog"
	"math/bits"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/sampling"
)

// entry is what the samplers of all kinds have in common in the list.
type entry struct {
	name   string
	number int16 // of the name
	place  int16 // in the list
	match  *match.Matcher
	share  float64 // of what it says, 1 unless the configuration says otherwise
	drops  bool    // it drops what it says, at the start
	// met tells that there was something to ask about since somebody last looked.
	met *atomic.Bool
	*guard
	stage stage
	asks  *asks // nil outside of a recorder
	// observe is told what was answered, or that the match does not hold, or not yet. nil
	// outside of explanations.
	observe func(a sampling.Answer, matched match.Result)
}

// StartEntry is a start sampler of the list.
type StartEntry struct {
	entry
	sampler sampling.StartSampler
	// last is the tracestate of the last threshold that selected a trace
	// without a tracestate of its own. Few samplers ever have a second one.
	last atomic.Pointer[thresholdState]
}

type thresholdState struct {
	threshold sampling.Threshold
	state     trace.TraceState
}

// EndEntry is an end sampler of the list.
type EndEntry struct {
	entry
	sampler sampling.EndSampler
	limit   *limit // nil without one
}

// SegmentEntry is a segment sampler of the list.
type SegmentEntry struct {
	entry
	sampler sampling.SegmentSampler
	asking  *atomic.Bool
}

// Samplers is the list, by what each implements. An entry may be in several.
type Samplers struct {
	start   []*StartEntry
	end     []*EndEntry
	segment []*SegmentEntry
	entries []*entry         // all of them
	limited map[int16]*limit // of end samplers, by their place
}

// MaxEndSamplers is how many bits a segment has to remember who has answered.
const MaxEndSamplers = 64

// Entry is what the configuration says of a sampler.
type Entry struct {
	Name  string
	Match *match.Matcher // nil is all
	Limit float64        // on what an end sampler keeps a second; 0 is none
	// Sample is the share of what the sampler says, or drop; "" is 1. It is valid.
	Sample sampling.Sample
	Logger *slog.Logger // nil is nothing
	// Observe is told what the sampler answers at each stage ("start", "end",
	// "segment"), or that its match does not hold, or not yet; nil is nobody.
	Observe func(stage string, a sampling.Answer, matched match.Result)
}

// Add adds the next sampler of the list under the kinds that it implements, and
// reports whether there was one. No more than [MaxEndSamplers] may be end samplers.
func (l *Samplers) Add(s sampling.Sampler, e Entry) bool {
	share := 1.0
	if a, err := e.Sample.Answer(); err == nil && a.IsThreshold() {
		t, _ := a.Threshold()
		share = t.Probability()
	}
	common := func(stage stage) entry {
		var observe func(sampling.Answer, match.Result)
		if e.Observe != nil {
			observe = func(a sampling.Answer, matched match.Result) { e.Observe(stage.String(), a, matched) }
		}
		return entry{
			name: e.Name, place: int16(len(l.entries)), match: e.Match, observe: observe,
			guard: &guard{sampler: e.Name, logger: e.Logger},
			share: share, drops: e.Sample == sampling.SampleDrop, met: new(atomic.Bool), stage: stage,
		}
	}
	if e.Logger == nil {
		e.Logger = slog.New(slog.DiscardHandler)
	}
	before := len(l.entries)
	if s, ok := s.(sampling.StartSampler); ok {
		added := &StartEntry{entry: common(startStage), sampler: s}
		l.start, l.entries = append(l.start, added), append(l.entries, &added.entry)
	}
	if s, ok := s.(sampling.EndSampler); ok {
		added := &EndEntry{entry: common(endStage), sampler: s}
		if e.Limit > 0 {
			added.limit = newLimit(&e)
		}
		l.addEnd(added)
	}
	if s, ok := s.(sampling.SegmentSampler); ok {
		added := &SegmentEntry{entry: common(segmentStage), sampler: s, asking: new(atomic.Bool)}
		l.segment, l.entries = append(l.segment, added), append(l.entries, &added.entry)
	}
	return len(l.entries) > before
}

// AddSame adds the next sampler of the list as it is in another list, under a name that
// is there: with its limit, and its suspension.
func (l *Samplers) AddSame(from *Samplers, name string) {
	place := func(e *entry) entry {
		same := *e
		same.place = int16(len(l.entries))
		return same
	}
	for _, e := range from.start {
		if e.name == name {
			added := &StartEntry{entry: place(&e.entry), sampler: e.sampler}
			l.start, l.entries = append(l.start, added), append(l.entries, &added.entry)
		}
	}
	for _, e := range from.end {
		if e.name == name {
			l.addEnd(&EndEntry{entry: place(&e.entry), sampler: e.sampler, limit: e.limit})
		}
	}
	for _, e := range from.segment {
		if e.name == name {
			added := &SegmentEntry{entry: place(&e.entry), sampler: e.sampler, asking: e.asking}
			l.segment, l.entries = append(l.segment, added), append(l.entries, &added.entry)
		}
	}
}

func (l *Samplers) addEnd(added *EndEntry) {
	if added.limit != nil {
		if l.limited == nil {
			l.limited = map[int16]*limit{}
		}
		l.limited[added.place] = added.limit
	}
	l.end, l.entries = append(l.end, added), append(l.entries, &added.entry)
}

// TakeMet reports whether the match of a sampler held for anything since the last call.
// matches is false if it has none.
func (l *Samplers) TakeMet(name string) (met, matches bool) {
	for _, e := range l.entries {
		if e.name == name && e.match != nil {
			matches = true
			met = e.met.Swap(false) || met
		}
	}
	return met, matches
}

// Start returns the start samplers.
func (l *Samplers) Start() []*StartEntry { return l.start }

// EndSamplers counts the end samplers.
func (l *Samplers) EndSamplers() int { return len(l.end) }

// WaitForEnd reports whether segments that the start did not select must be
// recorded.
func (l *Samplers) WaitForEnd() bool { return len(l.end) > 0 || len(l.segment) > 0 }

// matches reports whether the sampler is to be asked about the subject.
func (e *entry) matches(s *match.Subject) match.Result {
	if e.match == nil {
		return match.Yes
	}
	r := e.match.Match(s)
	switch {
	case r == match.Yes && !e.met.Load():
		e.met.Store(true)
	case r != match.Yes && e.observe != nil:
		e.observe(sampling.Answer{}, r)
	}
	return r
}

// said makes of an answer what the entry's sample does, and counts it.
func (e *entry) said(a sampling.Answer, part uint8) sampling.Answer {
	rule := a.Rule() // which Drop does not have
	switch {
	case e.drops && a.IsThreshold():
		a = sampling.Drop().Because(a.Reason)
	case e.share != 1:
		a = a.Scaled(e.share)
	}
	if !a.IsAbstain() {
		e.answered(part, &a, rule)
	}
	if e.observe != nil {
		e.observe(a, match.Yes)
	}
	return a
}

// from is the threshold from which on an answer counts that gives none of its own.
func (e *entry) from(t sampling.Threshold) sampling.Threshold {
	if t == sampling.Unknown {
		return sampling.Always.Scaled(e.share)
	}
	return sampling.Always
}

func (e *StartEntry) ask(q *rootRequest, s *match.Subject, timed bool) (a sampling.Answer) {
	if e.isSuspended() || e.matches(s) != match.Yes {
		return sampling.Answer{}
	}
	defer e.rescue(&a)
	part := q.part()
	e.asked(part, 1)
	p := sampling.NewStartParameters(&q.SamplingParameters)
	p.RemoteParent = q.remote
	if !timed {
		return e.said(e.sampler.SampleStart(p), part)
	}
	start := time.Now()
	a = e.said(e.sampler.SampleStart(p), part)
	e.took(time.Since(start))
	return a
}

// asked is what came of asking end samplers, until one answered with a threshold.
type asked struct {
	by    int // its place; -1 if none did
	says  sampling.Answer
	rest  uint64 // who was not asked
	later uint64 // whose match is not known yet
}

// firstAnswer asks the end samplers with a bit in mask in turn.
func firstAnswer(samplers []*EndEntry, mask uint64, p *sampling.EndParameters, s *match.Subject, part uint8) (a asked) {
	var now *EndEntry
	a.by, a.rest = -1, mask
	defer func() {
		if r := recover(); r != nil {
			a.by = -1
			now.panicked(r)
		}
	}()
	for timed := timed(); a.rest != 0; {
		by := bits.TrailingZeros64(a.rest)
		now = samplers[by]
		a.rest &= a.rest - 1
		if now.isSuspended() {
			continue
		}
		switch now.matches(s) {
		case match.Later:
			a.later |= 1 << by
		case match.Yes:
			if says := now.ask(p, timed, part); says.IsThreshold() {
				a.by, a.says = by, says
				return a
			}
		default:
		}
	}
	return a
}

func (e *EndEntry) ask(p *sampling.EndParameters, timed bool, part uint8) sampling.Answer {
	e.asked(part, 1)
	if !timed {
		return e.said(e.sampler.SampleEnd(*p), part)
	}
	start := time.Now()
	a := e.said(e.sampler.SampleEnd(*p), part)
	e.took(time.Since(start))
	return a
}
