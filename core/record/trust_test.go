package record

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// A threshold that a client sends counts only if a service can have it: one request
// must not stand for more than a million.
func TestThresholdsThatAreTooHigh(t *testing.T) {
	for _, mode := range []RemoteParent{Watch, Follow} {
		for th, want := range map[string]sampling.Threshold{
			"0":              sampling.Always,
			"8":              1 << 55,
			"fffff":          sampling.Never - 1<<36, // 2^-20
			"fffff00001":     sampling.Unknown,
			"fffff8":         sampling.Unknown,
			"ffffffffffffff": sampling.Unknown,
		} {
			t.Run(string(mode)+"/"+th, func(t *testing.T) {
				r := newRecorder(t, Config{RemoteParent: mode}, onError, selectNone)
				parent := withParent(remoteParent(t, trace.FlagsSampled, "ot=th:"+th+";rv:ffffffffffffff,other=1"))
				r.start(parent, "root").End()
				state := r.span(t, "root").SpanContext().TraceState()
				if got := sampling.ThresholdIn(state); got != want {
					t.Errorf("the root has threshold %v, want %v: %s", got, want, state)
				}
				if state.Get("other") != "1" {
					t.Errorf("tracestate %s", state)
				}
			})
		}
	}
}

// What a segment was decided to be says nothing of later ones with its trace ID.
func TestTraceIDThatLostOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range []RemoteParent{Watch, Ignore} {
			r := newRecorder(t, Config{RemoteParent: mode, Bounds: Bounds{MaxBytes: 1 << 20}}, onError, selectNone)
			parent := withParent(remoteParent(t, 0, "ot=rv:00000000000000"))
			r.start(parent, "quiet").End()
			open := r.start(parent, "let go for lack of room")
			r.live.level.Store(r.live.levelOf(maxHalvings))
			r.live.press()
			r.start(parent, "not recorded").End()
			r.live.level.Store(0)
			fail(r.start(parent, "later")).End()
			open.End()
			time.Sleep(time.Second)
			synctest.Wait()
			r.checkDelivered(t, "later")
			if err := r.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Where the application asks for it, nothing is recorded, whatever else is said.
func TestDroppedByTheContext(t *testing.T) {
	r := newRecorder(t, Config{}, onError, startAt(sampling.Always))
	for _, ctx := range []context.Context{
		context.Background(),
		sampling.ContextWithForce(context.Background()),
		withParent(remoteParent(t, trace.FlagsSampled, "ot=th:0")),
		withParent(remoteParent(t, 0, "").WithRemote(false)),
	} {
		ctx, root := r.tracer.Start(sampling.ContextWithDrop(ctx), "root")
		_, child := r.tracer.Start(ctx, "child")
		_, inside := r.tracer.Start(ctx, "inside", trace.WithNewRoot())
		for _, s := range []trace.Span{root, child, inside} {
			if s.IsRecording() || s.SpanContext().IsSampled() {
				t.Errorf("a span is recorded: %v", s.SpanContext())
			}
			fail(s).End()
		}
		if sampling.ThresholdIn(root.SpanContext().TraceState()) != sampling.Unknown {
			t.Error("a span that is dropped has a threshold")
		}
	}
	r.checkDelivered(t)
}
