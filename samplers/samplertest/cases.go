package samplertest

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"weak"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// manyIDs is how many trace IDs must get the same answer.
const manyIDs = 1000

// maxWait is for what should be over at once, on a busy machine.
var maxWait = 5 * time.Second

var cases = []testCase{
	{
		"interfaces",
		"a sampler is a StartSampler, an EndSampler or a SegmentSampler, or several of them; the host refuses any other, because it would never be asked",
		interfaces,
	},
	{
		"traits",
		"Traits is the same at every call and for every sampler with the same settings, because the host asks once; its Description is one line that says what the sampler does: it stands in lists, logs and the SDK sampler's own description",
		sameTraits,
	},
	{
		"legal answers",
		"a StartSampler answers anything but AtMost, and ByParent only where it is told of a remote parent, an EndSampler Abstain or At, a SegmentSampler Abstain, At or AtMost, with a threshold up to sampling.Never or sampling.Unknown, and keeps what its Traits say (MayDrop, AlwaysAnswers, NeverRaises); the host relies on that and takes anything else for Abstain",
		legalAnswers,
	},
	{
		"sample",
		"a sampler whose Traits say NeedsSample says no share of its own: it abstains, or answers At or AtMost with sampling.Always, of which the host makes what the entry's sample says; it cannot also say IgnoresSample",
		needsSample,
	},
	{
		"rules",
		"RulesUsed calls use with every rule, the same ones in the same order at every call, each with a name of its own, and says of each whether it has met a request since the last call, once; what Answer.WithRule names is one of them and has met one",
		rulesUsed,
	},
	{
		"trace ID",
		"an answer does not depend on the trace ID or its randomness: the host compares the randomness with the threshold, and a sampler that has looked at it first makes every weighted count wrong",
		ignoresTraceID,
	},
	{
		"keys",
		"a sampler whose Traits say Keyed depends on the attributes in Keys, the name and the kind, on nothing else, and not on what it says that it ignores: a host that serves it from elsewhere sends nothing else",
		dependsOnKeysOnly,
	},
	{
		"parameters not changed",
		"a sampler does not write to what its parameters point to: the span and the other samplers use the same memory",
		changesNothing,
	},
	{
		"parameters not kept",
		"a sampler keeps nothing that its parameters point to after it has answered: the host uses the memory again, and a span that is held is a leak; copy what is needed",
		keepsNothing,
	},
	{
		"empty parameters",
		"a sampler copes with parameters that are empty: a context without a span, no attributes, a span without a name, a segment without a root, a batch without a segment",
		copesWithEmpty,
	},
	{
		"concurrent use",
		"SampleStart, SampleEnd, Traits and RulesUsed are called while other goroutines start and end spans; run this under -race",
		concurrentUse,
	},
	{
		"at once",
		"SampleStart and SampleEnd run while the application waits: no I/O, no waiting; the host switches off a sampler that takes over 1ms again and again",
		answersAtOnce,
	},
	{
		"deadline",
		"SampleSegments returns when its context is done; what is not answered by then abstains. Other segments wait behind it, in bounded memory",
		returnsWhenDone,
	},
	{
		"shutdown",
		"Shutdown ends every goroutine of the sampler, can be called twice and without any other call before it, and returns when its context is done; after it the sampler abstains. A sampler without Shutdown starts no goroutine",
		shutsDown,
	},
}

func interfaces(s *suite) {
	sampler := s.sampler()
	_, isStart := sampler.(sampling.StartSampler)
	_, isEnd := sampler.(sampling.EndSampler)
	_, isSegment := sampler.(sampling.SegmentSampler)
	if !isStart && !isEnd && !isSegment {
		s.violated("%T is none of StartSampler, EndSampler and SegmentSampler", sampler)
	}
}

