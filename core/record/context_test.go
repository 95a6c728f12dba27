package record

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/riffletrace/riffle/core/sampling"
)

func TestContextIsANodeOfItsOwn(t *testing.T) {
	r := newRecorder(t, Config{}, onError, startFunc(func(p sampling.StartParameters) sampling.Answer {
		if p.Name == "dropped" {
			return sampling.Drop()
		}
		return sampling.At(sampling.Always)
	}))
	for _, name := range []string{"recorded", "dropped"} {
		ctx, s := r.tracer.Start(context.Background(), name)
		if n, ok := ctx.(*node); !ok || n.span != s {
			t.Errorf("the context of what is %s is %T, want a node with the span", name, ctx)
		}
		if got := trace.SpanFromContext(ctx); got != s {
			t.Errorf("the API finds %v, want the span", got)
		}
		s.End()
	}
}

func TestNilContext(t *testing.T) {
	r := newRecorder(t, Config{}, onError, selectAll)
	ctx, s := r.tracer.Start(nil, "root") //nolint:staticcheck // what applications do
	s.End()
	if got := ctx.(*node).Context; got != context.Background() {
		t.Errorf("the parent of the context is %v, want Background", got)
	}
	if ctx.Done() != nil || ctx.Err() != nil || ctx.Value("key") != nil {
		t.Error("it is not a usable context")
	}
	r.checkDelivered(t, "root")
}

// The standard library starts no goroutine for contexts below ours, and what is
// above it ends what is below.
func TestCancellationPassesThrough(t *testing.T) {
	const contexts = 100
	r := newRecorder(t, Config{}, onError, selectAll)
	top, cancel := context.WithCancelCause(context.Background())
	before := runtime.NumGoroutine()
	cause := fmt.Errorf("the caller is gone")
	var below []context.Context
	var afterwards sync.WaitGroup
	for range contexts {
		ctx, s := r.tracer.Start(top, "root")
		ctx, child := r.tracer.Start(context.WithValue(ctx, contextKey{}, "v"), "child")
		child.End()
		s.End()
		withCancel, cancel1 := context.WithCancel(ctx)
		withTimeout, cancel2 := context.WithTimeout(ctx, time.Hour)
		withDeadline, cancel3 := context.WithDeadline(ctx, time.Now().Add(time.Hour))
		withCause, cancel4 := context.WithCancelCause(ctx)
		afterwards.Add(1)
		context.AfterFunc(ctx, afterwards.Done)
		if context.WithoutCancel(ctx).Done() != nil {
			t.Error("WithoutCancel can be cancelled")
		}
		below = append(below, ctx, withCancel, withTimeout, withDeadline, withCause)
		t.Cleanup(func() { cancel1(); cancel2(); cancel3(); cancel4(nil) })
	}
	if n := runtime.NumGoroutine(); n > before+contexts/2 { // others may have one or two
		t.Errorf("there were %d goroutines, and are %d: one for each context", before, n)
	}
	cancel(cause)
	for _, ctx := range below {
		// At once: what a goroutine passes on would come later.
		if ctx.Err() == nil || !errors.Is(context.Cause(ctx), cause) {
			t.Fatalf("after the cancellation the error is %v, the cause %v", ctx.Err(), context.Cause(ctx))
		}
	}
	afterwards.Wait()
}

type contextKey struct{}

func TestContextString(t *testing.T) {
	r := newRecorder(t, Config{}, onError, selectAll)
	for name, parent := range map[string]context.Context{
		"Background": context.Background(), "nothing that prints": silentContext{context.Background()},
		"a value": context.WithValue(context.Background(), contextKey{}, "text"),
	} {
		ctx, s := r.tracer.Start(parent, "root")
		ctx2, child := r.tracer.Start(ctx, "child")
		want := fmt.Sprint(trace.ContextWithSpan(trace.ContextWithSpan(parent, s), child))
		if got := fmt.Sprint(ctx2); got != want {
			t.Errorf("below %s it prints %s, want %s", name, got, want)
		}
		below, cancel := context.WithCancel(ctx2)
		if got := fmt.Sprint(below); got != want+".WithCancel" {
			t.Errorf("below %s it prints %s, want %s.WithCancel", name, got, want)
		}
		cancel()
		child.End()
		s.End()
	}
}

// silentContext is no fmt.Stringer.
type silentContext struct{ context.Context } //nolint:containedctx // it is a context

func (silentContext) Value(any) any { return nil }

