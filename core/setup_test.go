package core_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/rate"
	"github.com/riffletrace/riffle/core/sampling"
)

// setup is a random configuration. Its samplers answer by the name of a span.
type setup struct {
	seed       uint64
	mode       core.RemoteParent
	wait       time.Duration
	memory     time.Duration
	starts     []*namedStart
	ends       []*namedEnd
	judges     bool
	judgePlace int
	perSecond  float64
}

var thresholds = []sampling.Threshold{sampling.Always, sampling.Always, 4 << 52, 8 << 52, 12 << 52, 0xff << 48, sampling.Unknown, sampling.Never}

// limiter is one like that of the entry with a limit.
func (s *setup) limiter() *rate.Limiter {
	if s.perSecond == 0 {
		return nil
	}
	return rate.NewLimiter(s.perSecond, time.Second)
}

func (s *setup) dice(what, name string, i int) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, what, i, name)
	return rand.New(rand.NewPCG(s.seed, h.Sum64()))
}

func (s *setup) startAnswer(i int, name string) sampling.Answer {
	r := s.dice("start", name, i)
	switch n := r.IntN(20); {
	case n < 8:
		return sampling.Abstain()
	case n < 10:
		return sampling.Drop()
	case n < 11:
		return sampling.Selected()
	case n < 12:
		return sampling.Unselected()
	default:
		return sampling.At(thresholds[r.IntN(len(thresholds))])
	}
}

// endAnswer is what the i-th end sampler says. A limited one abstains about
// open spans: the oracle does not know when exactly those are asked about.
func (s *setup) endAnswer(i int, name string, failed bool, p sampling.EndParameters) (sampling.Threshold, bool) {
	e := s.ends[i]
	r := s.dice("end", name, i)
	t := thresholds[r.IntN(len(thresholds))]
	switch {
	case e.errors:
		return sampling.Always, failed
	case e.slow > 0:
		return thresholds[i%4], p.LocalRoot && p.Duration >= e.slow
	case e.perSecond > 0:
		return t, !p.Open && r.IntN(2) == 0
	default:
		return t, r.IntN(5) == 0
	}
}

func (s *setup) traceAnswer(name string) sampling.Answer {
	r := s.dice("trace", name, 0)
	switch n := r.IntN(6); {
	case n < 1:
		return sampling.AtMost(sampling.Never)
	case n < 2:
		return sampling.At(thresholds[r.IntN(len(thresholds))])
	default:
		return sampling.Abstain()
	}
}

func newSetup(seed uint64) (*setup, core.Spec) {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &setup{seed: seed, mode: []core.RemoteParent{core.Watch, core.Watch, core.Follow, core.Ignore}[r.IntN(4)]}
	s.wait, s.memory = 10*time.Second, 20*time.Second
	spec := core.Spec{
		RemoteParent: s.mode, DecisionWait: component.Duration(s.wait), DecisionMemory: core.DecisionMemory{Age: component.Duration(s.memory)},
		MaxBytes: 1 << 30, MaxTraceBytes: 1 << 20,
	}
	add := func(name string, sampler sampling.Sampler) {
		spec.Samplers = append(spec.Samplers, use(name, sampler))
	}
	for range 1 + r.IntN(4) {
		e := &namedEnd{setup: s, i: len(s.ends), place: len(spec.Samplers), name: fmt.Sprintf("end%d", len(s.ends))}
		s.ends = append(s.ends, e)
		switch r.IntN(5) {
		case 0:
			e.errors = true
		case 1:
			e.slow = 3 * time.Second
		}
		add(e.name, e)
		if r.IntN(3) == 0 {
			st := &namedStart{setup: s, i: len(s.starts), name: fmt.Sprintf("start%d", len(s.starts)), mayDrop: r.IntN(2) == 0}
			s.starts = append(s.starts, st)
			add(st.name, st)
		}
	}
	if r.IntN(3) == 0 {
		e := &namedEnd{setup: s, i: len(s.ends), place: len(spec.Samplers), name: "limited", perSecond: 0.5}
		s.ends, s.perSecond = append(s.ends, e), e.perSecond
		spec.Samplers = append(spec.Samplers, limitedTo(use(e.name, e), e.perSecond))
	}
	if s.judges = r.IntN(3) == 0; s.judges {
		s.judgePlace = len(spec.Samplers)
		add("judge", &namedJudge{s})
	}
	last := &namedStart{setup: s, i: len(s.starts), name: "last"}
	s.starts = append(s.starts, last)
	add(last.name, lastStart{last})
	return s, spec
}

