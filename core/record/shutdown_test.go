package record

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/core/sampling"
)

func TestStartAfterShutdown(t *testing.T) {
	r := newRecorder(t, Config{}, onError, selectAll)
	ctx, root := r.tracer.Start(context.Background(), "root")
	root.End()
	if err := r.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	remote := remoteParent(t, trace.FlagsSampled, "ot=th:0,other=1")
	for name, parent := range map[string]context.Context{
		"root": context.Background(), "below a recorded span": ctx, "below a remote parent": withParent(remote),
		"in place of another": trace.ContextWithSpanContext(ctx, root.SpanContext()),
	} {
		t.Run(name, func(t *testing.T) {
			wanted := trace.SpanContextFromContext(parent).TraceID()
			ctx := parent
			var seen []trace.SpanID
			for range 2 { // and what is below it
				var s trace.Span
				ctx, s = r.tracer.Start(ctx, "late") //nolint:fatcontext // each below the one before
				sc := s.SpanContext()
				if s.IsRecording() || sc.IsSampled() || !sc.IsValid() || sc.IsRemote() || slices.Contains(seen, sc.SpanID()) {
					t.Errorf("it is %+v, recording: %t", sc, s.IsRecording())
				}
				if wanted.IsValid() && sc.TraceID() != wanted {
					t.Errorf("it does not continue the trace %v", wanted)
				}
				if th := sampling.ThresholdIn(sc.TraceState()); th != sampling.Unknown {
					t.Errorf("what is not sampled carries threshold %v", th)
				}
				if got := s.TracerProvider(); got != r.TracerProvider {
					t.Errorf("its provider is %v", got)
				}
				wanted, seen = sc.TraceID(), append(seen, sc.SpanID())
				s.End()
			}
		})
	}
	if got := r.start(withParent(remote), "late").SpanContext().TraceState().Get("other"); got != "1" {
		t.Error("the tracestate of others is lost")
	}
	r.checkDelivered(t, "root")
}

// A local root that starts while the provider shuts down, and is not recorded for that, is
// not counted, as those that start later are not.
func TestShutdownDuringStart(t *testing.T) {
	var r *recorder
	measured := 0
	r = newRecorder(t, Config{Measure: func(context.Context, Measured) { measured++ }}, startFunc(func(sampling.StartParameters) sampling.Answer {
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		return sampling.At(sampling.Always)
	}))
	s := r.start(context.Background(), "root")
	s.End()
	if n := r.Stats(); s.IsRecording() || measured > 0 || n.Started != 0 || n.Unrecorded != 0 {
		t.Errorf("recording %v, measured %d, started %d, unrecorded %d", s.IsRecording(), measured, n.Started, n.Unrecorded)
	}
}

func TestSpansOpenAtShutdown(t *testing.T) {
	limits := unlimited
	limits.AttributeCountLimit = 1
	ended := &endedSpans{}
	r := newRecorder(t, Config{IDGenerator: fixedRandomness(half - 1), Limits: limits, SpanProcessors: []sdktrace.SpanProcessor{ended}}, onError, startAt(half))
	ctx, failing := r.tracer.Start(context.Background(), "failing", trace.WithAttributes(attribute.Int("mine", 1)))
	fail(failing)
	_, child := r.tracer.Start(ctx, "child")
	fine := r.start(context.Background(), "fine") // its trace is not selected
	before := time.Now()
	if err := r.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.checkDelivered(t, "child", "failing")
	for _, name := range []string{"child", "failing"} {
		s := r.span(t, name)
		if v, n := valueOf(s.Attributes(), sampling.UnfinishedKey); n != 1 || !v.AsBool() {
			t.Errorf("%s has attributes %v, want %s", name, s.Attributes(), sampling.UnfinishedKey)
		}
		if s.EndTime().Before(before) || s.DroppedAttributes() > 0 {
			t.Errorf("%s ended at %v and dropped %d attributes", name, s.EndTime(), s.DroppedAttributes())
		}
	}
	if _, n := valueOf(r.span(t, "failing").Attributes(), "mine"); n != 1 {
		t.Error("the application's attribute was pushed out")
	}
	handed := r.span(t, "failing")
	attrs, end := slices.Clone(handed.Attributes()), handed.EndTime()
	for _, s := range []trace.Span{failing, child, fine} {
		if s.IsRecording() {
			t.Error("a span records after Shutdown")
		}
		s.SetAttributes(attribute.Int("late", 1))
		s.SetName("late")
		s.AddEvent("late")
		s.End(trace.WithTimestamp(before.Add(time.Hour)))
	}
	if !slices.Equal(handed.Attributes(), attrs) || !handed.EndTime().Equal(end) || handed.Name() != "failing" || len(handed.Events()) > 0 {
		t.Error("a span changed after it was handed over")
	}
	if got := ended.names(); !slices.Equal(got, []string{"child", "failing", "fine"}) && !slices.Equal(got, []string{"fine", "child", "failing"}) {
		t.Errorf("span processors saw the ends of %q, want each once", got)
	}
}

// endedSpans is a processor that collects the names of spans that end.
type endedSpans struct {
	idleProcessor
	mu   sync.Mutex
	list []string
}

func (p *endedSpans) OnEnd(s sdktrace.ReadOnlySpan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, s.Name())
}

