package record

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

func TestChildAfterItsParent(t *testing.T) {
	r := newRecorder(t, Config{IDGenerator: fixedRandomness(half)}, onError, startAt(half))
	ctx, root := r.tracer.Start(context.Background(), "root")
	parentCtx, parent := r.tracer.Start(ctx, "parent")
	parent.End()
	child := r.start(parentCtx, "child")
	root.End()
	r.checkDelivered(t)
	child.End()
	r.checkDelivered(t, "parent", "root", "child")
	if got, want := r.span(t, "child").Parent(), parent.SpanContext(); !got.Equal(want) {
		t.Errorf("the parent is %v, want %v", got, want)
	}
	if n := r.span(t, "parent").ChildSpanCount(); n != 0 {
		t.Errorf("the parent counts %d children that started after its end", n)
	}
}

// A goroutine that outlives its root opens the segment again. What ends then waits
// until it is complete again, and is decided like the rest.
func TestGoroutineOutlivesItsRoot(t *testing.T) {
	for _, test := range []struct {
		name       string
		randomness uint64
		fails      bool
		want       []string
		threshold  sampling.Threshold
	}{
		{"kept", half, false, []string{"root", "first", "second"}, half},
		{"kept, and it fails", half, true, []string{"root", "first", "second"}, 0},
		{"not kept", half - 1, false, nil, 0},
		{"not kept, and it fails", half - 1, true, []string{"first", "second"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRecorder(t, Config{IDGenerator: fixedRandomness(test.randomness)}, onError, startAt(half))
			ctx, root := r.tracer.Start(context.Background(), "root")
			root.End()
			r.checkEmpty(t)

			ctx, first := r.tracer.Start(ctx, "first")
			second := r.start(ctx, "second")
			if first.SpanContext().TraceID() != root.SpanContext().TraceID() || !first.IsRecording() {
				t.Error("the late span is not recorded in the trace")
			}
			if test.fails {
				fail(first)
			}
			first.End()
			if n := len(r.spans()); n > 1 && !test.fails {
				t.Errorf("%q was delivered while a span is open", r.names())
			}
			second.End()
			r.checkDelivered(t, test.want...)
			r.checkEmpty(t)
			if test.want == nil {
				return
			}
			late := r.span(t, "first")
			if got := thresholdIn(late); got != test.threshold {
				t.Errorf("the late span has threshold %v, want %v", got, test.threshold)
			}
			forgotten, _ := valueOf(late.Attributes(), sampling.SpansForgottenKey)
			if want := int64(3 - len(test.want)); forgotten.AsInt64() != want {
				t.Errorf("it tells of %d forgotten spans, want %d", forgotten.AsInt64(), want)
			}
		})
	}
}

// A bare SpanContext in the context hides the span that made it.
func TestHiddenByASpanContext(t *testing.T) {
	r := newRecorder(t, Config{IDGenerator: fixedRandomness(half - 1)}, onError, startAt(half))
	ctx, root := r.tracer.Start(context.Background(), "root")

	inside := r.start(trace.ContextWithSpanContext(ctx, root.SpanContext()), "inside").(*span)
	if inside.segment != root.(*span).segment {
		t.Error("with a span of ours in the context the child is not in its segment")
	}
	if got, want := inside.Parent(), root.SpanContext(); !got.Equal(want) {
		t.Errorf("the parent is %v, want %v", got, want)
	}
	outside := r.start(withParent(root.SpanContext()), "outside").(*span)
	if outside.segment == root.(*span).segment {
		t.Error("without a span of ours in the context the child is in a segment of it")
	}
	if !outside.IsRecording() || outside.SpanContext().IsSampled() || outside.SpanContext().TraceID() != root.SpanContext().TraceID() {
		t.Errorf("it is %v, want it watched in the same trace", outside.SpanContext())
	}
	other := remoteParent(t, 0, "").WithRemote(false)
	if s := r.start(trace.ContextWithSpanContext(ctx, other), "other").(*span); s.segment == root.(*span).segment || s.segment.traceID != other.TraceID() {
		t.Error("below a context of another trace the child is not in a segment of that")
	} else {
		s.End()
	}
	inside.End()
	fail(outside).End()
	r.checkDelivered(t, "outside")
	root.End()
	// The error of the other segment reaches this one.
	r.checkDelivered(t, "outside", "inside", "root")
}

func TestNewRootInsideASegment(t *testing.T) {
	r := newRecorder(t, Config{}, onError, selectNone)
	ctx, root := r.tracer.Start(context.Background(), "root")
	ctx, inner := r.tracer.Start(ctx, "inner", trace.WithNewRoot())
	below := r.start(ctx, "below")
	if inner.SpanContext().TraceID() == root.SpanContext().TraceID() || inner.(*span).Parent().IsValid() {
		t.Error("the new root continues the trace")
	}
	if n := root.(*span).ChildSpanCount(); n != 1 {
		t.Errorf("%d children are counted, want 1: the SDK counts new roots", n)
	}
	fail(root).End()
	r.checkDelivered(t, "root")
	inner.End()
	below.End()
	r.checkDelivered(t, "root")
}

// lightDecorator is what applications make of a span.
type lightDecorator struct{ trace.Span }