// failedStatus is what the error sampler of the histories looks at.
func failedStatus(s sdktrace.ReadOnlySpan) bool { return s.Status().Code == codes.Error }

// Samplers of the histories answer by the name of a span, as the setup says.

type namedStart struct {
	setup *setup
	i     int
	name  string
	// mayDrop declares drop rules.
	mayDrop bool
}

func (s *namedStart) Traits() sampling.Traits {
	return sampling.Traits{Description: s.name, MayDrop: s.mayDrop}
}

func (s *namedStart) SampleStart(p sampling.StartParameters) sampling.Answer {
	return s.setup.startAnswer(s.i, p.Name)
}

// lastStart claims to be a baseline, whether or not it is one.
type lastStart struct{ *namedStart }

func (s lastStart) Traits() sampling.Traits {
	t := s.namedStart.Traits()
	t.AlwaysAnswers = true
	return t
}

type namedEnd struct {
	setup     *setup
	i, place  int
	name      string
	errors    bool
	slow      time.Duration
	perSecond float64
}

func (s *namedEnd) Traits() sampling.Traits {
	return sampling.Traits{Description: s.name}
}

func (s *namedEnd) SampleEnd(p sampling.EndParameters) sampling.Answer {
	t, speaks := s.setup.endAnswer(s.i, p.Span.Name(), failedStatus(p.Span), p)
	if !speaks {
		return sampling.Abstain()
	}
	return sampling.At(t)
}

type namedJudge struct{ setup *setup }

func (*namedJudge) Traits() sampling.Traits {
	return sampling.Traits{Description: "judge"}
}

func (j *namedJudge) SampleSegments(_ context.Context, traces []sampling.Segment, answers []sampling.Answer) {
	for i, t := range traces {
		if t.Root != nil {
			answers[i] = j.setup.traceAnswer(t.Root.Name())
		}
	}
}

// limitedTo adds the host's limit to an entry.
func limitedTo(c core.SamplerEntry, perSecond float64) core.SamplerEntry {
	c.Limit = &core.LimitConfig{PerSecond: perSecond}
	return c
}

func reaches(r uint64, t sampling.Threshold) bool { return t == sampling.Unknown || r >= uint64(t) }

// consistent is the th of a context, if it does not contradict R.
func consistent(sc trace.SpanContext) sampling.Threshold {
	t, err := sampling.ParseThreshold(th(sc))
	if err != nil || sampling.Randomness(sc) < uint64(t) {
		return sampling.Unknown
	}
	return t
}

// th is what tracestate says.
func th(sc trace.SpanContext) string {
	for m := range strings.SplitSeq(sc.TraceState().Get("ot"), ";") {
		if v, ok := strings.CutPrefix(m, "th:"); ok {
			return v
		}
	}
	return ""
}

func text(t sampling.Threshold) string {
	s, _ := t.Text()
	return s
}

func lowBits(id trace.TraceID) (r uint64) {
	for _, b := range id[9:] {
		r = r<<8 | uint64(b)
	}
	return r
}

// found is what the engine handed over, in the oracle's words.
func found(s sdktrace.ReadOnlySpan) verdictOf {
	v := verdictOf{th: sampling.Unknown}
	if t, err := sampling.ParseThreshold(th(s.SpanContext())); err == nil {
		v.th = t
	}
	for _, kv := range s.Attributes() {
		switch kv.Key {
		case sampling.SamplerKey:
			v.sampler = kv.Value.AsString()
		case sampling.PartialKey:
			v.partial = kv.Value.AsBool()
		case sampling.SpansForgottenKey:
			v.forgotten = int(kv.Value.AsInt64())
		case sampling.ParentMissingKey:
			v.missing = kv.Value.AsBool()
		}
	}
	return v
}
