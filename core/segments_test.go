package core_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/ratio"
)

func TestErrorKeepsTheWholeTrace(t *testing.T) {
	b := newBench(t, core.Spec{})
	ctx, root := b.tracer.Start(t.Context(), "root")
	_, before := b.tracer.Start(ctx, "before")
	before.End()
	_, failing := b.tracer.Start(ctx, "failing")
	failing.SetStatus(codes.Error, "no")
	failing.End()
	_, after := b.tracer.Start(ctx, "after")
	if !after.SpanContext().IsSampled() || after.SpanContext().TraceState().String() != "ot=th:0" {
		t.Errorf("a span started after the error is sampled = %v with %q: services called from it would lose their part",
			after.SpanContext().IsSampled(), after.SpanContext().TraceState())
	}
	after.End()
	root.End()

	// Another trace, without an error.
	ctx, other := b.tracer.Start(t.Context(), "other")
	_, child := b.tracer.Start(ctx, "child")
	child.End()
	other.End()

	got := b.wantNames("root", "before", "failing", "after")
	for name, s := range got {
		if ts := s.SpanContext().TraceState().String(); ts != "ot=th:0" {
			t.Errorf("%s: tracestate = %q, want ot=th:0", name, ts)
		}
	}
	if v := attr(got["root"], sampling.SamplerKey).AsString(); v != "error" {
		t.Errorf("%s = %q, want error", sampling.SamplerKey, v)
	}
	if v := attr(got["root"], sampling.PartialKey); v.AsBool() {
		t.Error("a complete trace is marked partial")
	}
	s := b.provider.Stats()
	if s.Kept["error"] != 1 || s.NotKept != 1 || s.SpansKept != 4 || s.SpansNotKept != 2 || s.Open != 0 {
		t.Errorf("stats = %+v", s)
	}
}

// A span that starts after its parent ended belongs to the trace: IsRecording
// of the parent is false then.
func TestChildOfAnEndedParent(t *testing.T) {
	b := newBench(t, core.Spec{})
	ctx, root := b.tracer.Start(t.Context(), "root")
	root.End() // the trace is complete, and forgotten
	_, late := b.tracer.Start(ctx, "late")
	if !late.IsRecording() {
		t.Fatal("a child of a recorded parent that ended is not recorded")
	}
	late.SetStatus(codes.Error, "no")
	late.End()
	got := b.wantNames("late")
	if !attr(got["late"], sampling.PartialKey).AsBool() || attr(got["late"], sampling.SpansForgottenKey).AsInt64() != 1 {
		t.Errorf("attributes = %v, want partial with one span forgotten", got["late"].Attributes())
	}
}

// ContextWithSpanContext hides the recording span.
func TestHiddenParent(t *testing.T) {
	b := newBench(t, core.Spec{})
	ctx, root := b.tracer.Start(t.Context(), "root")
	hidden := trace.ContextWithSpanContext(context.Background(), trace.SpanContextFromContext(ctx))
	_, child := b.tracer.Start(hidden, "child")
	child.SetStatus(codes.Error, "no")
	child.End()
	root.End()
	b.wantNames("root", "child")
}

func TestNothingBelowADroppedRootIsRecorded(t *testing.T) {
	b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{
		use("drop", &answering{answer: sampling.Drop()}), use("error", keepsErrors{}), core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 1}),
	}})
	ctx, root := b.tracer.Start(t.Context(), "root")
	_, child := b.tracer.Start(ctx, "child")
	for _, s := range []trace.Span{root, child} {
		if s.IsRecording() {
			t.Error("a span of a dropped trace is recorded")
		}
		s.End()
	}
	b.wantNames()
}

// With WithNewRoot, OnStart's context still holds the old parent.
func TestNewRootInsideATrace(t *testing.T) {
	b := newBench(t, core.Spec{})
	ctx, outer := b.tracer.Start(t.Context(), "outer")
	_, inner := b.tracer.Start(ctx, "inner", trace.WithNewRoot())
	inner.SetStatus(codes.Error, "no")
	inner.End()
	outer.End()
	got := b.wantNames("inner")
	if v := attr(got["inner"], sampling.SamplerKey).AsString(); v != "error" {
		t.Errorf("%s = %q: the new root is a local root", sampling.SamplerKey, v)
	}
}

func TestStatusAfterEndChangesNothing(t *testing.T) {
	b := newBench(t, core.Spec{})
	_, root := b.tracer.Start(t.Context(), "root")
	root.End()
	root.SetStatus(codes.Error, "too late")
	root.End()
	b.wantNames()
}