func TestDecoratedSpan(t *testing.T) {
	r := newRecorder(t, Config{}, onError, selectNone)
	ctx, root := r.tracer.Start(context.Background(), "root")
	ctx = trace.ContextWithSpan(ctx, lightDecorator{root})
	ctx, child := r.tracer.Start(ctx, "child")
	ctx = trace.ContextWithSpan(ctx, lightDecorator{lightDecorator{child}})
	grandchild := r.start(ctx, "grandchild")
	if g := root.(*span).segment; child.(*span).segment != g || grandchild.(*span).segment != g {
		t.Error("what is below a decorated span is not in its segment")
	}
	fail(grandchild).End()
	child.End()
	root.End()
	r.checkDelivered(t, "grandchild", "child", "root")
	for _, s := range []struct{ child, parent string }{{"grandchild", "child"}, {"child", "root"}} {
		if got, want := r.span(t, s.child).Parent().SpanID(), r.span(t, s.parent).SpanContext().SpanID(); got != want {
			t.Errorf("the parent of %s is %v, want %v", s.child, got, want)
		}
	}
}

// Spans of others between two of ours belong to others; ours stay in one segment.
func TestSpanOfAnotherProviderBetween(t *testing.T) {
	stock := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()))
	second := newRecorder(t, Config{}, onError, selectNone)
	for name, other := range map[string]trace.Tracer{"SDK": stock.Tracer(""), "riffle": second.tracer} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder(t, Config{}, onError, selectNone)
			ctx, root := r.tracer.Start(context.Background(), "root")
			ctx, between := other.Start(ctx, "between")
			ctx, below := r.tracer.Start(ctx, "below")
			if between.SpanContext().TraceID() != root.SpanContext().TraceID() {
				t.Fatal("the other provider has begun a trace")
			}
			if below.(*span).segment != root.(*span).segment {
				t.Error("the span below is in a segment of its own")
			}
			if got, want := below.(*span).Parent(), between.SpanContext(); !got.Equal(want) {
				t.Errorf("the parent is %v, want %v", got, want)
			}
			fail(r.start(ctx, "leaf")).End()
			below.End()
			between.End()
			root.End()
			r.checkDelivered(t, "leaf", "below", "root")
		})
	}
	second.checkDelivered(t)
}

// Of a span that another provider started in a trace of its own ours is the local
// root of a segment.
func TestTraceOfAnotherProviderBetween(t *testing.T) {
	stock := sdktrace.NewTracerProvider().Tracer("")
	r := newRecorder(t, Config{}, onError, selectNone)
	ctx, root := r.tracer.Start(context.Background(), "root")
	ctx, between := stock.Start(ctx, "between", trace.WithNewRoot())
	r.start(ctx, "below").End()
	between.End()
	r.checkDelivered(t, "below") // the SDK has sampled it
	if got, want := r.span(t, "below").SpanContext().TraceID(), between.SpanContext().TraceID(); got != want {
		t.Errorf("it is in trace %v, want %v", got, want)
	}
	root.End()
	r.checkDelivered(t, "below")
}

// Two providers in a process decide each for itself.
func TestTwoProviders(t *testing.T) {
	a := newRecorder(t, Config{}, onError, selectNone)
	b := newRecorder(t, Config{}, onError, selectNone)
	ctx, rootA := a.tracer.Start(context.Background(), "a")
	ctx, rootB := b.tracer.Start(ctx, "b")
	ctx, belowA := a.tracer.Start(ctx, "below a")
	belowB := b.start(ctx, "below b")
	if belowB.(*span).segment != rootB.(*span).segment || belowA.(*span).segment != rootA.(*span).segment {
		t.Error("a span is not in the segment of its own provider")
	}
	fail(belowB).End()
	belowA.End()
	rootB.End()
	rootA.End()
	a.checkDelivered(t)
	b.checkDelivered(t, "below b", "b")
}

// A job that was started from a copied SpanContext is a segment of the trace. An
// answer reaches it while it is remembered, and a decision to keep that was made at
// the start always.
func TestDetachedJob(t *testing.T) {
	const age = time.Minute
	for _, test := range []struct {
		name  string
		start sampling.Threshold
		fails bool // the request
		after time.Duration
		kept  bool
	}{
		{"selected", half, false, 0, true},
		{"selected, late", half, false, 2 * age, true},
		{"not selected", half + 1, false, 0, false},
		{"not selected, failed", half + 1, true, age / 2, true},
		{"not selected, failed, late", half + 1, true, 2 * age, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRecorder(t, Config{Bounds: Bounds{MemoryAge: age}, IDGenerator: fixedRandomness(half)}, onError, startAt(test.start))
				request := r.start(context.Background(), "request")
				if test.fails {
					fail(request)
				}
				request.End()
				time.Sleep(test.after)
				ctx, job := r.tracer.Start(withParent(request.SpanContext()), "job")
				r.start(ctx, "step").End()
				job.End()
				if got := slices.Contains(r.names(), "job"); got != test.kept {
					t.Errorf("the job is kept: %t, want %t", got, test.kept)
				} else if got {
					want := test.start
					if test.fails {
						want = sampling.Always
					}
					if got := thresholdIn(r.span(t, "step")); got != want {
						t.Errorf("it is kept with threshold %v, want %v", got, want)
					}
					if _, n := valueOf(r.span(t, "job").Attributes(), sampling.ParentMissingKey); n > 0 {
						t.Error("a parent of this process is said to be missing")
					}
				}
				ctx, late := r.tracer.Start(withParent(request.SpanContext()), "late")
				fail(r.start(ctx, "failed")).End()
				late.End()
				r.span(t, "late")
			})
		})
	}
}
