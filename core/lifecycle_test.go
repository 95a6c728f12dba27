package core_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/ratio"
	"github.com/riffletrace/riffle/samplers/slow"
)

func baseline(rate float64) core.SamplerEntry {
	return core.UseSampler(ratio.Factory, "", ratio.Config{Rate: rate})
}

// A trace is never decided before it is decision_wait old: until then, slow
// cannot tell.
func TestSlowJustBelowDecisionWait(t *testing.T) {
	for _, late := range []time.Duration{0, 1, 50 * time.Millisecond, 99 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{
				core.UseSampler(slow.Factory, "", slow.Config{Threshold: component.Duration(30*time.Second - 1), Spans: slow.LocalRoot}), baseline(0),
			}})
			time.Sleep(late)
			ctx, root := b.tracer.Start(t.Context(), "root")
			_, child := b.tracer.Start(ctx, "child")
			child.End()
			time.Sleep(35 * time.Second)
			root.End()
			b.wantNames("root", "child")
			_ = b.provider.Shutdown(context.Background())
		})
	}
}

// stuck is a trace sampler that does not answer until it is released; if
// patient, it obeys its context.
type stuck struct {
	patient bool
	release chan struct{}
	asked   atomic.Int64
}

func (*stuck) Traits() sampling.Traits {
	return sampling.Traits{Description: "stuck"}
}

func (s *stuck) SampleSegments(ctx context.Context, traces []sampling.Segment, _ []sampling.Answer) {
	s.asked.Add(int64(len(traces)))
	if !s.patient {
		<-s.release
		return
	}
	select {
	case <-s.release:
	case <-ctx.Done():
	}
}

// Traces that wait for a slow trace sampler are inside the memory bound.
func TestMemoryBeforeASlowTraceSampler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const maxBytes = 4 << 20
		s := &stuck{patient: true, release: make(chan struct{})}
		p := newProvider(t, core.Spec{
			MaxBytes: maxBytes, Samplers: []core.SamplerEntry{use("stuck", s), use("error", keepsErrors{}), baseline(1)},
		})
		var kept atomic.Int64
		p.OnKept(func(k record.Kept) { kept.Add(int64(len(k.Spans))) })
		tracer := p.TracerProvider().Tracer("")
		var highest int64
		const traces = 20_000 // 20 KB each, all selected
		for range traces {
			_, root := tracer.Start(t.Context(), "root")
			root.SetAttributes(attribute.String("payload", strings.Repeat("x", 20_000)))
			root.End()
			synctest.Wait()
			highest = max(highest, p.Stats().HeldBytes)
		}
		if highest > maxBytes*5/4 {
			t.Errorf("the buffer held %d bytes, its bound is %d", highest, maxBytes)
		}
		close(s.release)
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if kept.Load() != traces {
			t.Errorf("%d of %d selected traces were kept", kept.Load(), traces)
		}
	})
}

// ForceFlush waits for the traces that were complete when it was called, not for
// those that others complete meanwhile.
func TestForceFlushEnds(t *testing.T) {
	b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{use("judge", &discardBots{}), baseline(1)}})
	ctx, open := b.tracer.Start(t.Context(), "open")
	_, child := b.tracer.Start(ctx, "child")
	child.End()
	_, before := b.tracer.Start(t.Context(), "before")
	before.End()
	done := make(chan struct{})
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				_, s := b.tracer.Start(context.Background(), "bot")
				s.End()
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.provider.ForceFlush(ctx); err != nil {
		t.Errorf("ForceFlush below a steady load: %v", err)
	}
	close(done)
	others.Wait()
	b.wantNames("before")
	open.End()
	b.wantNames("before", "open", "child")
}