// Requests of one trace are segments, each decided when it is complete. What a
// sampler says of one reaches those that are open, or start within decision_memory.
func TestSeveralSegmentsOfOneTrace(t *testing.T) {
	b := newBench(t, core.Spec{})
	parent := remoteContext(t, "000000000000000000000000000000ff", "", false)
	ctx1, first := b.tracer.Start(parent, "first")
	ctx2, second := b.tracer.Start(parent, "second")
	_, complete := b.tracer.Start(parent, "complete")
	complete.End()
	_, failing := b.tracer.Start(ctx1, "failing")
	fail(failing)
	_, child := b.tracer.Start(ctx2, "child")
	child.End()
	second.End()
	first.End()
	_, third := b.tracer.Start(parent, "third")
	if !third.SpanContext().IsSampled() {
		t.Error("what is called from the third would lose its part, though all of it is kept for certain")
	}
	third.End()
	got := b.wantNames("first", "failing", "second", "child", "third")
	for name, missing := range map[string]bool{"first": true, "second": false, "third": false} {
		if attr(got[name], sampling.ParentMissingKey).AsBool() != missing {
			t.Errorf("%s: %v, want %s = %v", name, got[name].Attributes(), sampling.ParentMissingKey, missing)
		}
		if attr(got[name], sampling.PartialKey).AsBool() {
			t.Errorf("%s is marked partial", name)
		}
	}
}

// A request of 45 s whose query fails at 44 s arrives in full.
func TestRequestOf45Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{use("error", keepsErrors{}), baseline(0)}})
		ctx, root := b.tracer.Start(t.Context(), "root")
		names := []string{"root"}
		for i := range 45 {
			name := fmt.Sprintf("query %d", i)
			_, query := b.tracer.Start(ctx, name)
			time.Sleep(time.Second)
			if i == 43 {
				query.SetStatus(codes.Error, "no")
			}
			query.End()
			names = append(names, name)
		}
		root.End()
		for name, s := range b.wantNames(names...) {
			if attr(s, sampling.PartialKey).AsBool() {
				t.Errorf("%s is marked partial", name)
			}
		}
		_ = b.provider.Shutdown(context.Background())
	})
}

// What has ended of a segment is decided at max_wait, and an error that comes later
// still keeps what is left of it.
func TestErrorAfterMaxWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{use("error", keepsErrors{}), core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0})}})
		ctx, root := b.tracer.Start(t.Context(), "root")
		_, early := b.tracer.Start(ctx, "early")
		early.End()
		time.Sleep(130 * time.Second)
		_, failing := b.tracer.Start(ctx, "failing")
		failing.SetStatus(codes.Error, "no")
		failing.End()
		time.Sleep(5 * time.Minute) // decision_memory passes, but the root is open
		root.End()
		got := b.wantNames("failing", "root")
		for _, name := range []string{"failing", "root"} {
			if !attr(got[name], sampling.PartialKey).AsBool() || attr(got[name], sampling.SpansForgottenKey).AsInt64() != 1 {
				t.Errorf("%s: %v, want partial with one span forgotten", name, got[name].Attributes())
			}
		}
		_ = b.provider.Shutdown(context.Background())
	})
}

func TestShutdownDecidesOpenTraces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := core.New(t.Context(), core.Spec{Enabled: true, Samplers: []core.SamplerEntry{
			use("error", keepsErrors{}), use("slow", keepsSlow{}), core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0}),
		}})
		if err != nil {
			t.Fatal(err)
		}
		tracer := p.TracerProvider().Tracer("test")
		ctx, _ := tracer.Start(t.Context(), "open and slow")
		_, child := tracer.Start(ctx, "child")
		child.End()
		time.Sleep(2 * time.Second)
		ctx, _ = tracer.Start(t.Context(), "open and fast")
		_, other := tracer.Start(ctx, "other")
		other.End()
		done, cancel := context.WithCancel(context.Background())
		cancel()
		if err := p.Shutdown(done); err != nil {
			t.Error(err)
		}
		s := p.Stats()
		if s.Kept["slow"] != 1 || s.SpansKept != 2 || s.SpansNotKept != 2 || s.Open != 0 {
			t.Errorf("stats = %+v, want the slow trace kept and the other forgotten", s)
		}
	})
}

func TestForceFlushDoesNotDecide(t *testing.T) {
	b := newBench(t, core.Spec{})
	ctx, root := b.tracer.Start(t.Context(), "root")
	_, child := b.tracer.Start(ctx, "child")
	child.End()
	b.wantNames()
	root.SetStatus(codes.Error, "no")
	root.End()
	b.wantNames("root", "child")
}

func TestKeep(t *testing.T) {
	b := newBench(t, core.Spec{})
	ctx, root := b.tracer.Start(t.Context(), "root")
	if !b.provider.Keep(root.SpanContext().TraceID(), sampling.Unknown, "support case") {
		t.Error("Keep of an open trace = false")
	}
	_, child := b.tracer.Start(ctx, "child")
	child.End()
	root.End()
	got := b.wantNames("root", "child")
	if v := attr(got["root"], sampling.SamplerKey).AsString(); v != "support case" {
		t.Errorf("%s = %q", sampling.SamplerKey, v)
	}
	if ts := got["root"].SpanContext().TraceState().String(); ts != "" {
		t.Errorf("tracestate = %q, want none: the weight is unknown", ts)
	}
	if b.provider.Keep(trace.TraceID{1}, sampling.Always, "x") {
		t.Error("Keep of a trace that never was = true")
	}
}

