package record

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// However many read the attributes of a span that has ended, they are put in order
// once, and all are given the same.
func TestAttributesAreNormalizedOnce(t *testing.T) {
	for name, few := range map[string]bool{"few": true, "many": false} {
		t.Run(name, func(t *testing.T) {
			seen := &startedSpans{}
			r := newRecorder(t, Config{SpanProcessors: []sdktrace.SpanProcessor{seen}, IDGenerator: fixedRandomness(half)}, onError, startAt(half))
			for range 20 {
				ctx, root := r.tracer.Start(context.Background(), "root")
				_, child := r.tracer.Start(ctx, "child", trace.WithAttributes(attribute.Int("a", 0), attribute.Int("b", 0), attribute.Int("a", 1)))
				child.SetAttributes(attribute.Int("b", 1), attribute.Int("c", 1))
				want := []attribute.KeyValue{attribute.Int("a", 1), attribute.Int("b", 1), attribute.Int("c", 1)}
				if !few {
					for i := range 100 {
						child.SetAttributes(attribute.Int(fmt.Sprint(i), 0), attribute.Int(fmt.Sprint(i), i))
						want = append(want, attribute.Int(fmt.Sprint(i), i))
					}
				}
				child.End()
				root.End()
				delivered := r.spans()
				readers := []sdktrace.ReadOnlySpan{
					delivered[len(delivered)-2], delivered[len(delivered)-2], child.(sdktrace.ReadOnlySpan), seen.ended[len(seen.ended)-2],
				}
				got := make([][]attribute.KeyValue, len(readers))
				var reading sync.WaitGroup
				for i := range readers {
					reading.Go(func() { got[i] = readers[i].Attributes() })
				}
				reading.Wait()
				for i := range got {
					if !slices.Equal(got[i], want) {
						t.Fatalf("a reader is given %v, want %v", got[i], want)
					}
					if &got[i][0] != &got[0][0] {
						t.Fatal("two readers are given different slices")
					}
				}
			}
		})
	}
}

// A slice that was handed out is nobody's to write to, whatever happens to the span.
func TestHandedOutSlicesAreNotWritten(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		limits := unlimited
		limits.AttributeCountLimit = []int{-1, 4, 40}[round%3]
		limits.EventCountLimit = []int{-1, 3}[round%2]
		limits.LinkCountLimit = limits.EventCountLimit
		r := newRecorder(t, Config{Limits: limits}, onError, selectNone)
		random := func(n int) int { return random.IntN(n) }
		some := func() []attribute.KeyValue {
			kvs := make([]attribute.KeyValue, random(5), 8)
			for i := range kvs {
				kvs[i] = attribute.Int(fmt.Sprint(random(60)), random(1000))
			}
			return kvs
		}
		given := some()
		s := r.start(context.Background(), "root", trace.WithAttributes(given...)).(*span)
		var checks []func()
		handOut := func(from sdktrace.ReadOnlySpan) {
			attrs, events, links := from.Attributes(), from.Events(), from.Links()
			attrsThen, eventsThen, linksThen := slices.Clone(attrs), slices.Clone(events), slices.Clone(links)
			checks = append(checks, func() {
				if !slices.Equal(attrs, attrsThen) || fmt.Sprint(events, links) != fmt.Sprint(eventsThen, linksThen) {
					t.Fatalf("what was handed out has changed: %v was %v", attrs, attrsThen)
				}
			})
		}
		for range 30 {
			switch random(6) {
			case 0:
				handOut(s)
			case 1:
				s.AddEvent(fmt.Sprint(random(1000)))
			case 2:
				s.AddLink(trace.Link{Attributes: some()})
			default:
				given := some()
				s.SetAttributes(given...)
				before := slices.Clone(s.Attributes())
				clear(given) // it is the caller's
				if !slices.Equal(s.Attributes(), before) {
					t.Fatal("the span holds the caller's slice")
				}
			}
		}
		fail(s)
		s.End()
		handOut(s)
		handOut(&s.recorded)
		handOut(r.spans()[0])
		for _, check := range checks {
			check()
		}
	}
}

