package record

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// whileReading calls f while others read the span in every way, as samplers,
// processors, propagators and loggers may at any time. The race detector looks on.
func whileReading(s trace.Span, f func()) {
	var stop atomic.Bool
	var readers sync.WaitGroup
	var reading sync.WaitGroup
	reading.Add(2)
	for range 2 {
		readers.Go(func() {
			for i := 0; i == 0 || !stop.Load(); i++ {
				ro := s.(sdktrace.ReadOnlySpan)
				_, _, _, _ = ro.SpanContext(), ro.Parent(), ro.Name(), ro.SpanKind()
				_, _, _, _ = ro.StartTime(), ro.EndTime(), ro.Attributes(), ro.Links()
				_, _, _, _ = ro.Events(), ro.Status(), ro.ChildSpanCount(), s.IsRecording()
				_, _, _ = ro.DroppedAttributes(), ro.DroppedEvents(), ro.DroppedLinks()
				if i == 0 {
					reading.Done()
				}
			}
		})
	}
	reading.Wait()
	f()
	stop.Store(true)
	readers.Wait()
}

// What is said of a segment while it is open, of whatever kind, and what is decided
// of it, is not what readers of its spans look at without a lock.
func TestReadingWhileASegmentIsDecided(t *testing.T) {
	known := endFunc(func(p sampling.EndParameters) sampling.Answer {
		switch p.Span.Name() {
		case "known":
			return sampling.At(half)
		case "always":
			return sampling.At(sampling.Always)
		}
		return sampling.Abstain()
	})
	unknown := endFunc(func(p sampling.EndParameters) sampling.Answer {
		if p.Span.Name() == "unknown" {
			return sampling.At(sampling.Unknown)
		}
		return sampling.Abstain()
	})
	for name, parent := range map[string]context.Context{
		"root":                  context.Background(),
		"below a remote parent": withParent(remoteParent(t, 0, "other=1")),
	} {
		for _, of := range []string{"root", "child", "child of another's"} {
			t.Run(name+", "+of, func(t *testing.T) {
				for range 8 {
					r := newRecorder(t, Config{IDGenerator: fixedRandomness(half)}, unknown, known, selectNone)
					ctx, root := r.tracer.Start(parent, "root")
					ctx, child := r.tracer.Start(ctx, "child")
					ctx = trace.ContextWithSpanContext(ctx, child.SpanContext().WithTraceFlags(0x80))
					below := r.start(ctx, "below")
					read := map[string]trace.Span{"root": root, "child": child, "child of another's": below}[of]
					whileReading(read, func() {
						for _, name := range []string{"unknown", "known", "always"} {
							r.start(ctx, name).End()
						}
						below.End()
						child.End()
						root.End()
					})
					if n := len(r.spans()); n != 6 {
						t.Fatalf("%d spans were delivered, want 6", n)
					}
				}
			})
		}
	}
}

// A part of a segment is delivered while others speak of the rest.
func TestDeliveringWhileASegmentIsDecided(t *testing.T) {
	answers := endFunc(func(p sampling.EndParameters) sampling.Answer {
		if p.Span.Name() == "known" {
			return sampling.At(sampling.Always)
		}
		return sampling.Abstain()
	})
	unknown := endFunc(func(p sampling.EndParameters) sampling.Answer {
		if p.Span.Name() == "unknown" {
			return sampling.At(sampling.Unknown)
		}
		return sampling.Abstain()
	})
	silent := segmentFunc(func(context.Context, []sampling.Segment, []sampling.Answer) {})
	r := newRecorder(t, Config{}, answers, unknown, raising{silent}, selectNone)
	r.live.asker.mu.Lock()
	r.live.asker.closed = true // as in Shutdown, so that nobody is asked
	r.live.asker.mu.Unlock()
	for range 200 {
		ctx, root := r.tracer.Start(context.Background(), "root")
		r.start(ctx, "known").End()
		var running sync.WaitGroup
		running.Go(func() { r.live.decideOverdue(root.(*span).segment) })
		running.Go(func() { r.start(ctx, "unknown").End() })
		running.Wait()
		root.End()
	}
}

// raising is a segment sampler that may raise a threshold.
type raising struct{ segmentFunc }

func (raising) Traits() sampling.Traits { return sampling.Traits{} }

// A segment that is let go for lack of memory takes away what its open spans hold.
func TestReadingWhileASegmentIsLetGo(t *testing.T) {
	for range 50 {
		r := newRecorder(t, Config{}, onError, selectNone)
		ctx, root := r.tracer.Start(context.Background(), "root")
		s := r.start(trace.ContextWithSpanContext(ctx, root.SpanContext().WithTraceFlags(0x80)), "below", trace.WithLinks(trace.Link{SpanContext: root.SpanContext()}))
		s.SetStatus(codes.Error, "why")
		s.AddEvent("event")
		sc, parent := s.SpanContext(), s.(*span).Parent()
		whileReading(s, func() {
			g := root.(*span).segment
			g.mu.Lock()
			g.abandon(&handOver{})
			g.mu.Unlock()
		})
		if s.IsRecording() || len(s.(*span).Events()) > 0 {
			t.Error("the span still holds something")
		}
		if !s.SpanContext().Equal(sc) || !s.(*span).Parent().Equal(parent) {
			t.Error("its place has changed")
		}
		s.End()
		root.End()
		r.checkDelivered(t)
	}
}

// Whoever looks at the status while it is set again sees no third one.
func TestStatusIsSetAtOnce(t *testing.T) {
	r := newRecorder(t, Config{}, onError, selectNone)
	s := fail(r.start(context.Background(), "root"))
	var stop atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		for !stop.Load() {
			fail(s)
		}
	})
	for range 100_000 {
		if code := s.(*span).Status().Code; code != codes.Error {
			t.Errorf("the status is seen as %v", code)
			break
		}
	}
	stop.Store(true)
	writer.Wait()
	s.End()
}
