package record

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

const large = 16 << 10

// largeText is memory of its own each time.
func largeText() string { return strings.Repeat("x", large) }

// largeState is a tracestate as large as the API allows one to be.
func largeState(t *testing.T) trace.TraceState {
	var members []string
	for i := range 32 {
		members = append(members, fmt.Sprintf("k%d%s=%s", i, strings.Repeat("k", 200), strings.Repeat("v", 256)))
	}
	state, err := trace.ParseTraceState(strings.Join(members, ","))
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// Whatever finished requests hold while a slow segment sampler is asked about them, it
// is bounded by MaxBytes.
func TestWhatWaitsIsMeasured(t *testing.T) {
	many := make([]attribute.KeyValue, 200)
	for i := range many {
		many[i] = attribute.Int(fmt.Sprint(i), i)
	}
	for name, request := range map[string]func(*testing.T, *recorder){
		"nothing": func(_ *testing.T, r *recorder) { r.start(context.Background(), "root").End() },
		"a child": func(_ *testing.T, r *recorder) {
			ctx, root := r.tracer.Start(context.Background(), "root")
			r.start(ctx, "child").End()
			root.End()
		},
		"five children": func(_ *testing.T, r *recorder) {
			ctx, root := r.tracer.Start(context.Background(), "root")
			for range 5 {
				r.start(ctx, "child").End()
			}
			root.End()
		},
		"tracestate": func(t *testing.T, r *recorder) {
			r.start(withParent(remoteParent(t, 0, "").WithTraceState(largeState(t))), "root").End()
		},
		"tracestate of another's span": func(t *testing.T, r *recorder) {
			ctx, root := r.tracer.Start(context.Background(), "root")
			between := root.SpanContext().WithTraceState(largeState(t))
			r.start(trace.ContextWithSpanContext(ctx, between), "child").End()
			root.End()
		},
		"name": func(_ *testing.T, r *recorder) { r.start(context.Background(), largeText()).End() },
		"new name": func(_ *testing.T, r *recorder) {
			s := r.start(context.Background(), "root")
			s.SetName(largeText())
			s.End()
		},
		"status": func(_ *testing.T, r *recorder) {
			s := r.start(context.Background(), "root")
			s.SetStatus(codes.Error, largeText())
			s.End()
		},
		"key": func(_ *testing.T, r *recorder) {
			r.start(context.Background(), "root", trace.WithAttributes(attribute.Int(largeText(), 1))).End()
		},
		"value": func(_ *testing.T, r *recorder) {
			s := r.start(context.Background(), "root")
			s.SetAttributes(attribute.StringSlice("key", []string{largeText()}))
			s.End()
		},
		"nested value": func(_ *testing.T, r *recorder) {
			s := r.start(context.Background(), "root")
			s.SetAttributes(attribute.Slice("key", attribute.MapValue(attribute.String("inner", largeText()))))
			s.End()
		},
		"attributes that were read": func(_ *testing.T, r *recorder) {
			s := r.start(context.Background(), "root")
			s.SetAttributes(attribute.String("key", largeText()))
			if s, ok := s.(sdktrace.ReadOnlySpan); ok {
				_ = s.Attributes()
			}
			s.End()
		},
		"attributes at the limit": func(_ *testing.T, r *recorder) {
			s := r.start(context.Background(), "root")
			s.SetAttributes(attribute.Int("a", 0), attribute.Int("b", 0), attribute.String("c", ""))
			for i := range 2 {
				s.SetAttributes(attribute.Int("a", i), attribute.Int("b", i), attribute.String("c", largeText()))
			}
			s.End()
		},
		"attributes over the limit at the start": func(_ *testing.T, r *recorder) {
			kvs := append(many[:10:10], attribute.String("0", largeText()))
			r.start(context.Background(), "root", trace.WithAttributes(kvs...)).End()
		},
		"event": func(_ *testing.T, r *recorder) {
			s := r.start(context.Background(), "root")
			s.AddEvent(largeText(), trace.WithAttributes(attribute.String("a", largeText())))
			s.End()
		},
		"event over the limit": func(_ *testing.T, r *recorder) {
			s := r.start(context.Background(), "root")
			s.AddEvent("event", trace.WithAttributes(many...))
			s.End()
		},
		"link": func(t *testing.T, r *recorder) {
			r.start(context.Background(), "root", trace.WithLinks(trace.Link{
				SpanContext: remoteParent(t, 0, "").WithTraceState(largeState(t)),
				Attributes:  []attribute.KeyValue{attribute.String("a", largeText())},
			})).End()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				maxBytes, requests := int64(8<<20), 3_000
				switch name {
				case "nothing", "a child", "five children":
					requests = 20_000
				case "tracestate": // a client can choose it
					maxBytes, requests = 16<<20, 20_000
				}
				limits := unlimited
				limits.AttributeCountLimit, limits.AttributePerEventCountLimit = 4, 4
				waits := segmentFunc(func(ctx context.Context, _ []sampling.Segment, _ []sampling.Answer) { <-ctx.Done() })
				before := heapAfterGC()
				r := newRecorder(t, Config{
					Limits: limits, Bounds: Bounds{MaxBytes: maxBytes}, Deliver: func(Kept) {},
				}, raising{waits}, startAt(half))
				for i := range requests {
					request(t, r)
					if i%100 == 0 {
						synctest.Wait() // until room is made
					}
				}
				synctest.Wait()
				held, heap := r.live.exactly(), int64(heapAfterGC()-before)
				if held > maxBytes {
					t.Errorf("%d bytes are held, want at most %d", held, maxBytes)
				}
				if heap > maxBytes/4*5 {
					t.Errorf("%d MiB are reachable, want at most %d: held are %d MiB", heap>>20, maxBytes/4*5>>20, held>>20)
				}
				runtime.KeepAlive(r)
			})
		})
	}
}

