package record

import (
	"context"
	"io"
	"runtime"
	rtrace "runtime/trace"
	"testing"
	"time"
	"weak"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// body is what the context of a request may point to.
type body [64 << 10]byte

// A context points to its span, and no span to a context: what is kept of requests
// keeps none of their contexts alive.
func TestSpansKeepNoContextAlive(t *testing.T) {
	for name, test := range map[string]struct {
		traced bool // by runtime/trace
		keep   func(r *recorder, ctx context.Context) any
	}{
		"ended span": {keep: func(r *recorder, ctx context.Context) any {
			s := r.start(ctx, "root")
			s.End()
			return s
		}},
		"open span": {keep: func(r *recorder, ctx context.Context) any { return r.start(ctx, "root") }},
		"open span that is a task": {traced: true, keep: func(r *recorder, ctx context.Context) any {
			return r.start(ctx, "root")
		}},
		"span that waits": {keep: func(r *recorder, ctx context.Context) any {
			ctx, root := r.tracer.Start(ctx, "root")
			s := r.start(ctx, "child")
			s.End()
			return root
		}},
		"only what the provider holds": {keep: func(r *recorder, ctx context.Context) any {
			ctx, _ = r.tracer.Start(ctx, "root")
			r.start(ctx, "child").End()
			return nil
		}},
		"segment": {keep: func(r *recorder, ctx context.Context) any {
			s := r.start(ctx, "root").(*span)
			s.End()
			return s.segment
		}},
		"below a remote parent": {keep: func(r *recorder, ctx context.Context) any {
			return r.start(trace.ContextWithRemoteSpanContext(ctx, remoteParent(t, 0, "")), "root")
		}},
		"new root": {keep: func(r *recorder, ctx context.Context) any {
			return r.start(ctx, "root", trace.WithNewRoot())
		}},
		"below a decorated span": {keep: func(r *recorder, ctx context.Context) any {
			ctx, s := r.tracer.Start(ctx, "root")
			return r.start(trace.ContextWithSpan(ctx, lightDecorator{s}), "child")
		}},
		"dropped span": {keep: func(r *recorder, ctx context.Context) any {
			ctx, root := r.tracer.Start(ctx, "dropped")
			return []trace.Span{root, r.start(ctx, "child")}
		}},
		"delivered spans": {keep: func(r *recorder, ctx context.Context) any {
			ctx, root := r.tracer.Start(ctx, "root")
			fail(r.start(ctx, "child")).End()
			root.End()
			return nil // the recorder keeps what it was handed
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.traced {
				if err := rtrace.Start(io.Discard); err != nil {
					t.Skip("runtime/trace is on already, as in a run with -trace; CI runs this without it:", err)
				}
				defer rtrace.Stop()
			}
			seen := &startedSpans{}
			r := newRecorder(t, Config{SpanProcessors: []sdktrace.SpanProcessor{seen}}, onError, startFunc(func(p sampling.StartParameters) sampling.Answer {
				if p.Name == "dropped" {
					return sampling.Drop()
				}
				return sampling.At(sampling.Never)
			}))
			const requests = 500
			var kept []any
			var bodies []weak.Pointer[body]
			for range requests {
				b := new(body)
				ctx := context.WithValue(t.Context(), contextKey{}, b)
				bodies = append(bodies, weak.Make(b))
				kept = append(kept, test.keep(r, ctx))
			}
			deadline := time.Now().Add(time.Minute)
			for alive := requests; alive > 1; { // the stack may have the last one
				runtime.GC()
				alive = 0
				for _, b := range bodies {
					if b.Value() != nil {
						alive++
					}
				}
				if time.Now().After(deadline) {
					t.Fatalf("the contexts of %d of %d requests are kept alive", alive, requests)
				}
			}
			runtime.KeepAlive(kept)
			runtime.KeepAlive(r)
			runtime.KeepAlive(seen)
		})
	}
}

// startedSpans is a processor that keeps the spans that it is told about, as they
// start and as they end.
type startedSpans struct {
	idleProcessor
	started []sdktrace.ReadWriteSpan
	ended   []sdktrace.ReadOnlySpan
}

func (p *startedSpans) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	p.started = append(p.started, s)
}
func (p *startedSpans) OnEnd(s sdktrace.ReadOnlySpan) { p.ended = append(p.ended, s) }

// A sampler that sees cancellations keeps the context of a local root until that ends, or
// the context itself does, or nothing is recorded any more.
func TestContextIsKeptWhileItMayTell(t *testing.T) {
	overdue := func(s *span) { s.segment.live().decideOverdue(s.segment) }
	for name, test := range map[string]struct {
		run  func(s *span, cancel func())
		want bool
	}{
		"open":               {func(*span, func()) {}, true},
		"open for long":      {func(s *span, _ func()) { overdue(s) }, true},
		"ended":              {func(s *span, _ func()) { s.End() }, false},
		"canceled, and open": {func(s *span, cancel func()) { cancel(); overdue(s) }, false},
		"let go": {func(s *span, _ func()) {
			g := s.segment
			g.mu.Lock()
			g.abandon(&handOver{})
			g.mu.Unlock()
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder(t, Config{}, seesCanceled{map[string]string{}}, selectNone)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			s := r.start(ctx, "root").(*span)
			test.run(s, cancel)
			g := s.segment
			g.mu.Lock()
			kept := g.more != nil && g.more.context == ctx
			g.mu.Unlock()
			if kept != test.want {
				t.Errorf("the context is kept: %v, want %v", kept, test.want)
			}
			s.End()
		})
	}
}

// A context that was canceled is so also when it is not kept any more.
func TestCanceledIsRemembered(t *testing.T) {
	s := seesCanceled{map[string]string{}}
	r := newRecorder(t, Config{}, s, selectNone)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	expired, stop := context.WithTimeout(context.Background(), 0)
	defer stop()
	for name, ctx := range map[string]context.Context{"canceled": ctx, "expired": expired} {
		root := r.start(ctx, name)
		cancel()
		r.live.decideOverdue(root.(*span).segment)
		root.End()
	}
	for name, want := range map[string]string{"canceled": "canceled true, panicked false", "expired": "canceled false, panicked false"} {
		if got := s.said[name]; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// brokenContext is a context that panics when it is asked for its error.
type brokenContext struct{ context.Context } //nolint:containedctx // it is one

func (brokenContext) Err() error { panic("out of order") }

// brokenError is an error that panics when it is looked into.
type brokenError struct{}

func (*brokenError) Error() string { return "" }
func (*brokenError) Unwrap() error { panic("out of order") }

func TestCancellationOfWhatPanics(t *testing.T) {
	s := seesCanceled{map[string]string{}}
	r := newRecorder(t, Config{}, s, selectNone)
	root := r.start(brokenContext{t.Context()}, "root")
	root.RecordError(&brokenError{})
	r.live.decideOverdue(root.(*span).segment)
	root.End()
	if got, want := s.said["root"], "canceled false, panicked false"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What a segment comes to have while it is listed is counted.
func TestSegmentMoreIsCounted(t *testing.T) {
	r := newRecorder(t, Config{}, onError, selectNone)
	root := r.start(context.Background(), "root").(*span)
	before := r.live.exactly()
	root.segment.mu.Lock()
	root.segment.rarely()
	root.segment.mu.Unlock()
	if n := r.live.exactly() - before; n != moreBytes {
		t.Errorf("it counts with %d bytes, want %d", n, moreBytes)
	}
	root.End()
}