// A decision changes what exporters see, and not what the application has.
func TestSpanContextNeverChanges(t *testing.T) {
	r := newRecorder(t, Config{}, onError, selectNone)
	ctx, root := r.tracer.Start(withParent(remoteParent(t, 0x82, "ot=rv:ffffffffffffff,other=1")), "root")
	_, child := r.tracer.Start(ctx, "child")
	spans := []trace.Span{root, child}
	var before []trace.SpanContext
	check := func(when string) {
		t.Helper()
		for i, s := range spans {
			if got := s.SpanContext(); !got.Equal(before[i]) {
				t.Errorf("after %s the context is %+v, and was %+v", when, got, before[i])
			}
			if got := s.(*span).recorded.SpanContext(); !got.Equal(before[i]) {
				t.Errorf("after %s a processor sees %+v, and saw %+v", when, got, before[i])
			}
		}
	}
	for _, s := range spans {
		before = append(before, s.SpanContext())
	}
	fail(child).End()
	check("the end")
	_, later := r.tracer.Start(ctx, "later") // its context says that it is kept
	spans, before = append(spans, later), append(before, later.SpanContext())
	later.End()
	root.End()
	check("the delivery")
	if before[1].IsSampled() || sampling.ThresholdIn(before[1].TraceState()) != sampling.Unknown {
		t.Error("the context says that the span is kept, before anybody said so")
	}
	if !before[2].IsSampled() || sampling.ThresholdIn(before[2].TraceState()) != sampling.Always {
		t.Error("the context of a later span does not say that it is kept")
	}
	for i, name := range []string{"root", "child", "later"} {
		got := r.span(t, name).SpanContext()
		if want := before[i].WithTraceFlags(0x83).WithTraceState(got.TraceState()); !got.Equal(want) {
			t.Errorf("%s is delivered with %+v, want %+v", name, got, want)
		}
		if state := got.TraceState().String(); state != "ot=th:0;rv:ffffffffffffff,other=1" {
			t.Errorf("%s is delivered with tracestate %s", name, state)
		}
	}
}

// What riffle has to say counts in no limit, pushes nothing out and stands once.
func TestAttributesOfRiffle(t *testing.T) {
	limits := unlimited
	limits.AttributeCountLimit = 2
	r := newRecorder(t, Config{Limits: limits}, onError, selectNone)
	own := []attribute.KeyValue{sampling.SamplerKey.String("the application's"), attribute.Int("b", 1)}
	ctx, root := r.tracer.Start(withParent(remoteParent(t, 0, "")), "root", trace.WithAttributes(own...))
	child := fail(r.start(ctx, "child", trace.WithAttributes(attribute.Int("a", 1), sampling.UnfinishedKey.Bool(false))))
	if err := r.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]attribute.KeyValue{
		"root": {
			sampling.SamplerKey.String("first"), attribute.Int("b", 1), sampling.UnfinishedKey.Bool(true),
			sampling.ParentMissingKey.Bool(true),
		},
		"child": {attribute.Int("a", 1), sampling.UnfinishedKey.Bool(true)},
	} {
		s := r.span(t, name)
		if got := s.Attributes(); !slices.Equal(got, want) {
			t.Errorf("%s has attributes %v, want %v", name, got, want)
		}
		if n := s.DroppedAttributes(); n > 0 {
			t.Errorf("%s has dropped %d attributes", name, n)
		}
	}
	for _, s := range []trace.Span{root, child} {
		if _, n := valueOf(s.(*span).Attributes(), sampling.ParentMissingKey); n > 0 {
			t.Error("the application's span shows what was added for exporters")
		}
	}
}

// Of calls on one span from many goroutines each counts or does not, and what the
// span has at its end is what is delivered.
func TestConcurrentWritesAndEnds(t *testing.T) {
	for range 100 {
		ended := &endedSpans{}
		r := newRecorder(t, Config{SpanProcessors: []sdktrace.SpanProcessor{ended}}, onError, selectAll)
		ctx, s := r.tracer.Start(context.Background(), "root")
		var accepted [4]atomic.Int64
		var running sync.WaitGroup
		var ready sync.WaitGroup
		ready.Add(len(accepted) + 2)
		for w := range accepted {
			running.Go(func() {
				ready.Done()
				ready.Wait()
				for i := int64(0); s.IsRecording(); i++ {
					s.SetAttributes(attribute.Int64(fmt.Sprint("writer", w), i))
					s.AddEvent("event", trace.WithAttributes(attribute.Int64("i", i)))
					s.SetStatus(codes.Error, "")
					s.SetName("root")
					_ = s.(*span).Attributes()
					r.start(ctx, "child").End()
					if s.IsRecording() { // so all of that came before the end
						accepted[w].Store(i)
					}
				}
			})
		}
		for range 2 {
			running.Go(func() {
				ready.Done()
				ready.Wait()
				s.End()
			})
		}
		running.Wait()
		handed := r.span(t, "root")
		live := s.(*span)
		riffles := len(handed.Attributes()) - len(live.Attributes())
		if riffles != 1 || !slices.Equal(live.Attributes(), handed.Attributes()[:len(live.Attributes())]) {
			t.Fatalf("delivered are the attributes %v, the span has %v", handed.Attributes(), live.Attributes())
		}
		for w := range accepted {
			if v, _ := valueOf(handed.Attributes(), attribute.Key(fmt.Sprint("writer", w))); v.AsInt64() < accepted[w].Load() {
				t.Fatalf("writer %d had set %d before the end, delivered is %d", w, accepted[w].Load(), v.AsInt64())
			}
		}
		if !handed.EndTime().Equal(live.EndTime()) || len(handed.Events()) != len(live.Events()) {
			t.Fatal("what was delivered is not what the span has")
		}
		if n := strings.Count(strings.Join(ended.names(), " "), "root"); n != 1 {
			t.Fatalf("span processors saw %d ends", n)
		}
	}
}
