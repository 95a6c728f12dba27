package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/sampling"
)

// callbacks is code of users of every kind, which calls back into spans and the
// provider.
type callbacks struct {
	provider *TracerProvider
	span     trace.Span      // an open one
	ctx      context.Context //nolint:containedctx // of the call
	traceID  trace.TraceID

	inside atomic.Int32
	mu     sync.Mutex
	called map[string]int
}

// call does all that user code can do. Code that is called by that is not called
// again.
func (c *callbacks) call(who string) {
	if c.provider == nil || !c.inside.CompareAndSwap(0, 1) {
		return
	}
	defer c.inside.Store(0)
	c.mu.Lock()
	c.called[who]++
	c.mu.Unlock()
	s := c.span.(*span)
	s.SetAttributes(attribute.String("by", who))
	s.AddEvent(who)
	s.AddLink(trace.Link{SpanContext: s.SpanContext()})
	s.SetName("open")
	s.SetStatus(codes.Error, who)
	s.RecordError(io.EOF)
	_, _, _, _, _ = s.Attributes(), s.Events(), s.Links(), s.Status(), s.Name()
	_, _, _ = s.segment.root.Attributes(), s.segment.root.Name(), s.segment.root.IsRecording()
	tracer := c.provider.Tracer(who)
	_, child := tracer.Start(c.ctx, "child")
	child.End()
	_, root := tracer.Start(context.Background(), "root")
	root.End()
	c.provider.Keep(c.traceID, sampling.Never, "nobody")
	c.provider.Stats()
	p := &endedSpans{}
	c.provider.RegisterSpanProcessor(p)
	c.provider.UnregisterSpanProcessor(p)
	if who != "segment sampler" && who != "deliver" { // which it would wait for
		_ = c.provider.ForceFlush(context.Background())
	}
}

func (c *callbacks) times(who string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.called[who]
}

func (c *callbacks) Error() string  { c.call("error"); return "error" }
func (c *callbacks) String() string { c.call("stringer"); return "stringer" }

func (c *callbacks) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	c.call("IDs of a trace")
	return randomIDs{}.NewIDs(ctx)
}

func (c *callbacks) NewSpanID(ctx context.Context, id trace.TraceID) trace.SpanID {
	c.call("ID of a span")
	return randomIDs{}.NewSpanID(ctx, id)
}

func (c *callbacks) OnStart(context.Context, sdktrace.ReadWriteSpan) { c.call("OnStart") }
func (c *callbacks) OnEnd(sdktrace.ReadOnlySpan)                     { c.call("OnEnd") }
func (c *callbacks) ForceFlush(context.Context) error                { c.call("ForceFlush"); return nil }

func (c *callbacks) Shutdown(context.Context) error { c.call("Shutdown"); return nil }

func (c *callbacks) Write(p []byte) (int, error) { c.call("log"); return len(p), nil }

// No code of users runs with a lock held: what it calls back returns.
func TestCallbacksRunWithoutALock(t *testing.T) {
	c := &callbacks{called: map[string]int{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run(t)
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		var stacks strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&stacks, 2)
		t.Fatalf("a call does not return:\n%s", stacks.String())
	}
	for _, who := range []string{
		"error", "stringer", "IDs of a trace", "ID of a span", "OnStart", "OnEnd", "ForceFlush", "Shutdown", "log",
		"start sampler", "end sampler", "segment sampler", "observer", "randomness", "deliver", "flush", "close",
	} {
		if c.times(who) == 0 {
			t.Errorf("%s was not called: the test tests nothing of it", who)
		}
	}
}