func TestPanickingSamplersAbstain(t *testing.T) {
	b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{
		use("bad start", panicking{}), use("error", keepsErrors{}), core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0}),
	}})
	for range 3 {
		_, root := b.tracer.Start(t.Context(), "root")
		root.SetStatus(codes.Error, "no")
		root.End()
	}
	b.wantNames("root")
	s := b.provider.Stats().Samplers[0]
	if s.Suspensions < 1 {
		t.Errorf("%q was suspended %d times", s.Name, s.Suspensions)
	}
}

type panicking struct{}

func (panicking) Traits() sampling.Traits {
	return sampling.Traits{Description: "panics"}
}
func (panicking) SampleStart(sampling.StartParameters) sampling.Answer { panic("start") }
func (panicking) SampleEnd(sampling.EndParameters) sampling.Answer     { panic("end") }

// discardBots is a segment sampler: it discards by name of the root.
type discardBots struct{ asked int }

func (*discardBots) Traits() sampling.Traits {
	return sampling.Traits{Description: "discards bots"}
}

func (d *discardBots) SampleSegments(_ context.Context, traces []sampling.Segment, answers []sampling.Answer) {
	for i, tr := range traces {
		d.asked++
		if tr.Root != nil && tr.Root.Name() == "bot" {
			answers[i] = sampling.AtMost(sampling.Never)
		}
		if tr.Root != nil && tr.Root.Name() == "vip" {
			answers[i] = sampling.At(sampling.Always)
		}
	}
}

func TestSegmentSamplers(t *testing.T) {
	d := &discardBots{}
	b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{
		use("discard", d), use("error", keepsErrors{}), core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0}),
	}})
	for _, name := range []string{"bot", "vip", "person"} {
		ctx, root := b.tracer.Start(t.Context(), name)
		_, child := b.tracer.Start(ctx, name+"'s child")
		child.End()
		if name != "vip" {
			root.SetStatus(codes.Error, "no")
		}
		root.End()
	}
	got := b.wantNames("person", "person's child", "vip", "vip's child")
	if v := attr(got["vip"], sampling.SamplerKey).AsString(); v != "discard" {
		t.Errorf("%s = %q, want discard", sampling.SamplerKey, v)
	}
	if d.asked != 3 {
		t.Errorf("asked about %d traces, want each once", d.asked)
	}
}

// The root may end while a child is being started: the child is never lost.
func TestRootEndsWhileAChildStarts(t *testing.T) {
	b := newBench(t, core.Spec{})
	const n = 500
	for i := range n {
		ctx, root := b.tracer.Start(t.Context(), "root")
		var wg sync.WaitGroup
		wg.Go(func() { root.End() })
		wg.Go(func() {
			_, child := b.tracer.Start(ctx, fmt.Sprintf("child %d", i))
			child.SetStatus(codes.Error, "no")
			child.End()
		})
		wg.Wait()
	}
	got := b.flushed()
	for i := range n {
		if got[fmt.Sprintf("child %d", i)] == nil {
			t.Errorf("the failing child %d did not arrive", i)
		}
	}
	if s := b.provider.Stats(); s.Open != 0 {
		t.Errorf("%d traces are undecided though nothing is open", s.Open)
	}
}

// sleepy takes longer than a sampler may.
type sleepy struct{}

func (sleepy) Traits() sampling.Traits {
	return sampling.Traits{Description: "sleeps"}
}

func (sleepy) SampleStart(sampling.StartParameters) sampling.Answer {
	time.Sleep(2 * time.Millisecond)
	return sampling.At(sampling.Always)
}

func TestSlowSamplersAreSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{use("sleepy", sleepy{}), core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0})}})
		asked := func() bool {
			start := time.Now()
			_, root := b.tracer.Start(t.Context(), "root")
			root.End()
			return time.Since(start) > 0
		}
		n := 0
		for ; asked(); n++ {
			if n > 5000 {
				t.Fatal("a sampler that takes 2 ms is asked again and again")
			}
		}
		if s := b.provider.Stats().Samplers[0]; s.Suspensions != 1 {
			t.Errorf("suspended %d times", s.Suspensions)
		}
		time.Sleep(31 * time.Second)
		if !asked() {
			t.Error("it is not asked again after 30 s")
		}
		_ = b.provider.Shutdown(context.Background())
	})
}

// A client calls twice in one trace, one call after the other. The first is not
// kept; an error keeps all of the second, of which nothing is missing.
func TestSecondRequestOfATrace(t *testing.T) {
	b := newBench(t, core.Spec{})
	parent := remoteContext(t, "000000000000000000000000000000fe", "", false)
	_, first := b.tracer.Start(parent, "first")
	first.End()
	ctx, second := b.tracer.Start(parent, "second")
	_, before := b.tracer.Start(ctx, "before")
	before.End()
	_, failing := b.tracer.Start(ctx, "failing")
	fail(failing)
	second.End()
	for name, s := range b.wantNames("second", "before", "failing") {
		if attr(s, sampling.PartialKey).AsBool() {
			t.Errorf("%s is marked partial", name)
		}
	}
}
