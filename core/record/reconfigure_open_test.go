package record

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffletrace/riffle/core/sampling"
)

// A segment that was recorded because its start selects it, where others would not have
// been, is decided by its start alone, whatever rules it is opened again under: what keeps
// only one of the two has no weight. Nor do others of the trace hear of it.
func TestReconfigureKeepsTheWeightsOfWhatTheStartSelected(t *testing.T) {
	for name, spoken := range map[string]func(*recorder, sampling.Threshold){
		"an end sampler": func(*recorder, sampling.Threshold) {},
		"Keep":           nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRecorder(t, Config{IDGenerator: fixedRandomness(half)}, startAt(half))
				ctx, root := r.tracer.Start(context.Background(), "root")
				root.End()
				r.Reconfigure(configOf(onError, startAt(half)), func(context.Context) {})
				_, late := r.tracer.Start(ctx, "late")
				if spoken == nil {
					r.Keep(root.SpanContext().TraceID(), sampling.Always, "somebody")
				} else {
					fail(late)
				}
				late.End()
				r.checkDelivered(t, "root", "late")
				if got := thresholdIn(r.span(t, "late")); got != half {
					t.Errorf("the threshold of the late span is %v, want that of the start, %v", got, sampling.Threshold(half))
				}
				if n := r.Stats().Remembered; n != 0 && spoken != nil {
					t.Errorf("%d traces are remembered, want none", n)
				}
			})
		})
	}
}

// A segment that is overdue can end, and be opened again under rules with fewer samplers,
// while its samplers are being asked. What they say then is of no segment.
func TestReconfigureWhileAnOverdueSegmentIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var openAgain atomic.Pointer[func()]
		overdue := endFunc(func(p sampling.EndParameters) sampling.Answer {
			if !p.Open {
				return sampling.Abstain()
			}
			(*openAgain.Load())()
			return sampling.At(1)
		})
		r := newRecorder(t, Config{Bounds: Bounds{MaxWait: time.Second}}, overdue, onError, selectNone)
		ctx, root := r.tracer.Start(context.Background(), "root")
		again := func() {
			root.End()
			r.Reconfigure(configOf(onError, selectNone), func(context.Context) {})
			r.start(ctx, "late")
		}
		openAgain.Store(&again)
		time.Sleep(10 * time.Second)
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		r.checkDelivered(t)
	})
}

// What was said while a segment is open reaches it, also where less is remembered by then.
func TestReconfigureToASmallerMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(t, Config{}, onError, selectNone)
		ctx, root := r.tracer.Start(context.Background(), "root")
		fail(r.start(withParent(root.SpanContext().WithRemote(true)), "another segment")).End()
		next := configOf(onError, selectNone)
		next.Bounds.MemoryTraces = 1
		r.Reconfigure(next, func(context.Context) {})
		for range 100 {
			fail(r.start(context.Background(), "other")).End()
		}
		time.Sleep(3 * maxTick)
		if n := r.Stats().Remembered; n > 2*memoryShards {
			t.Errorf("%d traces are remembered", n)
		}
		r.start(ctx, "child").End()
		root.End()
		r.span(t, "root")
	})
}

// Former samplers that take long to end hold up neither Shutdown nor those who come after
// them.
func TestShutdownDoesNotWaitForFormerRules(t *testing.T) {
	for name, open := range map[string]bool{"released before": false, "released by Shutdown": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var hung, closed atomic.Bool
				var err error
				r := newRecorder(t, Config{Close: func(ctx context.Context) error {
					closed.Store(true)
					err = ctx.Err()
					return nil
				}}, onError, selectNone)
				if open {
					r.start(context.Background(), "root")
				}
				r.Reconfigure(configOf(selectNone), func(ctx context.Context) {
					hung.Store(true)
					<-ctx.Done()
				})
				time.Sleep(3 * maxTick)
				synctest.Wait()
				if hung.Load() == open {
					t.Fatalf("that the rules are being released is %v", hung.Load())
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				began := time.Now()
				if err := r.Shutdown(ctx); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("Shutdown took %v", took)
				}
				if !closed.Load() || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Close was called is %v, with a context of which %v has come", closed.Load(), err)
				}
			})
		})
	}
}
