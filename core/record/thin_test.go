package record

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// onEndOf keeps what has a span of that name.
func onEndOf(name string) endFunc {
	return func(p sampling.EndParameters) sampling.Answer {
		if p.Span.Name() == name {
			return sampling.At(sampling.Always)
		}
		return sampling.Abstain()
	}
}

// Of a segment that becomes too large the oldest spans are decided as if it ended
// now. What is held to the end is decided then.
func TestLargeSegmentWhoseLastSpanFails(t *testing.T) {
	const children, bound = 20_000, 256 << 10
	for _, test := range []struct {
		name       string
		randomness uint64
		lost       bool
	}{{"selected", half, false}, {"not selected", half - 1, true}} {
		t.Run(test.name, func(t *testing.T) {
			r := newRecorder(t, Config{IDGenerator: fixedRandomness(test.randomness), Bounds: Bounds{MaxSegmentBytes: bound}}, onError, startAt(half))
			ctx, root := r.tracer.Start(context.Background(), "root")
			var most int64
			for range children {
				r.start(ctx, "child").End()
				most = max(most, r.live.exactly())
			}
			fail(r.start(ctx, "last")).End()
			root.End()
			if most > bound+bound/8 {
				t.Errorf("%d bytes were held, want at most %d", most, bound)
			}
			delivered := len(r.spans())
			forgotten, _ := valueOf(r.span(t, "root").Attributes(), sampling.SpansForgottenKey)
			if delivered+int(forgotten.AsInt64()) != children+2 {
				t.Errorf("%d spans were delivered, %d are said to be forgotten, want %d together", delivered, forgotten.AsInt64(), children+2)
			}
			if lost := forgotten.AsInt64() > 0; lost != test.lost {
				t.Errorf("%d spans were lost, want some: %t", forgotten.AsInt64(), test.lost)
			}
			if held := int64(delivered) * spanBytes; held < bound/2 {
				t.Errorf("%d spans were delivered, fewer than were held", delivered)
			}
			r.span(t, "last")
			for _, s := range r.spans() {
				late := s.Name() == "last" || s.Name() == "root"
				if th := thresholdIn(s); th != sampling.Always && th != half || late && th != sampling.Always {
					t.Fatalf("%s has threshold %v", s.Name(), th)
				}
			}
			if n := r.Stats().Thinned; n == 0 {
				t.Error("nothing was thinned")
			}
		})
	}
}

// The local root, errors and what is above them survive, whatever is between.
func TestThinningSparesErrors(t *testing.T) {
	stock := sdktrace.NewTracerProvider().Tracer("")
	r := newRecorder(t, Config{Bounds: Bounds{MaxSegmentBytes: 64 << 10}}, onEndOf("open"), selectNone)
	ctx, root := r.tracer.Start(context.Background(), "root")
	_, open := r.tracer.Start(ctx, "open")
	a, spanA := r.tracer.Start(ctx, "a")
	b, spanB := r.tracer.Start(a, "b")
	c, spanC := r.tracer.Start(trace.ContextWithSpan(b, lightDecorator{spanB}), "c below a decorated one")
	between, spanBetween := stock.Start(c, "of another provider")
	d, spanD := r.tracer.Start(between, "d below another's")
	e, spanE := r.tracer.Start(trace.ContextWithSpanContext(d, spanD.SpanContext()), "e below a SpanContext")
	fail(r.start(e, "failed")).End()
	r.start(e, "its sibling").End()
	for _, s := range []trace.Span{spanE, spanD, spanBetween, spanC, spanB, spanA} {
		s.End()
	}
	root.End()
	const later = 5_000
	for range later {
		r.start(ctx, "later").End()
	}
	open.End()
	spared := []string{"root", "a", "b", "c below a decorated one", "d below another's", "e below a SpanContext", "failed"}
	for _, name := range append(spared, "open") {
		r.span(t, name)
	}
	names := r.names()
	for _, name := range names {
		if name == "its sibling" {
			t.Error("what is no error and not above one was spared")
		}
	}
	if n := len(names); n > later/2 {
		t.Errorf("%d spans were delivered: nothing was thinned", n)
	}
}

