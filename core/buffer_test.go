package core_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// collector is an exporter that keeps what it gets, without copying it into
// stubs.
type collector struct {
	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan
}

func (c *collector) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans = append(c.spans, spans...)
	return nil
}

func (*collector) Shutdown(context.Context) error { return nil }

func (c *collector) byName() map[string]sdktrace.ReadOnlySpan {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := make(map[string]sdktrace.ReadOnlySpan)
	for _, s := range c.spans {
		m[s.Name()] = s
	}
	return m
}

func attr(s sdktrace.ReadOnlySpan, key attribute.Key) attribute.Value {
	for _, kv := range s.Attributes() {
		if kv.Key == key {
			return kv.Value
		}
	}
	return attribute.Value{}
}

// bench is a provider with end samplers and a collector behind it.
type testBench struct {
	t        *testing.T
	provider *core.Provider
	tracer   trace.Tracer
	out      *collector
}

// newBench makes a provider that keeps errors and slow traces and selects
// nothing at the start, unless the spec has samplers of its own.
func newBench(t *testing.T, spec core.Spec, opts ...core.Option) *testBench {
	t.Helper()
	if spec.Samplers == nil {
		spec.Samplers = []core.SamplerEntry{
			use("error", keepsErrors{}), use("slow", keepsSlow{}), core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0}),
		}
	}
	out := &collector{}
	spec.Exporters = []core.ExporterEntry{useExporter("out", out)}
	p := newProvider(t, spec, opts...)
	return &testBench{t: t, provider: p, tracer: p.TracerProvider().Tracer("test"), out: out}
}

// flushed returns what arrived, by name.
func (b *testBench) flushed() map[string]sdktrace.ReadOnlySpan {
	b.t.Helper()
	if err := b.provider.ForceFlush(context.Background()); err != nil {
		b.t.Fatal(err)
	}
	return b.out.byName()
}

func (b *testBench) wantNames(names ...string) map[string]sdktrace.ReadOnlySpan {
	b.t.Helper()
	got := b.flushed()
	for _, n := range names {
		s, ok := got[n]
		if !ok {
			b.t.Errorf("span %q did not arrive", n)
		} else if !s.SpanContext().IsSampled() {
			b.t.Errorf("span %q arrived without the sampled flag", n)
		}
	}
	if len(got) != len(names) {
		b.t.Errorf("%d spans arrived, want %d", len(got), len(names))
	}
	return got
}

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
	s := b.provider.Stats().Segments
	if s.Kept["error"] != 1 || s.Forgotten != 1 || s.SpansKept != 4 || s.SpansForgotten != 2 || s.Undecided != 0 {
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
	_, hidden := b.tracer.Start(trace.ContextWithSpanContext(context.Background(), trace.SpanContextFromContext(ctx)), "hidden")
	for _, s := range []trace.Span{root, child, hidden} {
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

// Two requests of one trace, one after the other: a client may reuse its trace
// ID, or call twice.
func TestSeveralLocalRootsOfOneTrace(t *testing.T) {
	b := newBench(t, core.Spec{})
	parent := remoteContext(t, "000000000000000000000000000000ff", "", false)
	ctx1, first := b.tracer.Start(parent, "first")
	ctx2, second := b.tracer.Start(parent, "second")
	_, child := b.tracer.Start(ctx2, "child")
	child.End()
	second.End()
	_, failing := b.tracer.Start(ctx1, "failing")
	failing.SetStatus(codes.Error, "no")
	failing.End()
	first.End()
	got := b.wantNames("first", "second", "child", "failing")
	for _, name := range []string{"first", "second"} {
		if !attr(got[name], sampling.ParentMissingKey).AsBool() {
			t.Errorf("%s lacks %s", name, sampling.ParentMissingKey)
		}
	}
	_, third := b.tracer.Start(parent, "third")
	third.End()
	b.wantNames("first", "second", "child", "failing", "third")
}

func TestRequestOf45Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, core.Spec{})
		ctx, root := b.tracer.Start(t.Context(), "root")
		names := []string{"root"}
		for i := range 20 {
			name := fmt.Sprintf("child %d", i)
			_, child := b.tracer.Start(ctx, name)
			time.Sleep(2250 * time.Millisecond)
			child.End()
			names = append(names, name)
		}
		root.End()
		got := b.wantNames(names...)
		if !attr(got["root"], sampling.PartialKey).AsBool() || !attr(got["child 0"], sampling.PartialKey).AsBool() {
			t.Error("the local root and the first span handed over are not marked partial")
		}
		if attr(got["child 1"], sampling.PartialKey).AsBool() {
			t.Error("another span is marked partial")
		}
		if v := attr(got["root"], sampling.SpansForgottenKey); v.Type() == attribute.INT64 {
			t.Errorf("spans_forgotten = %d, though none was", v.AsInt64())
		}
		if v := attr(got["root"], sampling.SamplerKey).AsString(); v != "slow" {
			t.Errorf("%s = %q, want slow", sampling.SamplerKey, v)
		}
		_ = b.provider.Shutdown(context.Background())
	})
}

// A fast trace whose root stays open is forgotten at decision_wait, and an
// error that comes later still keeps what is left of it.
func TestErrorAfterTheCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{use("error", keepsErrors{}), core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0})}})
		ctx, root := b.tracer.Start(t.Context(), "root")
		_, early := b.tracer.Start(ctx, "early")
		early.End()
		time.Sleep(40 * time.Second)
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
		s := p.Stats().Segments
		if s.Kept["slow"] != 1 || s.SpansKept != 1 || s.SpansForgotten != 1 || s.Undecided != 0 {
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

// discardBots is a trace sampler: it discards by name of the root.
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

func TestTraceSamplers(t *testing.T) {
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
	if s := b.provider.Stats().Segments; s.Undecided != 0 {
		t.Errorf("%d traces are undecided though nothing is open", s.Undecided)
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

// A client calls twice in one trace, one call after the other. The first was
// forgotten; an error keeps all of the second.
func TestSecondRequestOfAForgottenTrace(t *testing.T) {
	b := newBench(t, core.Spec{})
	parent := remoteContext(t, "000000000000000000000000000000fe", "", false)
	_, first := b.tracer.Start(parent, "first")
	first.End()
	ctx, second := b.tracer.Start(parent, "second")
	_, before := b.tracer.Start(ctx, "before")
	before.End()
	_, failing := b.tracer.Start(ctx, "failing")
	failing.SetStatus(codes.Error, "no")
	failing.End()
	second.End()
	got := b.wantNames("second", "before", "failing")
	for _, name := range []string{"second", "before"} {
		if v := attr(got[name], sampling.SpansForgottenKey).AsInt64(); v != 1 {
			t.Errorf("%s: spans_forgotten = %d, want 1", name, v)
		}
	}
}
