package core_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/discard"
	"github.com/riffletrace/riffle/samplers/spans"
)

// What follows are histories in which a recorder that knows traces by their ID
// alone gave wrong counts, or lost what it promises to keep.

// scale weighs what is kept, by name.
type scale struct {
	sum, variance map[string]float64
	spans         map[string]int
}

func newScale(p *core.Provider) *scale {
	w := &scale{sum: map[string]float64{}, variance: map[string]float64{}, spans: map[string]int{}}
	p.OnKept(func(k record.Kept) {
		for _, s := range k.Spans {
			c := sampling.ThresholdOf(s.SpanContext()).AdjustedCount()
			w.sum[s.Name()] += c
			w.variance[s.Name()] += c * (c - 1)
			w.spans[s.Name()]++
		}
	})
	return w
}

// weighs compares a sum of weights with the truth.
func (w *scale) weighs(t *testing.T, name string, truth float64) {
	t.Helper()
	sigma := math.Sqrt(w.variance[name])
	if math.Abs(w.sum[name]-truth) > 4*sigma {
		t.Errorf("%s: weighted %.0f +- %.0f, truth %.0f", name, w.sum[name], sigma, truth)
	}
}

// caller is a service that samples at a ratio and calls this one.
type caller struct {
	r *rand.Rand
	t sampling.Threshold
}

// trace returns the context of a call in a new trace, without a tracestate if the
// caller has not selected it.
func (c *caller) trace() context.Context {
	var id trace.TraceID
	for i := range id {
		id[i] = byte(c.r.Uint32())
	}
	config := trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}, Remote: true}
	if c.t.Selects(lowBits(id)) {
		config.TraceFlags = trace.FlagsSampled
		config.TraceState = sampling.WithThreshold(trace.TraceState{}, c.t)
	}
	return trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(config))
}

func serve(ctx context.Context, tracer trace.Tracer, queries int, fails bool) {
	ctx, root := tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer))
	for range queries {
		_, query := tracer.Start(ctx, "query")
		query.End()
	}
	if fails {
		root.SetStatus(codes.Error, "no")
	}
	root.End()
}

func TestServiceThatIsCalledTwice(t *testing.T) {
	for _, tt := range []struct {
		rate   float64
		calls  int
		traces int
	}{{0.1, 2, 20_000}, {0.01, 5, 5_000}} {
		threshold, _ := sampling.ThresholdFromProbability(tt.rate)
		p := newProvider(t, core.Spec{Samplers: []core.SamplerEntry{use("error", keepsErrors{}), baseline(tt.rate)}})
		w := newScale(p)
		c := caller{rand.New(rand.NewPCG(1, 2)), threshold}
		tracer := p.TracerProvider().Tracer("")
		for range tt.traces {
			ctx := c.trace()
			for call := range tt.calls {
				serve(ctx, tracer, 3, call == 1)
			}
		}
		w.weighs(t, "query", float64(3*tt.calls*tt.traces))
		w.weighs(t, "request", float64(tt.calls*tt.traces))
		if failed := tt.traces; w.spans["request"] < failed*(tt.calls-1) {
			t.Errorf("%d requests are kept: want those that fail, and those that follow them, %d", w.spans["request"], failed*(tt.calls-1))
		}
	}
}

func TestCountingSamplerOnTheThirdRequest(t *testing.T) {
	entry := core.UseSampler(spans.Factory, "", spans.Config{Min: 5})
	entry.Sample = "0.3"
	p := newProvider(t, core.Spec{Samplers: []core.SamplerEntry{entry, baseline(0.1)}})
	w := newScale(p)
	threshold, _ := sampling.ThresholdFromProbability(0.1)
	c := caller{rand.New(rand.NewPCG(3, 4)), threshold}
	tracer := p.TracerProvider().Tracer("")
	const traces = 40_000
	for range traces {
		ctx := c.trace()
		for i, queries := range []int{1, 1, 6} {
			ctx, root := tracer.Start(ctx, fmt.Sprintf("request %d", i+1))
			for range queries {
				_, query := tracer.Start(ctx, "query")
				query.End()
			}
			root.End()
		}
	}
	for i := range 3 {
		w.weighs(t, fmt.Sprintf("request %d", i+1), traces)
	}
	w.weighs(t, "query", 8*traces)
}

