package core_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/rate"
	"github.com/riffletrace/riffle/core/sampling"
)

// This file is a second, naive reading of the design: it replays what an
// application did, with everything that was ever said of a trace in a slice, and
// says what must have been recorded and handed over. It knows nothing of shards,
// locks, or running minima.

// event is one thing that an application did.
type event struct {
	at     time.Time
	do     action
	span   *modelSpan
	id     trace.TraceID // of keep
	t      sampling.Threshold
	reason string
	known  bool // what Keep answered
}

type action int

const (
	startRoot action = iota
	startChild
	end
	keep
	shutdown
)

// modelSpan is a span of the history, with what the application saw of it.
type modelSpan struct {
	name    string
	parent  *modelSpan        // of a child
	hidden  bool              // the parent was only a context
	remote  trace.SpanContext // of a local root, if it is valid
	context trace.SpanContext
	// recording is what the application saw; failed and big what it did.
	recording, failed, big bool
	started                time.Time

	recorded bool // what the oracle says
}

// verdictOf is what must become of one ended span.
type verdictOf struct {
	th        sampling.Threshold
	sampler   string // on a local root
	partial   bool
	forgotten int
	missing   bool // the remote parent
}

// oracle holds the configuration and what it has found out.
type oracle struct {
	setup  *setup
	limit  *rate.Limiter
	lives  map[trace.TraceID]*life
	kept   map[string]verdictOf
	ended  int
	errors []string
	saw    map[string]int // how often something worth testing happened
	// vague is set when an event is too close to a deadline for the answer to be
	// certain.
	vague bool
}

func (o *oracle) replay(events []event) {
	o.lives = make(map[trace.TraceID]*life)
	o.kept = make(map[string]verdictOf)
	o.saw = make(map[string]int)
	for i := range events {
		e := &events[i]
		o.pass(e.at)
		switch e.do {
		case startRoot:
			o.root(e)
		case startChild:
			o.child(e)
		case end:
			o.end(e)
		case keep:
			o.keep(e)
		case shutdown:
			for _, l := range o.lives {
				if !l.decided {
					o.overdue(l, e.at)
				}
			}
			return
		}
	}
}

// near is how far from a deadline the keeper may act.
const near = 220 * time.Millisecond

// pass lets the time come: deadlines that pass until then.
func (o *oracle) pass(now time.Time) {
	o.close(now, time.Time{})
	for id, l := range o.lives {
		switch {
		case l.open > 0 && !l.decided:
			due := l.began.Add(o.setup.wait)
			o.close(now, due)
			if now.After(due) {
				o.overdue(l, due)
			}
		case l.open == 0:
			due := l.quiet.Add(o.setup.memory)
			o.close(now, due)
			if now.After(due) {
				delete(o.lives, id)
			}
		}
	}
}

func (o *oracle) close(a, b time.Time) {
	if d := a.Sub(b); d > -near && d < near {
		o.vague = true
	}
}

// Rules 1 to 3.
func (o *oracle) root(e *event) {
	s := e.span
	r := sampling.Randomness(s.context)
	remote := s.remote.IsValid()
	var v voice
	drop := false
	switch {
	case remote && o.setup.mode == core.Follow:
		drop = !s.remote.IsSampled()
		v = parentSays(s)
	case remote && o.setup.mode != core.Ignore:
		for i, st := range o.setup.starts {
			drop = drop || st.mayDrop && o.setup.startAnswer(i, s.name).IsDrop()
		}
		v = parentSays(s)
	default:
		if !remote {
			r = lowBits(s.context.TraceID())
		}
		v, drop = o.startSays(s, r)
	}
	if drop {
		o.saw["root not recorded"]++
		o.seen(s, false, false, "")
		return
	}
	l := o.lives[s.context.TraceID()]
	if l == nil {
		l = o.begin(s.context.TraceID(), r, e.at)
		l.follows = remote && o.setup.mode == core.Follow
	}
	o.opened(l, e.at)
	l.roots = append(l.roots, s)
	if len(l.roots) > 1 {
		o.saw["local roots at once"]++
	}
	v.selects = v.selects && !l.discarded
	l.voices = append(l.voices, v)
	switch {
	case !l.selected():
		o.saw["root not selected"]++
		o.seen(s, true, false, "")
	case v.selects && !l.spoken():
		o.seen(s, true, true, text(v.t))
	default:
		o.seen(s, true, true, text(l.least()))
	}
}