func (p *endedSpans) names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.list)
}

func TestShutdownTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("the backend is down")
		release := make(chan struct{})
		var closed, returned atomic.Int32
		r := NewTracerProvider(Config{Close: func(context.Context) error {
			closed.Add(1)
			<-release
			return down
		}})
		done, cancel := context.WithCancel(t.Context())
		cancel()
		for range 8 {
			go func() {
				if err := r.Shutdown(done); !errors.Is(err, down) {
					t.Errorf("Shutdown returns %v, want %v", err, down)
				}
				returned.Add(1)
			}()
		}
		synctest.Wait()
		if n := returned.Load(); n > 0 {
			t.Errorf("%d calls returned before the first was done", n)
		}
		close(release)
		synctest.Wait()
		if err := r.Shutdown(t.Context()); !errors.Is(err, down) {
			t.Errorf("a later Shutdown returns %v, want %v", err, down)
		}
		if closed.Load() != 1 || returned.Load() != 8 {
			t.Errorf("of 8 calls %d returned, %d closed, want all and one", returned.Load(), closed.Load())
		}
	})
}

// Also with a context that is done everything is decided, delivered and ended.
func TestShutdownWithAContextThatIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		silent := segmentFunc(func(ctx context.Context, segments []sampling.Segment, _ []sampling.Answer) {
			asked.Add(int32(len(segments)))
			<-ctx.Done()
		})
		r := newRecorder(t, Config{IDGenerator: fixedRandomness(half)}, onError, startAt(half), silent)
		const requests = 500
		for range requests {
			r.start(context.Background(), "complete").End()
		}
		synctest.Wait() // the sampler is being asked about the first ones
		r.start(context.Background(), "open")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		if err := r.Shutdown(ctx); err != nil {
			t.Error("Shutdown:", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		if n := len(r.spans()); n != requests+1 || asked.Load() == 0 {
			t.Errorf("%d spans were delivered, %d asked about, want all of %d", n, asked.Load(), requests+1)
		}
		r.checkEmpty(t)
	})
}

// A span that is just ending at Shutdown is delivered before the exporters are
// closed.
func TestEndDuringShutdown(t *testing.T) {
	for name, returns := range map[string]bool{"End returns": true, "End does not return": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				blocked := endFunc(func(sampling.EndParameters) sampling.Answer {
					<-release
					return sampling.At(sampling.Always)
				})
				var r *recorder
				var closedWith []string
				r = newRecorder(t, Config{Close: func(context.Context) error {
					closedWith = append(r.names(), "closed")
					return nil
				}}, blocked, selectNone)
				_, s := r.tracer.Start(t.Context(), "ending")
				go s.End()
				synctest.Wait()
				began := time.Now()
				var done atomic.Bool
				go func() {
					if err := r.Shutdown(t.Context()); err != nil {
						t.Error("Shutdown:", err)
					}
					done.Store(true)
				}()
				synctest.Wait()
				if done.Load() {
					t.Error("Shutdown did not wait for a span that is ending")
				}
				if !returns {
					time.Sleep(time.Minute)
					if !done.Load() {
						t.Errorf("Shutdown waits for ever")
					}
				}
				close(release)
				<-r.done
				synctest.Wait()
				if took := time.Since(began); returns && took > time.Second {
					t.Errorf("Shutdown took %v", took)
				}
				if returns && !slices.Equal(closedWith, []string{"ending", "closed"}) {
					t.Errorf("the order is %q, want the delivery first", closedWith)
				}
				r.checkDelivered(t, "ending")
			})
		})
	}
}

// Every span that was recorded is delivered once, and none after the exporters are
// closed.
func TestShutdownWhileSpansStartAndEnd(t *testing.T) {
	for range 20 {
		var recorded, delivered atomic.Int64
		var closed atomic.Bool
		r := newRecorder(t, Config{
			Deliver: func(k Kept) {
				if closed.Load() {
					t.Error("a span was delivered after Close")
				}
				delivered.Add(int64(len(k.Spans)))
			},
			Close: func(context.Context) error { closed.Store(true); return nil },
		}, onError, selectAll)
		var running sync.WaitGroup
		started := make(chan struct{}, 4)
		for range cap(started) {
			running.Go(func() {
				started <- struct{}{}
				for {
					ctx, root := r.tracer.Start(context.Background(), "root")
					child := r.start(ctx, "child")
					for _, s := range []trace.Span{root, child} {
						if _, ok := s.(*span); ok {
							recorded.Add(1)
						}
						s.End()
					}
					if _, ok := root.(*span); !ok {
						return
					}
				}
			})
		}
		for range cap(started) {
			<-started
		}
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		n := delivered.Load()
		running.Wait()
		if want := recorded.Load(); n != want {
			t.Errorf("%d spans were delivered by Shutdown, want %d", n, want)
		}
		r.checkEmpty(t)
	}
}

func TestShutdownEndsAllGoroutines(t *testing.T) {
	before := goleak.IgnoreCurrent()
	for range 3 {
		r := newRecorder(t, Config{}, onError, selectAll, segmentFunc(func(context.Context, []sampling.Segment, []sampling.Answer) {}))
		r.start(context.Background(), "root").End()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := r.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		NewTracerProvider(Config{}) // one that waits for nothing has none
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}