// Jobs that are started with a copied SpanContext, long after their request.
func TestDetachedJobsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(t, core.Spec{Samplers: []core.SamplerEntry{use("error", keepsErrors{}), baseline(0.1)}})
		w := newScale(p)
		tracer := p.TracerProvider().Tracer("")
		const jobs = 5000
		contexts := make([]trace.SpanContext, jobs)
		for i := range contexts {
			_, root := tracer.Start(t.Context(), "request")
			contexts[i] = root.SpanContext()
			root.End()
		}
		time.Sleep(2 * time.Minute)
		for _, sc := range contexts {
			ctx, job := tracer.Start(trace.ContextWithSpanContext(context.Background(), sc), "job")
			_, query := tracer.Start(ctx, "query of the job")
			query.End()
			fail(job)
		}
		for _, name := range []string{"job", "query of the job"} {
			if w.spans[name] != jobs || w.sum[name] != jobs {
				t.Errorf("%s: %d of %d kept, weighing %.0f", name, w.spans[name], jobs, w.sum[name])
			}
		}
		w.weighs(t, "request", jobs)
		_ = p.Shutdown(context.Background())
	})
}

// fill makes memory short with segments that stay open, and returns their roots.
func fill(tracer trace.Tracer, n int) (roots []trace.Span) {
	payload := attribute.String("payload", strings.Repeat("x", 8<<10))
	for range n {
		ctx, root := tracer.Start(context.Background(), "open")
		_, child := tracer.Start(ctx, "big", trace.WithAttributes(payload))
		child.End()
		roots = append(roots, root)
	}
	synctest.Wait() // room is made
	return roots
}

func end(roots []trace.Span) {
	for _, s := range roots {
		s.End()
	}
	time.Sleep(time.Minute) // the pressure falls
}

// Pressure that falls between two requests of a trace.
func TestPressureBetweenTwoRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(t, core.Spec{MaxBytes: 1 << 20, Samplers: []core.SamplerEntry{use("error", keepsErrors{}), baseline(0)}},
			core.Logger(slog.New(slog.DiscardHandler)))
		w := newScale(p)
		tracer := p.TracerProvider().Tracer("")
		c := caller{rand.New(rand.NewPCG(5, 6)), sampling.Never}
		const episodes, traces = 20, 100
		for range episodes {
			roots := fill(tracer, 300)
			contexts := make([]context.Context, traces)
			for i := range contexts {
				contexts[i] = c.trace() //nolint:fatcontext // each stands alone
				ctx, root := tracer.Start(contexts[i], "first")
				_, query := tracer.Start(ctx, "query")
				query.End()
				fail(root)
			}
			end(roots)
			for _, ctx := range contexts {
				_, root := tracer.Start(ctx, "second")
				fail(root)
			}
		}
		if s := p.Stats(); s.UnderPressure == 0 || s.Probability != 1 {
			t.Errorf("stats = %+v: want pressure that comes and goes", s)
		}
		w.weighs(t, "first", episodes*traces)
		w.weighs(t, "query", episodes*traces)
		w.weighs(t, "second", episodes*traces)
		_ = p.Shutdown(context.Background())
	})
}

// When a storm is over, every error is kept again.
func TestAfterAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(t, core.Spec{MaxBytes: 1 << 20, Samplers: []core.SamplerEntry{use("error", keepsErrors{}), baseline(0)}},
			core.Logger(slog.New(slog.DiscardHandler)))
		w := newScale(p)
		tracer := p.TracerProvider().Tracer("")
		var roots []trace.Span
		for range 10 {
			roots = append(roots, fill(tracer, 1000)...)
		}
		end(roots)
		const errors = 400
		c := caller{rand.New(rand.NewPCG(7, 8)), sampling.Never}
		for range errors {
			serve(c.trace(), tracer, 1, true)
		}
		if w.spans["request"] != errors || w.sum["request"] != errors {
			t.Errorf("%d of %d errors kept, weighing %.0f", w.spans["request"], errors, w.sum["request"])
		}
		_ = p.Shutdown(context.Background())
	})
}

