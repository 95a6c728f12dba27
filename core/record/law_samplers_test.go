package record

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/rate"
	"github.com/riffletrace/riffle/core/sampling"
)

// lawSetup is a configuration. Its samplers answer by the name of a span.
type lawSetup struct {
	salt       uint64
	mode       RemoteParent
	samplers   []lawSampler
	pressed    bool
	maxSegment int64
	wait, age  int // ticks
	budget     int // 0 is none, 1 is of segments, 2 of spans, 3 of segments by name
}

const (
	lawTick   = maxTick // the provider's, by the bounds of every setup
	lawMoment = lawTick / 1000
	// lawRate is what is kept a second where that is bounded: three in ten ticks.
	lawRate = 3 * float64(time.Second) / float64(10*lawTick)
)

type lawAsk uint8

const (
	lawStart      lawAsk = iota // a start sampler, by name
	lawDrops                    // one with drop rules
	lawFollows                  // one that follows arrivals
	lawByName                   // an end sampler, by name
	lawErrors                   // about failed spans
	lawSlow                     // about slow local roots
	lawCounts                   // about segments of some spans
	lawByRoot                   // by the name of the local root
	lawLimited                  // by name, with a limit
	lawFollowsEnd               // one that follows arrivals
	lawSegment                  // a segment sampler, by name
	lawNeverRaise               // one that promises to raise no threshold
	lawCaps                     // one that raises thresholds by what they are
	lawAsks
)

var lawAskNames = [lawAsks]string{
	"start", "start, drops", "start, follows arrivals", "end", "end, errors", "end, slow", "end, counts", "end, by root",
	"end, limited", "end, follows arrivals", "segment", "segment, never raises", "segment, caps",
}

// lawSampler is a sampler of a setup.
type lawSampler struct {
	ask       lawAsk
	number    int
	threshold sampling.Threshold
	n         int // spans, or ticks
	sample    sampling.Sample
	matched   bool // asked only below some local roots
}

func newLawSetup(d *lawDice) lawSetup {
	modes := []RemoteParent{Watch, Watch, Watch, Watch, Follow, Ignore, Restart, Ask, Ask}
	s := lawSetup{
		mode: modes[d.intN(len(modes))], pressed: d.oneIn(3), salt: d.uint64(),
		maxSegment: []int64{4 << 20, 4 << 20, 4000, 2500}[d.intN(4)], wait: 10 + d.intN(40), age: 10 + d.intN(60),
	}
	kinds := []lawAsk{
		lawStart, lawStart, lawStart, lawStart, lawDrops, lawFollows, lawByName, lawByName, lawByName, lawByName, lawErrors, lawSlow,
		lawCounts, lawByRoot, lawLimited, lawLimited, lawFollowsEnd, lawSegment, lawSegment, lawNeverRaise, lawCaps,
	}
	for i := range d.intN(6) {
		l := lawSampler{ask: kinds[d.intN(len(kinds))], number: i, threshold: d.threshold(), n: 2 + d.intN(20)}
		if l.ask > lawFollows {
			l.sample = []sampling.Sample{"", "", "", "0.3"}[d.intN(4)]
			l.matched = d.oneIn(4)
		}
		s.samplers = append(s.samplers, l)
	}
	if d.oneIn(4) {
		s.budget = 1 + d.intN(3)
	}
	s.pressed = s.pressed && !s.tellsThreshold()
	return s
}

func (s *lawSetup) has(asks ...lawAsk) bool {
	return slices.ContainsFunc(s.samplers, func(l lawSampler) bool { return slices.Contains(asks, l.ask) })
}

// couples reports whether a sampler has a memory, so that what it says of one segment
// depends on what it was asked before.
func (s *lawSetup) couples() bool {
	return s.budget > 0 || s.has(lawFollows, lawLimited, lawFollowsEnd)
}

// tellsThreshold reports whether a sampler is told the threshold so far, and uses it, as
// a budget does.
// That is known in part: a caller tells its threshold only where that selects, and a
// segment that pressure lets go says nothing to others. Such a threshold is above the
// randomnesses that are not told of it, but what a sampler makes of it is not.
func (s *lawSetup) tellsThreshold() bool { return s.budget > 0 || s.has(lawCaps) }