// Printing a context reads no span that others write to; the race detector tells.
func TestContextPrintsWhileItsSpanChanges(t *testing.T) {
	r := newRecorder(t, Config{}, onError, selectAll)
	ctx, s := r.tracer.Start(context.Background(), "root")
	var stop atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; !stop.Load(); i++ {
			s.SetName(strings.Repeat("x", i%8))
			s.SetAttributes(attribute.Int("i", i%8))
		}
	})
	withCancel, cancel := context.WithCancel(ctx)
	for range 100 {
		for _, format := range []string{"%v", "%+v", "%s"} {
			_ = fmt.Sprintf(format, ctx)
			_ = fmt.Sprintf(format, withCancel)
		}
	}
	cancel()
	stop.Store(true)
	writer.Wait()
	s.End()
}

// depthProbe is a context that remembers how deep the stack was when it was asked.
type depthProbe struct {
	context.Context //nolint:containedctx // it is a context
	frames          *int
}

func (p depthProbe) Value(any) any {
	*p.frames = runtime.Callers(0, make([]uintptr, 4096))
	return nil
}

// A chain of contexts costs no more than one of the standard library does.
func TestDeepContexts(t *testing.T) {
	const depth = 20_000
	var frames int
	r := newRecorder(t, Config{Bounds: Bounds{MaxBytes: 1 << 30, MaxSegmentBytes: 1 << 30}}, onError, selectNone)
	probe := depthProbe{context.Background(), &frames}
	var ours, theirs context.Context = probe, probe
	open := make([]trace.Span, depth)
	for i := range depth {
		ours, open[i] = r.tracer.Start(ours, "span") //nolint:fatcontext // as deep as it is to be
		theirs = context.WithValue(theirs, contextKey{}, i)
	}
	defer func() {
		for _, s := range open {
			s.End()
		}
	}()
	another := newRecorder(t, Config{}, onError, selectNone)
	type otherKey struct{}
	key := any(otherKey{})
	for _, key := range []any{key, nearestKey{another.TracerProvider}} {
		frames = 0
		if ours.Value(key) != nil || frames == 0 || frames > 20 {
			t.Errorf("for %T the bottom is asked %d frames deep", key, frames)
		}
	}
	measure := func(ctx context.Context) time.Duration {
		start := time.Now()
		for range 5 {
			_ = ctx.Value(key)
		}
		return time.Since(start)
	}
	var oursTook, theirsTook []time.Duration
	for range 41 {
		oursTook, theirsTook = append(oursTook, measure(ours)), append(theirsTook, measure(theirs))
	}
	slices.Sort(oursTook)
	slices.Sort(theirsTook)
	if o, s := oursTook[20], theirsTook[20]; o > 2*s {
		t.Errorf("a chain of %d takes %v, of the standard library's contexts %v", depth, o, s)
	}
}

// The nearest span of ours is found behind whatever lies before it, and each
// provider finds its own.
func TestNearestSpan(t *testing.T) {
	a := newRecorder(t, Config{}, onError, selectNone)
	b := newRecorder(t, Config{}, onError, startFunc(func(sampling.StartParameters) sampling.Answer { return sampling.Drop() }))
	ctx, first := a.tracer.Start(context.Background(), "first")
	ctx, second := a.tracer.Start(ctx, "second")
	ctx, dropped := b.tracer.Start(ctx, "dropped")
	_, elsewhere := noop.NewTracerProvider().Tracer("").Start(ctx, "noop")
	for name, below := range map[string]context.Context{
		"directly":       ctx,
		"a SpanContext":  trace.ContextWithSpanContext(ctx, dropped.SpanContext()),
		"a remote one":   trace.ContextWithRemoteSpanContext(ctx, remoteParent(t, 0, "")),
		"decorations":    trace.ContextWithSpan(trace.ContextWithSpan(ctx, lightDecorator{second}), lightDecorator{lightDecorator{first}}),
		"another's span": trace.ContextWithSpan(ctx, elsewhere),
		"no span":        trace.ContextWithSpan(ctx, nil),
		"values":         context.WithValue(context.WithValue(ctx, contextKey{}, 1), contextKey{}, 2),
		"a cancellation": context.WithoutCancel(ctx),
	} {
		if got := below.Value(nearestKey{a.TracerProvider}); got != second {
			t.Errorf("behind %s the nearest span is %v, want the second", name, got)
		}
		if got := below.Value(nearestKey{b.TracerProvider}); got != dropped {
			t.Errorf("behind %s the other provider finds %v, want its dropped span", name, got)
		}
	}
	if got := context.Background().Value(nearestKey{a.TracerProvider}); got != nil {
		t.Errorf("where there is none %v is found", got)
	}
	second.End()
	first.End()
}