// What is discarded of a trace is one segment of it.
func TestDiscardedRequestTakesNoOther(t *testing.T) {
	entry := core.UseSampler(discard.Factory, "", discard.Config{})
	entry.Match = &match.Config{Attributes: map[string]any{"http.response.status_code": 404}}
	p := newProvider(t, core.Spec{Samplers: []core.SamplerEntry{entry, use("error", keepsErrors{}), baseline(1)}})
	w := newScale(p)
	tracer := p.TracerProvider().Tracer("")
	c := caller{rand.New(rand.NewPCG(9, 10)), sampling.Always}
	ctx := c.trace()
	for _, status := range []int{404, 500, 404, 200} {
		_, root := tracer.Start(ctx, fmt.Sprint(status))
		root.SetAttributes(attribute.Int("http.response.status_code", status))
		if status == 500 {
			root.SetStatus(codes.Error, "")
		}
		root.End()
		if err := p.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if w.spans["404"] != 0 || w.spans["500"] != 1 || w.spans["200"] != 1 {
		t.Errorf("kept: %v, want the 500 and the 200", w.spans)
	}
}

// Under ignore and restart, no request of a client speaks for another.
func TestErrorBelowAClientsTraceID(t *testing.T) {
	for _, mode := range []record.RemoteParent{record.Ignore, record.Restart} {
		p := newProvider(t, core.Spec{RemoteParent: mode, Samplers: []core.SamplerEntry{use("error", keepsErrors{}), baseline(0)}})
		w := newScale(p)
		tracer := p.TracerProvider().Tracer("")
		ctx := remoteContext(t, "0af7651916cd43dd8448eb211c80319c", "ot=th:0;rv:ffffffffffffff", true)
		serve(ctx, tracer, 1, true)
		for range 10_000 {
			serve(ctx, tracer, 1, false)
		}
		if w.spans["request"] != 1 || w.spans["query"] != 1 {
			t.Errorf("%s: kept %v, want the one request that failed", mode, w.spans)
		}
	}
}

// Of 20,000 spans the last fails: what is still held arrives, and the rest is
// counted.
func TestManySpansOfWhichTheLastFails(t *testing.T) {
	b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{use("error", keepsErrors{}), baseline(0)}})
	var arrived []sdktrace.ReadOnlySpan
	b.provider.OnKept(func(k record.Kept) { arrived = append(arrived, k.Spans...) })
	ctx, root := b.tracer.Start(t.Context(), "root")
	const n = 20_000
	for i := range n {
		_, s := b.tracer.Start(ctx, "query", trace.WithAttributes(attribute.Int("i", i), attribute.String("db.query.text", strings.Repeat("x", 200))))
		if i == n-1 {
			s.SetStatus(codes.Error, "no")
		}
		s.End()
	}
	root.End()
	s := b.provider.Stats()
	if len(arrived) < 5000 || uint64(len(arrived)) != s.SpansKept || s.SpansKept+s.SpansNotKept != n+1 {
		t.Errorf("%d spans arrived: %+v", len(arrived), s)
	}
	for _, span := range arrived {
		if span.Name() == "root" && attr(span, sampling.SpansForgottenKey).AsInt64() != int64(s.SpansNotKept) {
			t.Errorf("the root says %v, want %d forgotten", span.Attributes(), s.SpansNotKept)
		}
	}
}

// A span that somebody decorates has its children in its segment.
func TestChildOfADecoratedSpan(t *testing.T) {
	b := newBench(t, core.Spec{})
	ctx, root := b.tracer.Start(t.Context(), "root")
	ctx = trace.ContextWithSpan(ctx, struct{ trace.Span }{root})
	_, child := b.tracer.Start(ctx, "child")
	fail(child)
	root.End()
	got := b.wantNames("root", "child")
	if got["child"].Parent().SpanID() != root.SpanContext().SpanID() {
		t.Error("the child has another parent")
	}
}

// A root keeps the tracestate that it starts with, and the randomness in it.
func TestRootsOwnTraceState(t *testing.T) {
	p := newProvider(t, core.Spec{Samplers: []core.SamplerEntry{use("s", &answering{answer: sampling.At(half)})}})
	for rv, sampled := range map[string]bool{"ffffffffffffff": true, "00000000000000": false} {
		state, err := trace.ParseTraceState("ot=rv:" + rv + ",v=1")
		if err != nil {
			t.Fatal(err)
		}
		ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceState: state}))
		_, root := p.TracerProvider().Tracer("").Start(ctx, "root")
		got := root.SpanContext()
		if got.IsSampled() != sampled || got.TraceState().Get("v") != "1" || sampling.Randomness(got) != sampling.Randomness(trace.NewSpanContext(trace.SpanContextConfig{TraceState: state})) {
			t.Errorf("rv %s: sampled = %v with %q", rv, got.IsSampled(), got.TraceState())
		}
	}
}