func sameTraits(s *suite) {
	a, b := s.sampler(), s.sampler()
	traits := a.Traits()
	text := traits.Description
	if text == "" || strings.TrimSpace(text) != text || strings.ContainsFunc(text, unicode.IsControl) {
		s.violated("Description is %q", text)
	}
	for i, q := range s.questions(a) {
		q.ask(a, variation{id: traceID(i)})
	}
	if now := a.Traits(); !reflect.DeepEqual(now, traits) {
		s.violated("Traits were %+v and are %+v after a few questions", traits, now)
	}
	if other := b.Traits(); !reflect.DeepEqual(other, traits) {
		s.violated("Traits are %+v, but %+v for a second sampler with the same settings", traits, other)
	}
	if traits.LongestWait > 0 && traits.LongestWaitPath == "" {
		s.violated("LongestWait is %v, and LongestWaitPath does not tell which key set it", traits.LongestWait)
	}
}

func legalAnswers(s *suite) {
	sampler := s.sampler()
	traits := sampler.Traits()
	for i, q := range s.questions(sampler) {
		r := q.ask(sampler, variation{id: traceID(i)})
		if r.panic != nil {
			s.violated("%v panicked: %v", q, r.panic)
			continue
		}
		t, hasThreshold := r.answer.Threshold()
		if hasThreshold && t > sampling.Never && t != sampling.Unknown {
			s.violated("%v: the threshold of the answer is %#x, above sampling.Never", q, uint64(t))
		}
		kind := kind(r.answer)
		start, isStart := q.(startQuestion)
		end, isEnd := q.(endQuestion)
		_, isSegment := q.(segmentQuestion)
		switch {
		case traits.AlwaysAnswers && r.answer.IsAbstain() && (isStart || isEnd && end.parameters.LocalRoot):
			s.violated("%v: abstains, although its Traits say AlwaysAnswers", q)
		case isStart && !traits.MayDrop && r.answer.IsDrop():
			s.violated("%v: drops, although its Traits do not say MayDrop", q)
		case isSegment && traits.NeverRaises && r.answer.IsAtMost():
			s.violated("%v: the answer is %v, although its Traits say NeverRaises", q, r.answer)
		case isStart && r.answer.IsByParent() && !start.RemoteParent:
			s.violated("%v: the answer is %v, although it is told of no remote parent", q, r.answer)
		case !isStart && len(r.answer.Attributes()) > 0:
			s.violated("%v: the answer has attributes, which only a StartSampler's can have", q)
		case (isStart || isEnd) && r.answer.IsAtMost(),
			!isStart && (r.answer.IsDrop() || r.answer.IsByParent()),
			!isStart && (kind == sampling.Selected().String() || kind == sampling.Unselected().String()):
			s.violated("%v: the answer is %v", q, r.answer)
		}
	}
}

func ignoresTraceID(s *suite) {
	s.sameAnswers(manyIDs, "with another trace ID", func(i int) variation { return variation{id: traceID(i)} })
}

func dependsOnKeysOnly(s *suite) {
	traits := s.sampler().Traits()
	if !traits.Keyed {
		return
	}
	s.sameAnswers(100, "with other attributes, links and baggage that are none of its keys", func(i int) variation {
		return variation{id: traceID(0), noise: i + 1}
	})
}

func changesNothing(s *suite) {
	sampler := s.sampler()
	for _, q := range s.questions(sampler) {
		if r := q.ask(sampler, variation{id: traceID(0)}); r.changed != "" {
			s.violated("%v changed %s", q, r.changed)
		}
	}
	s.sameAnswers(100, "when the parameters of earlier calls are overwritten", func(int) variation {
		return variation{id: traceID(0), overwrite: true}
	})
}

// sameAnswers asks every question n times, two samplers plainly and a third one
// with a variation, and expects the same answers of all. How far the first two are
// from each other is what time does to the answers.
func (s *suite) sameAnswers(n int, what string, vary func(i int) variation) {
	s.Helper()
	plain, varied, control := s.sampler(), s.sampler(), s.sampler()
	plainly := variation{id: traceID(0)}
	var drift, worst float64
	var report string
	for _, q := range s.questions(plain) {
		for i := range n {
			a, b, c := q.ask(plain, plainly), q.ask(varied, vary(i)), q.ask(control, plainly)
			drift = max(drift, distance(a.answer, c.answer))
			if d := distance(a.answer, b.answer); d > worst {
				worst = d
				report = fmt.Sprintf("%v: the answer is %v, but %v %s", q, a.answer, b.answer, what)
			}
		}
	}
	switch {
	case math.IsInf(drift, 1):
		s.Logf("not checked: two samplers that are asked the same do not answer the same")
	case drift > 0 && worst <= 4*drift+0.1: // within what a pause between two calls does
	case worst > 0:
		s.violated("%s", report)
	}
}