// A trace sampler that ignores its deadline costs it once, abstains, and is not
// asked again until it has returned and its time is over. Nobody else waits.
func TestTraceSamplerThatIgnoresItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stuck{release: make(chan struct{})}
		b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{use("stuck", s), use("error", keepsErrors{}), baseline(0)}})
		failing := func(name string) time.Duration {
			start := time.Now()
			_, root := b.tracer.Start(t.Context(), name)
			fail(root)
			if time.Since(start) > 0 {
				t.Errorf("%s: ending a span waited", name)
			}
			b.flushed()
			return time.Since(start)
		}
		if d := failing("first"); d < time.Second || d > 1200*time.Millisecond {
			t.Errorf("the first trace waited %v for its sampler, want the deadline of a second", d)
		}
		if d := failing("second"); d > 0 {
			t.Errorf("the second trace waited %v for a sampler that is suspended", d)
		}
		time.Sleep(time.Minute)
		if d := failing("third"); d > 0 {
			t.Errorf("the third trace waited %v for a sampler that has not returned", d)
		}
		b.wantNames("first", "second", "third")
		if n := s.asked.Load(); n != 1 {
			t.Errorf("it was asked about %d traces, want 1", n)
		}
		if n := b.provider.Stats().Samplers[0].Suspensions; n != 1 {
			t.Errorf("it was suspended %d times, want once", n)
		}
		close(s.release)
		synctest.Wait()
		if failing("fourth"); s.asked.Load() != 2 {
			t.Errorf("it was asked about %d traces, want 2: it has returned", s.asked.Load())
		}
		_ = b.provider.Shutdown(context.Background())
	})
}

type panickingJudge struct{}

func (panickingJudge) Traits() sampling.Traits {
	return sampling.Traits{Description: "panics"}
}

func (panickingJudge) SampleSegments(_ context.Context, _ []sampling.Segment, answers []sampling.Answer) {
	for i := range answers {
		answers[i] = sampling.AtMost(sampling.Never)
	}
	panic("no")
}

// What a trace sampler had answered before it panicked does not count.
func TestTraceSamplerThatPanics(t *testing.T) {
	b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{use("bad", panickingJudge{}), use("error", keepsErrors{}), baseline(0)}})
	_, root := b.tracer.Start(t.Context(), "root")
	fail(root)
	b.wantNames("root")
	if n := b.provider.Stats().Samplers[0].Suspensions; n != 1 {
		t.Errorf("it was suspended %d times, want once", n)
	}
}

// dawdling is a start sampler that takes its time.
type dawdling struct{ asked atomic.Int64 }

func (*dawdling) Traits() sampling.Traits {
	return sampling.Traits{Description: "dawdles"}
}

func (d *dawdling) SampleStart(sampling.StartParameters) sampling.Answer {
	d.asked.Add(1)
	time.Sleep(2 * time.Millisecond)
	return sampling.At(sampling.Never)
}

func TestSlowStartSamplerIsSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dawdling{}
		b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{use("slow start", d), use("error", keepsErrors{}), baseline(1)}})
		start := func() bool {
			before := d.asked.Load()
			_, root := b.tracer.Start(t.Context(), "root")
			root.End()
			return d.asked.Load() > before
		}
		n := 0
		for start() {
			// One call in 64 is timed, three slow ones within a second decide.
			if n++; n > 20_000 {
				t.Fatal("it is asked for ever")
			}
		}
		off := time.Now()
		for time.Since(off) < 29*time.Second {
			if start() {
				t.Fatalf("it is asked again after %v", time.Since(off))
			}
			time.Sleep(time.Second)
		}
		time.Sleep(2 * time.Second)
		if !start() {
			t.Error("it is not asked again")
		}
		if n := b.provider.Stats().Samplers[0].Suspensions; n != 1 {
			t.Errorf("it was suspended %d times, want once", n)
		}
		_ = b.provider.Shutdown(context.Background())
	})
}