// opened counts an open span. In a complete trace that was not kept, waiting
// begins again.
func (o *oracle) opened(l *life, at time.Time) {
	if l.open == 0 && l.decided && !l.selected() && !l.discarded {
		o.saw["trace that begins again"]++
		l.decided, l.began = false, at
	}
	l.open++
}

// seen compares what the application saw when s started.
func (o *oracle) seen(s *modelSpan, recorded, sampled bool, state string) {
	s.recorded = recorded
	if s.recording != recorded || s.context.IsSampled() != sampled || th(s.context) != state {
		o.fail("%s started: recording %v, sampled %v, th %q; want %v, %v, %q",
			s.name, s.recording, s.context.IsSampled(), th(s.context), recorded, sampled, state)
	}
	if s.remote.IsValid() && o.setup.mode != core.Ignore && butTh(s.remote.TraceState()) != butTh(s.context.TraceState()) {
		o.fail("%s started with tracestate %q below %q", s.name, s.context.TraceState(), s.remote.TraceState())
	}
	if s.remote.IsValid() && o.setup.mode == core.Ignore && sampling.Randomness(s.context) == sampling.Randomness(s.remote) {
		o.fail("%s: the client chose the randomness", s.name)
	}
}

func (o *oracle) fail(format string, args ...any) {
	o.errors = append(o.errors, fmt.Sprintf(format, args...))
}

// parentSays is the decision of a remote parent.
func parentSays(s *modelSpan) voice {
	v := voice{t: sampling.Never, selects: s.remote.IsSampled(), place: -1}
	if v.selects {
		v.t = consistent(s.remote)
	}
	return v
}

// startSays is the decision of the start samplers.
func (o *oracle) startSays(s *modelSpan, r uint64) (v voice, drop bool) {
	for i, st := range o.setup.starts {
		a := o.setup.startAnswer(i, s.name)
		t, speaks := a.Threshold()
		switch {
		case a.IsDrop():
			return voice{}, true
		case speaks:
			unselected := strings.HasPrefix(a.String(), "not selected")
			return voice{t: t, selects: !unselected && reaches(r, t), sampler: st.name, place: -1}, false
		}
	}
	return voice{t: sampling.Always, selects: true, place: -1}, false
}

// Rule 4.
func (o *oracle) child(e *event) {
	s, p := e.span, e.span.parent
	l := o.lives[p.context.TraceID()]
	switch {
	case !s.hidden:
		s.recorded = p.recorded
	case l != nil:
		o.saw["hidden parent"]++
		s.recorded = true
	default:
		s.recorded = p.context.IsSampled()
	}
	if !s.recorded {
		o.seen(s, false, false, th(p.context))
		return
	}
	if l == nil {
		l = o.recall(p.context, e.at)
	}
	o.opened(l, e.at)
	l.trust(p.context)
	if l.spoken() {
		o.saw["child of a promoted trace"]++
		o.seen(s, true, true, text(l.least()))
	} else {
		o.seen(s, true, p.context.IsSampled(), th(p.context))
	}
}

// Rules 5 to 7.
func (o *oracle) end(e *event) {
	s := e.span
	if !s.recorded {
		return
	}
	o.ended++
	l := o.lives[s.context.TraceID()]
	if l == nil {
		l = o.recall(s.context, e.at)
		l.open++
	}
	root := s.parent == nil
	o.ask(l, s, e.at, sampling.EndParameters{LocalRoot: root, Duration: e.at.Sub(s.started)})
	l.open--
	l.roots = slices.DeleteFunc(l.roots, func(r *modelSpan) bool { return r == s })

	switch {
	case l.decided:
		o.saw["late span"]++
		o.handOver(l, s)
	case l.streams(o.setup):
		l.decided = true
		o.handOver(l, append(l.waiting, s)...)
		l.waiting = nil
	default:
		l.waiting = append(l.waiting, s)
		if l.open > 0 && l.bigOnes() > 1 {
			o.saw["cut by size"]++
			l.cut = true
			o.decide(l)
		}
	}
	if l.open == 0 {
		if !l.decided {
			if s.parent != nil {
				o.saw["completed by a child"]++
			}
			o.judge(l)
			o.decide(l)
		}
		l.quiet = e.at
	}
}

// overdue is what happens at decision_wait and at Shutdown.
func (o *oracle) overdue(l *life, now time.Time) {
	if l.streams(o.setup) {
		o.decide(l)
		return
	}
	for _, root := range l.roots {
		o.ask(l, root, now, sampling.EndParameters{LocalRoot: true, Open: true, Duration: now.Sub(root.started)})
	}
	l.cut = true
	o.judge(l)
	o.saw["overdue"]++
	o.decide(l)
}