// The local root survives also where nothing has failed.
func TestThinningSparesTheRoot(t *testing.T) {
	r := newRecorder(t, Config{Bounds: Bounds{MaxSegmentBytes: 64 << 10}}, onEndOf("open"), selectNone)
	ctx, root := r.tracer.Start(context.Background(), "root")
	_, open := r.tracer.Start(ctx, "open")
	root.End()
	for range 5_000 {
		r.start(ctx, "later").End()
	}
	open.End()
	r.span(t, "root")
	if r.Stats().Thinned == 0 {
		t.Error("nothing was thinned")
	}
}

// A span that is thinned for its size alone is decided by today's threshold: it is
// delivered if the trace is selected.
func TestThinnedSpansOfASelectedTrace(t *testing.T) {
	r := newRecorder(t, Config{IDGenerator: fixedRandomness(half), Bounds: Bounds{MaxSegmentBytes: 64 << 10}}, onError, startAt(half))
	ctx, root := r.tracer.Start(context.Background(), "root")
	for i := 0; len(r.spans()) == 0; i++ {
		if i == 5_000 {
			t.Fatal("nothing was delivered before the end")
		}
		r.start(ctx, "child").End()
	}
	first := r.delivered[0]
	if !first.Partial || first.Threshold != half {
		t.Errorf("delivered is a part: %t, with threshold %v", first.Partial, first.Threshold)
	}
	for i, s := range first.Spans {
		if th := thresholdIn(s); s.Name() != "child" || th != half {
			t.Errorf("%s is delivered with threshold %v", s.Name(), th)
		}
		if _, n := valueOf(s.Attributes(), sampling.PartialKey); (n == 1) != (i == 0) {
			t.Errorf("span %d says that the segment is open: %t", i, n == 1)
		}
	}
	root.End()
}

// The context of a span says of its own segment whether that is kept and with which
// threshold, whatever a span of others between them says.
func TestThresholdBelowAnotherProvider(t *testing.T) {
	const kept, not = sdktrace.RecordAndSample, sdktrace.Drop
	for _, test := range []struct {
		name           string
		ours           startAt
		theirs         saysThreshold
		flags          trace.TraceFlags
		threshold, end sampling.Threshold
	}{
		{"kept by us alone", half, saysThreshold{not, sampling.Unknown}, trace.FlagsSampled, half, half},
		{"kept by them alone", selectNone, saysThreshold{kept, sampling.Always}, 0, sampling.Unknown, sampling.Always},
		{"kept by both", half, saysThreshold{kept, sampling.Always}, trace.FlagsSampled, half, half},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRecorder(t, Config{IDGenerator: fixedRandomness(half)}, onEndOf("keep"), test.ours)
			others := sdktrace.NewTracerProvider(sdktrace.WithSampler(test.theirs)).Tracer("")
			ctx, root := r.tracer.Start(context.Background(), "root")
			ctx, between := others.Start(ctx, "between")
			ctx, below := r.tracer.Start(ctx, "below")
			for _, s := range []trace.Span{below, r.start(ctx, "child")} {
				if got := s.SpanContext(); got.TraceFlags() != test.flags || sampling.ThresholdIn(got.TraceState()) != test.threshold {
					t.Errorf("the context says %v %v, want %v and threshold %v", got.TraceFlags(), got.TraceState(), test.flags, test.threshold)
				}
				s.End()
			}
			between.End()
			if test.end == sampling.Always {
				r.start(ctx, "keep").End()
				if got := r.start(ctx, "later").SpanContext(); !got.IsSampled() || sampling.ThresholdIn(got.TraceState()) != sampling.Always {
					t.Errorf("the context of a later span says %v %v", got.TraceFlags(), got.TraceState())
				}
			}
			if err := r.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
			root.End()
			if got := thresholdIn(r.span(t, "below")); got != test.end {
				t.Errorf("it is delivered with threshold %v, want %v", got, test.end)
			}
		})
	}
}

// saysThreshold is a sampler of the SDK.
type saysThreshold struct {
	decision  sdktrace.SamplingDecision
	threshold sampling.Threshold
}

func (s saysThreshold) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	state := trace.SpanContextFromContext(p.ParentContext).TraceState()
	return sdktrace.SamplingResult{Decision: s.decision, Tracestate: sampling.WithThreshold(state, s.threshold)}
}

func (saysThreshold) Description() string { return "test" }