// dice is a number for a sampler and a name.
func (s *lawSetup) dice(number int, name string) *lawDice {
	h := fnv.New64a()
	fmt.Fprint(h, number, name)
	return newLawDice(s.salt ^ h.Sum64())
}

// says is what a sampler answers about a name.
func (s *lawSetup) says(l *lawSampler, name string) sampling.Answer {
	d := s.dice(l.number, name)
	t := d.threshold()
	n := d.intN(20)
	switch l.ask {
	case lawStart, lawDrops:
		switch {
		case n < 8:
			return sampling.Abstain()
		case n < 10 && l.ask == lawDrops:
			return sampling.Drop()
		case n == 10:
			return sampling.Selected()
		case n == 11:
			return sampling.Unselected()
		case n < 15 && s.mode == Ask:
			return sampling.ByParent(t, d.threshold())
		case n == 15 && s.mode == Ask:
			return sampling.FollowParent()
		}
	case lawSegment:
		switch {
		case n < 10:
			return sampling.Abstain()
		case n < 12:
			return sampling.AtMost(sampling.Never)
		case n < 16:
			return sampling.AtMost(t)
		}
	case lawNeverRaise:
		if n < 10 {
			return sampling.Abstain()
		}
	case lawLimited, lawFollowsEnd:
		if n < 8 {
			return sampling.Abstain()
		}
	default:
		if n < 14 {
			return sampling.Abstain()
		}
	}
	return sampling.At(t)
}

// describe says what the samplers answer about the names that are used.
func (s *lawSetup) describe(used map[string]bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "remote_parent %s, max_wait %d ticks, decision_memory %d ticks, max_trace_bytes %d", s.mode, s.wait, s.age, s.maxSegment)
	if s.budget > 0 {
		fmt.Fprintf(&b, ", budget of %s", []string{"segments", "spans", "segments by name"}[s.budget-1])
	}
	for i := range s.samplers {
		l := &s.samplers[i]
		fmt.Fprintf(&b, "\nsampler %d: %s%s%s:", l.number, lawAskNames[l.ask], lawIf(l.sample != "", ", sample "+string(l.sample), ""), lawIf(l.matched, ", below some roots", ""))
		switch l.ask {
		case lawErrors:
			fmt.Fprintf(&b, " %v", l.threshold)
		case lawSlow:
			fmt.Fprintf(&b, " from %d ticks on %v", l.n, l.threshold)
		case lawCounts:
			fmt.Fprintf(&b, " from %d spans on %v", l.n/4, l.threshold)
		case lawFollows, lawCaps:
		default:
			for _, name := range lawNames {
				if a := s.says(l, name); used[name] && !a.IsAbstain() {
					fmt.Fprintf(&b, " %s: %v;", name, a)
				}
			}
		}
	}
	return b.String()
}

// lawMatch is known when the local root has ended.
var lawMatch = func() *match.Matcher {
	m, err := match.Config{Root: &match.SpanConfig{Any: []match.SpanConfig{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}, {Name: "e"}}}}.Compile()
	if err != nil {
		panic(err)
	}
	return m
}()

// lawAsked is a sampler of a run, which notes what it is asked.
type lawAsked struct {
	lawSampler
	run    *lawRun
	target *rate.Target
}

func (s *lawAsked) Traits() sampling.Traits {
	return sampling.Traits{Description: lawAskNames[s.ask], MayDrop: s.ask == lawDrops, NeverRaises: s.ask == lawNeverRaise}
}

func (s *lawAsked) says(name string) sampling.Answer { return s.run.h.setup.says(&s.lawSampler, name) }

// following is the answer of one that follows arrivals.
func (s *lawAsked) following() sampling.Answer {
	t, err := sampling.ThresholdFromProbability(s.target.Probability(time.Now()))
	if err != nil {
		panic(err)
	}
	return sampling.At(t)
}

type lawStartSampler struct{ *lawAsked }

func (s lawStartSampler) SampleStart(p sampling.StartParameters) sampling.Answer {
	s.run.note(lawNoteStart, int64(s.number), int64(s.run.current.number))
	if s.ask == lawFollows {
		return s.following()
	}
	return s.says(p.Name)
}

type lawEndSampler struct{ *lawAsked }