// ask asks those end samplers that have not answered yet.
func (o *oracle) ask(l *life, s *modelSpan, now time.Time, p sampling.EndParameters) {
	for i, e := range o.setup.ends {
		if l.least() == sampling.Always || l.follows || l.discarded {
			return
		}
		if l.answered[i] {
			continue
		}
		if p.Open && e.slow > 0 {
			o.close(now, s.started.Add(e.slow))
		}
		t, speaks := o.setup.endAnswer(i, s.name, s.failed && !p.Open, p)
		if !speaks {
			continue
		}
		l.answered[i] = true
		selects := reaches(l.r, t)
		if e.perSecond > 0 {
			o.saw["answer under a limit"]++
			limit := o.limited(now, t)
			selects = selects && l.r >= uint64(limit)
			if t != sampling.Unknown {
				t = max(t, limit)
			}
		}
		if p.Open {
			o.saw["answer about an open root"]++
		}
		if t == sampling.Unknown {
			o.saw["unknown at the end"]++
		}
		l.voices = append(l.voices, voice{t: t, selects: selects, sampler: e.name, place: e.place, late: true})
	}
}

func (o *oracle) limited(now time.Time, t sampling.Threshold) sampling.Threshold {
	p := 1.0
	if t != sampling.Unknown {
		p = t.Probability()
	}
	limit, _ := sampling.ThresholdFromProbability(o.limit.Probability(now, p))
	return limit
}

// judge asks the trace sampler.
func (o *oracle) judge(l *life) {
	if !o.setup.judges {
		return
	}
	var root *modelSpan
	for _, s := range l.waiting {
		if root == nil && s.parent == nil {
			root = s
		}
	}
	if root == nil {
		return
	}
	a := o.setup.traceAnswer(root.name)
	if t, _ := a.Threshold(); a.IsThreshold() && !l.follows {
		l.voices = append(l.voices, voice{t: t, selects: reaches(l.r, t), sampler: "judge", place: o.setup.judgePlace, late: true})
	}
	if l.discarded = a.IsAtMost(); l.discarded && l.open == 0 {
		o.saw["discarded"]++
	}
}

// keep is rule 10.
func (o *oracle) keep(e *event) {
	l := o.lives[e.id]
	if known := l != nil && !l.discarded; known != e.known {
		o.fail("Keep(%s) = %v, want %v", e.id, e.known, known)
	}
	if l == nil || l.discarded {
		return
	}
	if l.open == 0 && l.decided {
		l.quiet = e.at // it is remembered from now on
	}
	if l.follows {
		return
	}
	l.voices = append(l.voices, voice{t: e.t, selects: reaches(l.r, e.t), sampler: e.reason, place: 1 << 20, late: true})
	o.saw["kept on demand"]++
	if !l.decided && l.streams(o.setup) {
		o.decide(l)
	}
}

func (o *oracle) decide(l *life) {
	l.decided = true
	waiting := l.waiting
	l.waiting = nil
	o.handOver(l, waiting...)
}

// handOver hands spans over, or forgets them.
func (o *oracle) handOver(l *life, spans ...*modelSpan) {
	if !l.selected() {
		l.lost += len(spans)
		return
	}
	partial := l.cut || l.lost > 0
	if l.lost > 0 {
		o.saw["kept after spans were forgotten"]++
	}
	for i, s := range spans {
		v := verdictOf{th: l.least()}
		first := i == 0 && partial && !l.marked
		if partial && (s.parent == nil || first) {
			v.partial, v.forgotten = true, l.lost
		}
		if s.parent == nil {
			v.sampler = l.by()
			v.missing = s.remote.IsValid() && !s.remote.IsSampled()
		}
		if _, twice := o.kept[s.name]; twice {
			panic("the oracle hands a span over twice")
		}
		o.kept[s.name] = v
	}
	l.marked = l.marked || partial && len(spans) > 0
}

func (o *oracle) begin(id trace.TraceID, r uint64, at time.Time) *life {
	l := &life{id: id, r: r, began: at, answered: make(map[int]bool)}
	o.lives[id] = l
	return l
}

// recall begins the life of a trace of which only the context of a span is
// left.
func (o *oracle) recall(sc trace.SpanContext, at time.Time) *life {
	l := o.begin(sc.TraceID(), sampling.Randomness(sc), at)
	o.saw["trace recalled"]++
	// Whether a remote parent decided for good is not known any more.
	l.follows = o.setup.mode == core.Follow
	l.trust(sc)
	return l
}