// 10,000 traces whose roots never end: what is held is bounded before they are
// overdue and after, and all goroutines end.
func TestTracesThatNeverComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const maxBytes = 4 << 20
		p := newProvider(t, core.Spec{MaxBytes: maxBytes, Samplers: []core.SamplerEntry{use("error", keepsErrors{}), baseline(0)}},
			core.Logger(slog.New(slog.DiscardHandler)))
		tracer := p.TracerProvider().Tracer("")
		var recorded uint64
		var roots []trace.Span
		for range 10_000 {
			ctx, root := tracer.Start(t.Context(), "never ends")
			roots = append(roots, root)
			if root.IsRecording() {
				recorded++
			}
			_, child := tracer.Start(ctx, "child")
			child.SetAttributes(attribute.String("payload", strings.Repeat("x", 2000)))
			child.End()
			synctest.Wait()
			if held := p.Stats().HeldBytes; held > maxBytes*5/4 {
				t.Fatalf("the buffer holds %d bytes, its bound is %d", held, maxBytes)
			}
		}
		before := p.Stats()
		open := uint64(len(slices.DeleteFunc(roots, func(s trace.Span) bool { return !s.IsRecording() })))
		if before.UnderPressure == 0 || before.Unrecorded+open != 10_000 {
			t.Errorf("stats = %+v with %d roots open: want pressure, and every root counted", before, open)
		}
		time.Sleep(3 * time.Minute)
		s := p.Stats()
		if s.NotKept != recorded || s.HeldBytes > maxBytes/4 {
			t.Errorf("stats = %+v, want what has ended of all %d recorded segments let go, and little held", s, recorded)
		}
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A WebSocket is open for an hour without being slow: match exempts it. What
// fails in it is kept all the same.
func TestWebSocketExemptedByMatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slowButSockets := core.UseSampler(slow.Factory, "", slow.Config{Threshold: component.Duration(time.Second), Spans: slow.LocalRoot})
		slowButSockets.Match = &match.Config{Not: &match.Config{Name: "GET /socket*"}}
		b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{use("error", keepsErrors{}), slowButSockets, baseline(0)}})
		ctx, socket := b.tracer.Start(t.Context(), "GET /socket/7")
		_, failing := b.tracer.Start(t.Context(), "GET /socket/8")
		_, early := b.tracer.Start(trace.ContextWithSpan(t.Context(), failing), "message that is forgotten")
		early.End()
		_, request := b.tracer.Start(t.Context(), "GET /export")
		for i := range 60 {
			_, message := b.tracer.Start(ctx, fmt.Sprintf("message %d", i))
			message.End()
			time.Sleep(time.Minute)
		}
		fails := "message that fails"
		_, message := b.tracer.Start(trace.ContextWithSpan(t.Context(), failing), fails)
		fail(message)
		socket.End()
		failing.End()
		request.End()
		b.wantNames("GET /export", "GET /socket/8", fails)
		_ = b.provider.Shutdown(context.Background())
	})
}

// fewIDs gives traces two IDs in turn.
type fewIDs struct{ n atomic.Int64 }

func (g *fewIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id := trace.TraceID{byte(g.n.Load() % 2), 1}
	return id, g.NewSpanID(ctx, id)
}

func (g *fewIDs) NewSpanID(context.Context, trace.TraceID) trace.SpanID {
	return trace.SpanID{7: byte(g.n.Add(1))}
}

// An ID generator that repeats itself makes riffle lose no span.
func TestRepeatedTraceIDs(t *testing.T) {
	p := newProvider(t, core.Spec{Samplers: []core.SamplerEntry{use("error", keepsErrors{}), baseline(1)}}, core.IDGenerator(new(fewIDs)))
	var kept atomic.Int64
	p.OnKept(func(k record.Kept) { kept.Add(int64(len(k.Spans))) })
	const traces = 10
	for range traces {
		_, root := p.TracerProvider().Tracer("").Start(t.Context(), "root")
		root.End()
	}
	if s := p.Stats(); kept.Load() != traces || s.Open != 0 {
		t.Errorf("%d spans are kept, and %d segments open: want %d and 0", kept.Load(), s.Open, traces)
	}
}