func keepsNothing(s *suite) {
	sampler := s.sampler()
	for _, q := range s.questions(sampler) {
		kept := madeFor(q, sampler)
		// What a sync.Pool holds goes at the second collection.
		for range 4 {
			runtime.GC()
		}
		for _, what := range kept {
			if name, ok := what(); ok {
				s.violated("%v: the sampler still holds the %s of the call", q, name)
				return
			}
		}
	}
	runtime.KeepAlive(sampler)
}

// madeFor asks and returns a function for each thing that the parameters point
// to, which names it if it is still held by anyone.
//
//go:noinline
func madeFor(q question, sampler sampling.Sampler) (held []func() (string, bool)) {
	q.ask(sampler, variation{id: traceID(0), made: func(things ...any) {
		for _, thing := range things {
			switch p := thing.(type) {
			case *struct{ s string }:
				held = append(held, holds(p, "ParentContext"))
			case *attribute.KeyValue:
				held = append(held, holds(p, "attributes"))
			case *trace.Link:
				held = append(held, holds(p, "links"))
			case *sdktrace.Event:
				held = append(held, holds(p, "events"))
			case *sdktrace.ReadOnlySpan:
				held = append(held, holds(p, "slice of spans"))
			case *sampling.Segment:
				held = append(held, holds(p, "slice of segments"))
			case *sampling.Answer:
				held = append(held, holds(p, "slice of answers"))
			}
		}
	}})
	return held
}

func holds[T any](p *T, name string) func() (string, bool) {
	w := weak.Make(p)
	return func() (string, bool) { return name, w.Value() != nil }
}

func copesWithEmpty(s *suite) {
	sampler := s.sampler()
	try := func(what string, f func()) {
		defer func() {
			if r := recover(); r != nil {
				s.violated("%s panicked: %v", what, r)
			}
		}()
		f()
	}
	if start, ok := sampler.(sampling.StartSampler); ok {
		noSpan := trace.ContextWithSpan(context.Background(), nil)
		canceled, cancel := context.WithCancel(context.Background())
		cancel()
		for what, ctx := range map[string]context.Context{
			"context.Background": context.Background(), "a context with a nil span": noSpan, "a context that is done": canceled,
		} {
			try("SampleStart in "+what, func() { start.SampleStart(sampling.StartParameters{ParentContext: ctx}) })
			try("SampleStart in "+what+" with an empty attribute and link", func() {
				start.SampleStart(sampling.StartParameters{ParentContext: ctx, Attributes: make([]attribute.KeyValue, 1), Links: make([]trace.Link, 1)})
			})
		}
	}
	if segments, ok := sampler.(sampling.SegmentSampler); ok {
		try("SampleSegments of none", func() { segments.SampleSegments(context.Background(), nil, nil) })
		try("SampleSegments of an empty segment", func() {
			segments.SampleSegments(context.Background(), make([]sampling.Segment, 1), make([]sampling.Answer, 1))
		})
	}
	for _, q := range s.questions(sampler) {
		if r := q.ask(sampler, variation{}); r.panic != nil {
			s.violated("%v panicked: %v", q, r.panic)
		}
	}
}

func concurrentUse(s *suite) {
	const goroutines, each = 8, 200
	sampler := s.sampler()
	qs := slices.DeleteFunc(s.questions(sampler), func(q question) bool { _, ok := q.(segmentQuestion); return ok })
	var wg sync.WaitGroup
	if user, ok := sampler.(sampling.RuleUser); ok {
		wg.Go(func() { // one at a time
			for range each {
				user.RulesUsed(func(string, bool) {})
			}
		})
	}
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				_ = sampler.Traits()
				if len(qs) == 0 {
					continue
				}
				q := qs[(g+i)%len(qs)]
				if r := q.ask(sampler, variation{id: traceID(g*each + i)}); r.panic != nil {
					s.violated("%v panicked when called concurrently: %v", q, r.panic)
					return
				}
			}
		})
	}
	wg.Wait()
}