// A span may hold more than a segment may.
func TestLargeSpanIsMeasured(t *testing.T) {
	const size = 10 << 20
	text := strings.Repeat("x", size)
	for name, test := range map[string]func(r *recorder, ctx context.Context) trace.Span{
		"name": func(r *recorder, ctx context.Context) trace.Span { return r.start(ctx, text) },
		"attribute": func(r *recorder, ctx context.Context) trace.Span {
			return r.start(ctx, "large", trace.WithAttributes(attribute.String("key", text)))
		},
		"attribute set later": func(r *recorder, ctx context.Context) trace.Span {
			s := r.start(ctx, "large")
			s.SetAttributes(attribute.String("key", text))
			return s
		},
		"several": func(r *recorder, ctx context.Context) trace.Span {
			s := r.start(ctx, text[:size/4])
			s.SetAttributes(attribute.String("key", text[:size/4]))
			s.SetName(text[:size/2])
			s.AddEvent(text[:size/4])
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, randomness := range []uint64{half, half - 1} {
				c := Config{Bounds: Bounds{MaxBytes: 1 << 30, MaxSegmentBytes: 1 << 30}, IDGenerator: fixedRandomness(randomness)}
				r := newRecorder(t, c, onError, startAt(half))
				ctx, root := r.tracer.Start(context.Background(), "root")
				before := r.live.exactly()
				test(r, ctx).End()
				if n := r.live.exactly() - before; n < size || n > size+size/100 {
					t.Errorf("%d bytes are held, want %d and a little", n, size)
				}
				if g := root.(*span).segment; g.bytes != r.live.exactly()-before {
					t.Errorf("the segment counts with %d bytes, want %d", g.bytes, r.live.exactly()-before)
				}
				root.End()
				r.checkEmpty(t)
				open := test(r, context.Background())
				g := open.(*span).segment
				g.mu.Lock()
				g.abandon(&handOver{})
				g.mu.Unlock()
				open.End()
				r.checkEmpty(t)
			}
		})
	}
}

// Many parts of segments that go on make room like a few large ones.
func TestSmallPartsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const segments, perSegment = 5_000, 1
		maxBytes := segments * (segmentBytes + perSegment*spanBytes/2)
		r := newRecorder(t, Config{Bounds: Bounds{MaxBytes: maxBytes}, IDGenerator: fixedRandomness(half)}, onError, startAt(half))
		roots := make([]trace.Span, segments)
		for i := range roots {
			var ctx context.Context
			ctx, roots[i] = r.tracer.Start(t.Context(), "root")
			for range perSegment {
				r.start(ctx, "child").End()
			}
		}
		synctest.Wait()
		if held := r.live.exactly(); held > maxBytes {
			t.Errorf("%d bytes are held, want at most %d; %d parts were decided", held, maxBytes, r.Stats().Crowded)
		}
		for _, s := range roots {
			s.End()
		}
	})
}

// Whatever has happened, nothing is held when everything is decided.
func TestNothingIsHeldInTheEnd(t *testing.T) {
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) { randomHistory(t, seed) })
	}
}