func (s lawEndSampler) SampleEnd(p sampling.EndParameters) sampling.Answer {
	s.run.note(lawNoteEnd, int64(s.number), spanNumber(p.Span.SpanContext().SpanID()))
	var yes bool
	switch s.ask {
	case lawErrors:
		yes = failedSpan(p.Span)
	case lawSlow:
		// No two events are as far from each other as that.
		yes = p.LocalRoot && p.Duration >= time.Duration(s.n)*lawTick+lawTick/4
	case lawCounts:
		yes = p.Spans >= s.n/4
	case lawByRoot:
		return s.says(p.Root.Name())
	case lawFollowsEnd:
		if s.says(p.Span.Name()).IsAbstain() {
			return sampling.Abstain()
		}
		return s.following()
	default:
		return s.says(p.Span.Name())
	}
	if !yes {
		return sampling.Abstain()
	}
	return sampling.At(s.threshold)
}

// lawWaits is a segment sampler that is asked about all segments, if others are asked
// about some, and waits.
type lawWaits struct{ run *lawRun }

func (lawWaits) Traits() sampling.Traits {
	return sampling.Traits{Description: "waits", NeverRaises: true}
}

// SampleSegments waits for the middle of a moment, so that whatever goes on at the time
// that it is asked is done before segments are decided. Who is there already does not
// wait: it takes no more time to ask about two segments one after another than about both
// at once, which is up to the scheduler. Nor does it take less to ask about one than to
// queue behind another of its trace, which is asked about only for some randomnesses where
// the parent's decision is followed.
func (s lawWaits) SampleSegments(context.Context, []sampling.Segment, []sampling.Answer) {
	if past := (time.Since(s.run.began) + lawMoment/2) % lawMoment; past > 0 {
		time.Sleep(lawMoment - past)
	}
}

type lawSegmentSampler struct{ *lawAsked }

func (s lawSegmentSampler) SampleSegments(_ context.Context, segments []sampling.Segment, answers []sampling.Answer) {
	for i := range segments {
		g := &segments[i]
		s.run.note(lawNoteSegment, int64(s.number), spanNumber(g.Spans[0].SpanContext().SpanID()))
		if s.ask == lawCaps {
			if g.Threshold < sampling.Never {
				answers[i] = sampling.AtMost(g.Threshold/2 + sampling.Never/2)
			}
			continue
		}
		name := g.Spans[0].Name()
		if g.Root != nil {
			name = g.Root.Name()
		}
		answers[i] = s.says(name)
	}
}

// spend gives a configuration the budget, in which half of the samplers are classes.
func (s *lawSetup) spend(c *Config) {
	if s.budget == 0 {
		return
	}
	b := BudgetConfig{PerSecond: lawRate, Spans: s.budget == 2, Classes: 3}
	if s.budget == 3 {
		b.By = []string{"name"}
	}
	c.Budget, c.Classes = NewBudget(b), map[string]int{}
	for i := range s.samplers {
		if l := &s.samplers[i]; l.number%2 == 0 {
			c.Classes[l.name()] = l.number / 2 % 2
		}
	}
}

// wait adds what waits to a list in which segment samplers are.
func (r *lawRun) wait(to *Samplers) {
	if len(to.segment) > 0 {
		to.Add(lawWaits{r}, Entry{Name: "waits", Logger: r.logger})
	}
}

// add adds the sampler to a list.
func (l *lawSampler) name() string { return fmt.Sprint(lawAskNames[l.ask], " ", l.number) }

func (l lawSampler) add(to *Samplers, run *lawRun) {
	s := &lawAsked{lawSampler: l, run: run}
	e := Entry{Name: l.name(), Sample: l.sample, Logger: run.logger}
	if l.matched {
		e.Match = lawMatch
	}
	switch {
	case l.ask <= lawFollows:
		s.target = rate.NewTarget(lawRate, 10*lawTick)
		to.Add(lawStartSampler{s}, e)
	case l.ask < lawSegment:
		s.target = rate.NewTarget(lawRate, 10*lawTick)
		if l.ask == lawLimited {
			e.Limit = lawRate * 2 / 3
		}
		to.Add(lawEndSampler{s}, e)
	default:
		to.Add(lawSegmentSampler{s}, e)
	}
}
