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
