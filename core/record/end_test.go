package record

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/sampling"
)

// matcher compiles a match.
func matcher(t testing.TB, c match.Config) *match.Matcher {
	t.Helper()
	m, err := c.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// matched is a recorder of which the error sampler has a match, and the start selects
// nothing.
func matched(t testing.TB, c Config, m match.Config, s sampling.Sampler) *recorder {
	t.Helper()
	c.Samplers.Add(s, Entry{Name: "matched", Match: matcher(t, m)})
	return newRecorder(t, c, selectNone)
}

var routeAttribute = attribute.String("http.route", "/checkout/{id}")

// What an end sampler's match says of the local root is known when that has ended.
func TestMatchAboutTheRoot(t *testing.T) {
	route := match.Config{Route: "/checkout/{id}"}
	for _, tt := range []struct {
		name  string
		match match.Config
		run   func(r *recorder)
		want  int
	}{
		{"a route that is set late", route, func(r *recorder) {
			ctx, root := r.tracer.Start(context.Background(), "GET")
			fail(r.start(ctx, "query")).End()
			root.SetAttributes(routeAttribute)
			root.End()
		}, 2},
		{"another route", route, func(r *recorder) {
			ctx, root := r.tracer.Start(context.Background(), "GET")
			fail(r.start(ctx, "query")).End()
			root.SetAttributes(attribute.String("http.route", "/ws/{id}"))
			root.End()
		}, 0},
		{"a route that changes", match.Config{Not: &route}, func(r *recorder) {
			ctx, root := r.tracer.Start(context.Background(), "GET", trace.WithAttributes(attribute.String("http.route", "/")))
			fail(r.start(ctx, "query")).End()
			root.SetAttributes(routeAttribute)
			root.End()
		}, 0},
		{"a root that fails itself", route, func(r *recorder) {
			ctx, root := r.tracer.Start(context.Background(), "GET")
			r.start(ctx, "query").End()
			root.SetAttributes(routeAttribute)
			fail(root).End()
		}, 2},
		{"a span that outlives the root", route, func(r *recorder) {
			ctx, root := r.tracer.Start(context.Background(), "GET")
			late := r.start(ctx, "late")
			root.SetAttributes(routeAttribute)
			root.End()
			fail(late).End()
		}, 2},
		{"a root that Shutdown ends", route, func(r *recorder) {
			ctx, root := r.tracer.Start(context.Background(), "GET")
			fail(r.start(ctx, "query")).End()
			root.SetAttributes(routeAttribute)
			if err := r.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		}, 2},
		{"a root that is open for too long", route, func(r *recorder) {
			ctx, root := r.tracer.Start(context.Background(), "GET")
			fail(r.start(ctx, "query")).End()
			root.SetAttributes(routeAttribute)
			r.live.decideOverdue(root.(*span).segment)
			root.SetAttributes(attribute.String("http.route", "/other"))
			root.End()
		}, 2},
		{"a segment of some spans", match.Config{Spans: &match.Counts{Min: new(3)}}, func(r *recorder) {
			ctx, root := r.tracer.Start(context.Background(), "GET")
			fail(r.start(ctx, "query")).End()
			r.start(ctx, "another").End()
			root.End()
		}, 3},
		{"a segment of fewer", match.Config{Spans: &match.Counts{Min: new(4)}}, func(r *recorder) {
			ctx, root := r.tracer.Start(context.Background(), "GET")
			fail(r.start(ctx, "query")).End()
			r.start(ctx, "another").End()
			root.End()
		}, 0},
		{"a span that ends after another failed", match.Config{AnySpan: &match.SpanConfig{Name: "payment"}}, func(r *recorder) {
			ctx, root := r.tracer.Start(context.Background(), "GET")
			fail(r.start(ctx, "query")).End()
			r.start(ctx, "payment").End()
			root.End()
		}, 3},
		{"no such span", match.Config{AnySpan: &match.SpanConfig{Name: "payment"}}, func(r *recorder) {
			ctx, root := r.tracer.Start(context.Background(), "GET")
			fail(r.start(ctx, "query")).End()
			root.End()
		}, 0},
		{"the root is a span, too", match.Config{AnySpan: &match.SpanConfig{Name: "GET"}}, func(r *recorder) {
			ctx, root := r.tracer.Start(context.Background(), "GET")
			fail(r.start(ctx, "query")).End()
			root.End()
		}, 2},
		{"attributes of the resource", match.Config{Attributes: map[string]any{"service.name": "shop"}}, func(r *recorder) {
			fail(r.start(context.Background(), "GET")).End()
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := matched(t, Config{Resource: resource.NewSchemaless(attribute.String("service.name", "shop"))}, tt.match, onError)
			tt.run(r)
			if got := len(r.spans()); got != tt.want {
				t.Errorf("kept %q, want %d", r.names(), tt.want)
			}
		})
	}
}

// Where memory is short, and where one segment is too large, who waits for the local
// root is asked before anything of it is decided.
func TestMatchAboutTheRootWithoutRoom(t *testing.T) {
	m := match.Config{Root: &match.SpanConfig{Name: "root"}}
	t.Run("a large segment", func(t *testing.T) {
		r := matched(t, Config{Bounds: Bounds{MaxSegmentBytes: 64 << 10}}, m, onEndOf("rare"))
		ctx, root := r.tracer.Start(context.Background(), "root")
		r.start(ctx, "rare").End()
		for range 1000 {
			r.start(ctx, "child").End()
		}
		root.End()
		if got := len(r.spans()); got != 1002 {
			t.Errorf("%d spans are kept, want all: one was asked for before the oldest were decided", got)
		}
	})
	t.Run("all together", func(t *testing.T) {
		// What holds too much while it is open is let go: on a busy machine it may still be.
		for open := uint64(1); open > 0; {
			r := matched(t, Config{IDGenerator: fixedRandomness(1<<56 - 1), Bounds: Bounds{MaxBytes: 1 << 20}}, m, onError)
			ctx, root := r.tracer.Start(context.Background(), "root")
			fail(r.start(ctx, "child", trace.WithAttributes(attribute.String("x", string(make([]byte, 950<<10)))))).End()
			open = 0
			for end := time.Now().Add(time.Minute); open == 0 && len(r.spans()) == 0 && time.Now().Before(end); open = r.Stats().TooLarge {
				time.Sleep(time.Millisecond)
			}
			root.End()
			if open == 0 {
				r.checkDelivered(t, "child", "root")
			}
		}
	})
}

// A span that ends while the local root does is asked about once it is known.
func TestMatchAboutARootThatEndsMeanwhile(t *testing.T) {
	r := matched(t, Config{}, match.Config{Root: &match.SpanConfig{Name: "root"}}, onError)
	const rounds = 2000
	for range rounds {
		ctx, root := r.tracer.Start(context.Background(), "root")
		child := fail(r.start(ctx, "child"))
		var both sync.WaitGroup
		both.Go(func() { root.End() })
		both.Go(func() { child.End() })
		both.Wait()
	}
	if got := len(r.spans()); got != 2*rounds {
		t.Errorf("%d spans are kept of %d", got, 2*rounds)
	}
}

// Spans that end after the local root see a bounded number of those that wait.
func TestSeenLate(t *testing.T) {
	r := matched(t, Config{Bounds: Bounds{MaxSegmentBytes: 1 << 30}}, match.Config{AnySpan: &match.SpanConfig{Name: "payment"}}, onError)
	ctx, root := r.tracer.Start(context.Background(), "root")
	late := fail(r.start(ctx, "late"))
	for range 2 * maxSeenLate {
		r.start(ctx, "child").End()
	}
	root.End()
	g := root.(*span).segment
	for _, tt := range []struct {
		ended *span
		last  bool
		want  int
	}{{late.(*span), false, maxSeenLate + 1}, {nil, true, 2*maxSeenLate + 1}} {
		var m match.Subject
		g.describe(&m, g.rules(), tt.ended, tt.last)
		if n := len(m.Ended); n != tt.want {
			t.Errorf("%d spans are seen, want %d", n, tt.want)
		}
	}
	late.End()
}

// Each sampler is asked about a span once, whenever that is.
func TestAskedOnce(t *testing.T) {
	asked := map[string]int{}
	var s endFunc = func(p sampling.EndParameters) sampling.Answer {
		asked[p.Span.Name()]++
		return sampling.Abstain()
	}
	r := matched(t, Config{}, match.Config{Root: &match.SpanConfig{Name: "root"}}, s)
	ctx, root := r.tracer.Start(context.Background(), "root")
	late := r.start(ctx, "late")
	r.start(ctx, "early").End()
	root.End()
	late.End()
	if diff := cmp.Diff(map[string]int{"root": 1, "early": 1, "late": 1}, asked); diff != "" {
		t.Error(diff)
	}
}

// Members of the baggage and of the tracestate are those with which the root started.
func TestMatchAboutTheContext(t *testing.T) {
	member, err := baggage.NewMember("tenant", "gold")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	ctx := baggage.ContextWithBaggage(withParent(remoteParent(t, 0, "vendor=x,ot=rv:123456789abcde")), bag)
	gold, vendor := map[string]any{"tenant": "gold"}, map[string]any{"vendor": "x"}
	for _, m := range []match.Config{{Baggage: gold}, {Tracestate: vendor}, {Parent: "remote"}} {
		t.Run(fmt.Sprintf("end %v", m), func(t *testing.T) {
			r := matched(t, Config{}, m, onError)
			below, root := r.tracer.Start(ctx, "root")
			fail(r.start(baggage.ContextWithoutBaggage(below), "child")).End()
			root.End()
			fail(r.start(context.Background(), "another")).End()
			r.checkDelivered(t, "child", "root")
		})
		t.Run(fmt.Sprintf("start %v", m), func(t *testing.T) {
			c := Config{RemoteParent: Ignore}
			c.Samplers.Add(selectAll, Entry{Name: "matched", Match: matcher(t, m)})
			r := newRecorder(t, c, selectNone)
			r.start(ctx, "root").End()
			r.start(context.Background(), "another").End()
			r.checkDelivered(t, "root")
		})
		t.Run(fmt.Sprintf("segment %v", m), func(t *testing.T) {
			var s segmentFunc = func(_ context.Context, segments []sampling.Segment, answers []sampling.Answer) {
				for i := range segments {
					answers[i] = sampling.At(sampling.Always)
				}
			}
			r := matched(t, Config{}, m, s)
			r.start(ctx, "root").End()
			r.start(context.Background(), "another").End()
			if err := r.ForceFlush(context.Background()); err != nil {
				t.Fatal(err)
			}
			r.checkDelivered(t, "root")
		})
	}
}

// seesCanceled notes what failed spans are said to be.
type seesCanceled struct{ said map[string]string }

func (seesCanceled) Traits() sampling.Traits { return sampling.Traits{SeesCancellation: true} }

func (s seesCanceled) SampleEnd(p sampling.EndParameters) sampling.Answer {
	s.said[p.Span.Name()] = fmt.Sprintf("canceled %v, panicked %v", p.Canceled, p.Panicked)
	return sampling.Abstain()
}

func TestWhatEndedASpan(t *testing.T) {
	s := seesCanceled{map[string]string{}}
	r := newRecorder(t, Config{}, s, selectNone)
	ctx, cancel := context.WithCancel(context.Background())
	below, root := r.tracer.Start(ctx, "root")
	r.start(below, "before").End()
	within, stop := context.WithCancel(below)
	stop()
	r.start(within, "a context of its own").End()
	wraps := r.start(below, "an error that wraps it")
	wraps.RecordError(fmt.Errorf("waiting: %w", context.Canceled))
	wraps.End()
	another := r.start(below, "another error after it")
	another.RecordError(context.Canceled)
	another.RecordError(errors.New("disk full"))
	another.End()
	late := r.start(below, "a deadline")
	late.RecordError(context.DeadlineExceeded)
	late.End()
	func() {
		defer func() { _ = recover() }()
		defer r.start(below, "a panic").End()
		panic(errors.New("out of luck"))
	}()
	after := r.start(below, "outlives the root")
	cancel()
	r.start(below, "after").End()
	root.End()
	after.End()
	if diff := cmp.Diff(map[string]string{
		"before":                 "canceled false, panicked false",
		"a context of its own":   "canceled false, panicked false",
		"an error that wraps it": "canceled true, panicked false",
		"another error after it": "canceled false, panicked false",
		"a deadline":             "canceled false, panicked false",
		"a panic":                "canceled false, panicked true",
		"after":                  "canceled true, panicked false",
		"root":                   "canceled true, panicked false",
		"outlives the root":      "canceled false, panicked false",
	}, s.said); diff != "" {
		t.Error(diff)
	}
}