func answersAtOnce(s *suite) {
	sampler := s.sampler()
	for _, q := range s.questions(sampler) {
		if _, ok := q.(segmentQuestion); ok {
			continue
		}
		took := make([]time.Duration, 21)
		for i := range took {
			begin := time.Now()
			q.ask(sampler, variation{id: traceID(i)})
			took[i] = time.Since(begin)
		}
		slices.Sort(took)
		if median := took[len(took)/2]; median > time.Millisecond {
			s.violated("%v takes %v", q, median)
			return
		}
	}
}

func returnsWhenDone(s *suite) {
	sampler, ok := s.sampler().(sampling.SegmentSampler)
	if !ok {
		return
	}
	var batch []sampling.Segment
	for i := range 1000 {
		segment, _ := segments()[i%len(segments())].segment(traceID(i))
		batch = append(batch, segment)
	}
	for what, after := range map[string]time.Duration{"before the call": 0, "during the call": 10 * time.Millisecond} {
		ctx, cancel := context.WithCancel(context.Background())
		if after == 0 {
			cancel()
		} else {
			time.AfterFunc(after, cancel)
		}
		done := make(chan any, 1)
		go func() {
			defer func() { done <- recover() }()
			sampler.SampleSegments(ctx, batch, make([]sampling.Answer, len(batch)))
		}()
		select {
		case r := <-done:
			if r != nil {
				s.violated("SampleSegments, its context done %s, panicked: %v", what, r)
			}
		case <-time.After(maxWait):
			s.violated("SampleSegments has not returned %v after its context was done %s", maxWait, what)
		}
		cancel()
	}
}

func shutsDown(s *suite) {
	before := goroutines()
	for _, asked := range []bool{false, true} {
		sampler := s.newSampler(s.TB)
		qs := s.questions(sampler)
		if asked {
			for i, q := range qs {
				q.ask(sampler, variation{id: traceID(i)})
			}
		}
		sd, ok := sampler.(component.Shutdowner)
		if !ok {
			continue
		}
		if !s.shutDown(context.Background(), sd, "Shutdown") {
			return
		}
		done, cancel := context.WithCancel(context.Background())
		cancel()
		if !s.shutDown(done, sd, "a second Shutdown, with a context that is done,") {
			return
		}
		for i, q := range qs {
			r := q.ask(sampler, variation{id: traceID(i)})
			if r.panic != nil {
				s.violated("%v after Shutdown panicked: %v", q, r.panic)
				break
			}
			if !r.answer.IsAbstain() {
				s.violated("%v after Shutdown: the answer is %v", q, r.answer)
				break
			}
		}
	}
	var left string
	for deadline := time.Now().Add(maxWait); ; time.Sleep(time.Millisecond) {
		left = ""
		for id, stack := range goroutines() {
			if _, ok := before[id]; !ok {
				left = stack
			}
		}
		if left == "" {
			return
		}
		if time.Now().After(deadline) {
			s.violated("a goroutine is left:\n%s", left)
			return
		}
	}
}

// shutDown reports whether Shutdown returns, without an error as long as ctx is
// not done.
func (s *suite) shutDown(ctx context.Context, sd component.Shutdowner, what string) bool {
	s.Helper()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("panic: %v", r)
			}
		}()
		err := sd.Shutdown(ctx)
		if ctx.Err() != nil {
			err = nil
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			s.violated("%s: %v", what, err)
		}
		return err == nil
	case <-time.After(maxWait):
		s.violated("%s has not returned after %v", what, maxWait)
		return false
	}
}

// goroutines are the stacks of all goroutines but this one, by their number.
func goroutines() map[string]string {
	buf := make([]byte, 1<<16)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	all := map[string]string{}
	for _, stack := range strings.Split(string(buf), "\n\n")[1:] {
		id, _, _ := strings.Cut(stack, " [")
		all[id] = stack
	}
	return all
}

// Interface guards: the questions cover what can be asked.
var _ = []question{startQuestion{}, endQuestion{}, segmentQuestion{}}