// randomHistory starts and ends spans of a few traces at random, under all bounds.
func randomHistory(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	samplers := []sampling.Sampler{onError, endFunc(func(p sampling.EndParameters) sampling.Answer {
		return []sampling.Answer{sampling.Abstain(), sampling.Abstain(), sampling.Abstain(), sampling.At(half), sampling.At(sampling.Unknown)}[len(p.Span.Name())%5]
	}), startAt([]sampling.Threshold{sampling.Never, half, sampling.Always}[seed%3])}
	if seed%2 == 0 {
		samplers = append(samplers, raising{segmentFunc(func(_ context.Context, segments []sampling.Segment, answers []sampling.Answer) {
			for i := range answers {
				answers[i] = []sampling.Answer{sampling.Abstain(), sampling.At(half), sampling.AtMost(sampling.Never)}[i%3]
			}
			if len(segments)%2 == 0 {
				time.Sleep(100 * time.Millisecond)
			}
		})})
	}
	c := Config{Bounds: Bounds{
		MaxBytes: 64 << 10, MaxSegmentBytes: []int64{8 << 10, 64 << 10}[seed/2%2],
		MaxWait: 10 * time.Second, DecisionWait: time.Second,
	}}
	r := newRecorder(t, c, samplers...)
	if seed%5 == 0 {
		r.RegisterSpanProcessor(&endedSpans{})
	}
	type started struct {
		ctx  context.Context //nolint:containedctx // of the requests
		span trace.Span
	}
	list := []started{{ctx: context.Background()}}
	for range 600 {
		of := list[random.IntN(len(list))]
		switch random.IntN(12) {
		case 0, 1, 2, 3:
			ctx, s := r.tracer.Start(of.ctx, strings.Repeat("n", random.IntN(20)))
			list = append(list, started{ctx, s})
		case 4:
			ctx, s := r.tracer.Start(context.Background(), "root")
			list = append(list, started{ctx, s})
		case 5:
			if of.span != nil { // decorated, or a bare context with or without its span
				ctx := []context.Context{of.ctx, context.Background()}[random.IntN(2)]
				list = append(list, started{trace.ContextWithSpanContext(ctx, of.span.SpanContext()), of.span})
			}
		case 6:
			time.Sleep(time.Duration(random.IntN(700)) * time.Millisecond)
		case 7:
			if of.span != nil {
				of.span.SetAttributes(attribute.String(fmt.Sprint(random.IntN(5)), strings.Repeat("v", random.IntN(3000))))
				of.span.AddEvent("event")
				of.span.SetName("renamed")
			}
		default:
			if of.span != nil {
				if random.IntN(20) == 0 {
					fail(of.span)
				}
				of.span.End()
			}
		}
		if n := r.live.exactly(); n < 0 {
			t.Fatalf("seed %d: %d bytes are held", seed, n)
		}
	}
	if seed%7 == 0 { // Shutdown ends the rest
		return
	}
	for _, s := range list[1:] {
		s.span.End()
	}
	synctest.Wait()
	time.Sleep(time.Minute)
	synctest.Wait()
	if t.Failed() {
		return
	}
	if r.checkEmpty(t); t.Failed() {
		t.Fatalf("seed %d", seed)
	}
}

// What open spans are given late is bounded like what they start with.
func TestWhatOpenSpansHoldIsMeasured(t *testing.T) {
	for name, add := range map[string]func(trace.Span){
		"attribute": func(s trace.Span) { s.SetAttributes(attribute.String("a", largeText())) },
		"list":      func(s trace.Span) { s.SetAttributes(attribute.StringSlice("a", []string{largeText()})) },
		"event":     func(s trace.Span) { s.AddEvent("a", trace.WithAttributes(attribute.String("a", largeText()))) },
		"link": func(s trace.Span) {
			s.AddLink(trace.Link{Attributes: []attribute.KeyValue{attribute.String("a", largeText())}})
		},
		"error": func(s trace.Span) { s.SetStatus(codes.Error, largeText()) },
		"small events": func(s trace.Span) {
			for range 200 {
				s.AddEvent("a")
			}
		},
		"small attributes": func(s trace.Span) {
			for i := range 60 {
				s.SetAttributes(attribute.String(fmt.Sprint(i), strings.Repeat("x", 600)))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const maxBytes, requests = 8 << 20, 3_000
				before := heapAfterGC()
				r := newRecorder(t, Config{Limits: sdktrace.NewSpanLimits(), Bounds: Bounds{MaxBytes: maxBytes}}, onError, selectNone)
				open := make([]trace.Span, requests) // which the application has: they hold nothing
				for i := range open {
					open[i] = r.start(t.Context(), "root")
					add(open[i])
					if i%50 == 0 {
						synctest.Wait()
					}
				}
				synctest.Wait()
				most := int64(maxBytes/4*5) + requests*spanBytes
				if heap := int64(heapAfterGC() - before); heap > most {
					t.Errorf("%d MiB are reachable, want at most %d; held are %d", heap>>20, most>>20, r.live.exactly()>>20)
				}
				runtime.KeepAlive(open)
			})
		})
	}
}

// What is replaced in an open span again and again is counted as what is there.
func TestWhatIsReplacedIsMeasured(t *testing.T) {
	limits := sdktrace.NewSpanLimits()
	limits.EventCountLimit, limits.LinkCountLimit = 3, 3
	r := newRecorder(t, Config{Limits: limits}, onError, selectNone)
	s := r.start(t.Context(), "root")
	for i := range 1000 {
		text := attribute.String("a", strings.Repeat("x", large*(i%2)))
		s.SetAttributes(text)
		s.AddEvent("a", trace.WithAttributes(text))
		s.AddLink(trace.Link{Attributes: []attribute.KeyValue{text}})
		s.SetStatus(codes.Error, text.Value.AsString())
	}
	if n := r.live.exactly(); n > 12*large {
		t.Errorf("%d bytes are held", n)
	}
	s.End()
}