func (c *callbacks) run(t *testing.T) {
	start := startFunc(func(p sampling.StartParameters) sampling.Answer {
		c.call("start sampler")
		if p.Name == "panics" {
			panic("start sampler")
		}
		return sampling.At(sampling.Never)
	})
	end := endFunc(func(p sampling.EndParameters) sampling.Answer {
		c.call("end sampler")
		if p.Span.Name() == "kept" {
			return sampling.At(sampling.Always)
		}
		return sampling.Abstain()
	})
	segment := segmentFunc(func(context.Context, []sampling.Segment, []sampling.Answer) {
		if c.times("segment sampler") == 0 { // others would find somebody inside
			c.call("segment sampler")
		}
	})
	var l Samplers
	for i, s := range []sampling.Sampler{end, segment, start} {
		l.Add(s, Entry{
			Name: samplerNames[i], Logger: slog.New(slog.NewTextHandler(c, nil)),
			Observe: func(stage string, _ sampling.Answer, _ match.Result) {
				if stage != "segment" {
					c.call("observer")
				}
			},
		})
	}
	p := NewTracerProvider(Config{
		Limits: sdktrace.NewSpanLimits(), Samplers: l, IDGenerator: c, SpanProcessors: []sdktrace.SpanProcessor{c},
		RemoteParent: Ignore,
		Randomness:   func() uint64 { c.call("randomness"); return 0 },
		Deliver:      func(Kept) { c.call("deliver") },
		Flush:        func(context.Context) error { c.call("flush"); return nil },
		Close:        func(context.Context) error { c.call("close"); return nil },
		Logger:       slog.New(slog.NewTextHandler(c, nil)),
	})
	tracer := p.Tracer("")
	c.ctx, c.span = tracer.Start(context.Background(), "open")
	c.traceID = c.span.SpanContext().TraceID()
	c.provider = p

	c.span.RecordError(c)
	c.span.SetAttributes(attribute.Stringer("stringer", c))
	for _, panics := range []any{c, fmt.Stringer(c), errors.Join(c)} {
		func() {
			defer func() {
				if r := recover(); r != panics {
					t.Errorf("the panic goes on as %v, want %v", r, panics)
				}
			}()
			_, s := tracer.Start(c.ctx, "panics in the application")
			defer s.End()
			panic(panics)
		}()
	}
	for c.times("segment sampler") == 0 || c.inside.Load() != 0 {
		_, s := tracer.Start(context.Background(), "root")
		s.End()
		time.Sleep(time.Millisecond)
	}
	for _, name := range []string{"root", "kept", "panics"} {
		_, s := tracer.Start(context.Background(), name)
		s.End()
		_, s = tracer.Start(withParent(remoteParent(t, 0, "")), name)
		s.End()
		_, s = tracer.Start(c.ctx, name)
		s.End()
	}
	if err := p.ForceFlush(context.Background()); err != nil {
		t.Error(err)
	}
	shutDown := c.times("Shutdown")
	p.UnregisterSpanProcessor(c)
	if c.times("Shutdown") == shutDown {
		t.Error("a processor that is taken away is not shut down")
	}
	p.RegisterSpanProcessor(c)
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// embedding is a decorator whose End is that of the span in it.
type embedding struct{ lightDecorator }

func TestEndSeesPanics(t *testing.T) {
	cause := errors.New("broken")
	for name, test := range map[string]struct {
		end      func(trace.Span)
		recorded bool
	}{
		"deferred":               {func(s trace.Span) { defer s.End(); panic(cause) }, true},
		"decorated":              {func(s trace.Span) { defer lightDecorator{s}.End(); panic(cause) }, true},
		"decorated twice":        {func(s trace.Span) { defer embedding{lightDecorator{s}}.End(); panic(cause) }, true},
		"a pointer to decorated": {func(s trace.Span) { defer (&embedding{lightDecorator{s}}).End(); panic(cause) }, true},
		"with its stack":         {func(s trace.Span) { defer s.End(trace.WithStackTrace(true)); panic(cause) }, true},
		"in a function":          {func(s trace.Span) { defer func() { s.End() }(); panic(cause) }, false},
		"ended before":           {func(s trace.Span) { s.End(); defer s.End(); panic(cause) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder(t, Config{}, onError, selectAll)
			func() {
				defer func() {
					if got := recover(); got != any(cause) {
						t.Errorf("the panic goes on as %v, want %v", got, cause)
					}
				}()
				test.end(r.start(context.Background(), "root"))
			}()
			s := r.span(t, "root")
			if s.Status().Code != codes.Unset {
				t.Error("a panic sets the status, and does not in the SDK")
			}
			events := s.Events()
			if !test.recorded {
				if len(events) > 0 {
					t.Errorf("recorded are %v, want nothing: that End stops no panic", events)
				}
				return
			}
			if len(events) != 1 || events[0].Name != semconv.ExceptionEventName {
				t.Fatalf("recorded are %v, want an exception", events)
			}
			kvs := events[0].Attributes
			if got := []attribute.KeyValue{semconv.ExceptionType("*errors.errorString"), semconv.ExceptionMessage("broken")}; !slices.Equal(kvs[:2], got) {
				t.Errorf("the exception has %v, want %v", kvs, got)
			}
			stack, n := valueOf(kvs, semconv.ExceptionStacktraceKey)
			if want := name == "with its stack"; (n == 1) != want || want && !strings.Contains(stack.AsString(), "TestEndSeesPanics") {
				t.Errorf("the stack is %q, want one: %t", stack.AsString(), want)
			}
		})
	}
}

// A span that is not recorded lets a panic through.
func TestUnrecordedEndPanics(t *testing.T) {
	r := newRecorder(t, Config{}, onError, startFunc(func(sampling.StartParameters) sampling.Answer { return sampling.Drop() }))
	defer func() {
		if got := recover(); got != "broken" {
			t.Errorf("the panic goes on as %v", got)
		}
	}()
	defer r.start(context.Background(), "root").End()
	panic("broken")
}
