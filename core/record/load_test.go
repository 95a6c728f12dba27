package record

import (
	"context"
	"math"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// heapAfterGC is what is reachable.
func heapAfterGC() uint64 {
	var m runtime.MemStats
	for range 2 { // the second empties pools
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A client can open any number of requests with one trace ID. They cost what others
// cost.
func TestManyRootsOfOneTrace(t *testing.T) {
	const roots = 16_000
	same, distinct := make([]context.Context, roots), make([]context.Context, roots)
	for i := range roots {
		distinct[i] = withParent(remoteParent(t, 0, "")) //nolint:fatcontext // each stands alone
		same[i] = distinct[0]
	}
	run := func(parents []context.Context) (took time.Duration) {
		r := newRecorder(t, Config{Bounds: Bounds{MaxBytes: 1 << 30}, Deliver: func(Kept) {}}, onError, selectNone)
		before := heapAfterGC()
		open := make([]trace.Span, roots)
		start := time.Now()
		for i := range open {
			open[i] = r.start(parents[i], "root")
		}
		took = time.Since(start)
		if heap, held := int64(heapAfterGC()-before), r.live.exactly(); heap > held*5/4 {
			t.Errorf("open roots take %d bytes, and are said to hold %d", heap, held)
		}
		start = time.Now()
		for i, s := range open {
			if i%2 == 0 {
				fail(s)
			}
			s.End()
		}
		took += time.Since(start)
		r.checkEmpty(t)
		return took
	}
	fast, slow := time.Hour, time.Hour // the least of several: others use the machine too
	for range 2 {
		slow = min(slow, run(same))
		fast = min(fast, run(distinct))
	}
	if slow > 4*fast {
		t.Errorf("%d roots of one trace take %v, of distinct ones %v", roots, slow, fast)
	}
}

// What is remembered of a trace is bounded, however often a client uses its ID.
func TestTraceIDsThatAClientReuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const requests = 50_000
		keepHalf := endFunc(func(sampling.EndParameters) sampling.Answer { return sampling.At(half) })
		r := newRecorder(t, Config{Deliver: func(Kept) {}}, keepHalf, selectNone)
		parents := make([]context.Context, 10)
		for i := range parents {
			parents[i] = withParent(remoteParent(t, 0, "")) //nolint:fatcontext // each stands alone
		}
		before := heapAfterGC()
		for i := range requests {
			r.start(parents[i%len(parents)], "request").End()
			if i%(requests/100) == 0 { // 10 s in all: nothing is old enough to be forgotten
				time.Sleep(r.live.tick)
			}
		}
		if grown, most := int64(heapAfterGC()-before), int64(256<<10); grown > most {
			t.Errorf("%d answers for %d traces hold %d bytes, want at most %d", requests, len(parents), grown, most)
		}
		if n := r.Stats().Remembered; n != len(parents) {
			t.Errorf("%d traces are remembered, want %d", n, len(parents))
		}
		runtime.KeepAlive(r)
	})
}

// Under ignore requests with one trace ID are decided each for itself.
func TestTraceIDsThatAClientReusesIgnored(t *testing.T) {
	randomness := []uint64{half, half - 1, half, half - 1}
	i := -1
	r := newRecorder(t, Config{RemoteParent: Ignore, Randomness: func() uint64 { i++; return randomness[i] }}, onError, startAt(half))
	ctx := withParent(remoteParent(t, trace.FlagsSampled, "ot=th:0;rv:ffffffffffffff"))
	fail(r.start(ctx, "0")).End()
	r.start(ctx, "1").End()
	r.start(ctx, "2").End()
	fail(r.start(ctx, "3")).End()
	r.checkDelivered(t, "0", "2", "3")
	if got := thresholdIn(r.span(t, "2")); got != half {
		t.Errorf("an answer about another request gave threshold %v", got)
	}
	if n := r.Stats().Remembered; n != 0 {
		t.Errorf("%d answers are remembered for others", n)
	}
}

// A root that never ends costs what ends below it within MaxWait, and no more.
func TestRootThatNeverEnds(t *testing.T) {
	for _, test := range []struct {
		name       string
		randomness uint64
	}{{"kept", half}, {"not kept", half - 1}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const seconds, perWait = 1200, 60
				r := newRecorder(t, Config{Bounds: Bounds{MaxWait: perWait * time.Second}, IDGenerator: fixedRandomness(test.randomness)}, onError, startAt(half))
				ctx, root := r.tracer.Start(context.Background(), "root")
				var most int64
				for range seconds {
					r.start(ctx, "child").End()
					time.Sleep(time.Second)
					most = max(most, r.live.exactly())
				}
				if limit := 2 * perWait * (spanBytes + 64); most > limit {
					t.Errorf("%d bytes were held, want at most %d", most, limit)
				}
				kept := test.randomness >= half
				n := len(r.spans())
				if kept && n < seconds-2*perWait || !kept && n > 0 {
					t.Errorf("%d of %d children were delivered", n, seconds)
				}
				fail(r.start(ctx, "last")).End()
				if err := r.Shutdown(t.Context()); err != nil {
					t.Fatal(err)
				}
				last := r.span(t, "root")
				forgotten, _ := valueOf(last.Attributes(), sampling.SpansForgottenKey)
				if got := int64(len(r.spans())) + forgotten.AsInt64(); got != seconds+2 {
					t.Errorf("%d spans were delivered or are said to be forgotten, want %d", got, seconds+2)
				}
				if _, n := valueOf(last.Attributes(), sampling.UnfinishedKey); n != 1 {
					t.Error("the root is not marked as unfinished")
				}
				root.End()
			})
		})
	}
}

// Streams that are open for long fill the memory before any of them may be decided
// for its age. Then some of them are let go, and the weights of the others say so.
func TestStreamsThatFillMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const streams, seconds, failAt, maxBytes, fillsIn = 5_000, 28, 22, 16 << 20, 15
		next := uint64(0)
		r := newRecorder(t, Config{
			Bounds: Bounds{MaxBytes: maxBytes},
			// Every randomness is there once: what is kept is exact.
			IDGenerator: idsWith(func() uint64 { next++; return (next*7919%streams*2 + 1) * (1 << 56 / (2 * streams)) }),
		}, onError, selectNone)
		pad := attribute.String("pad", strings.Repeat("x", maxBytes/streams/fillsIn))
		contexts := make([]context.Context, streams)
		roots := make([]trace.Span, streams)
		for i := range streams {
			contexts[i], roots[i] = r.tracer.Start(t.Context(), "stream") //nolint:fatcontext // each stands alone
		}
		for second := range seconds {
			name := strconv.Itoa(second)
			for i := range streams {
				s := r.start(contexts[i], name, trace.WithAttributes(pad))
				if second == failAt {
					fail(s)
				}
				s.End()
				if i%1000 == 0 {
					synctest.Wait()
				}
			}
			synctest.Wait()
			if held := r.live.exactly(); held > maxBytes {
				t.Fatalf("%d bytes are held after %d s, want at most %d", held, second, maxBytes)
			}
			time.Sleep(time.Second)
		}
		for _, s := range roots {
			s.End()
		}
		if r.Stats().UnderPressure == 0 {
			t.Error("nothing was let go: the test does not fill the memory")
		}
		weights := map[string]float64{}
		for _, s := range r.spans() {
			weights[s.Name()] += thresholdIn(s).AdjustedCount()
		}
		for _, name := range []string{strconv.Itoa(failAt), strconv.Itoa(seconds - 1), "stream"} {
			if w := weights[name]; math.Abs(w-streams) > streams/50 {
				t.Errorf("spans %q that were kept stand for %.0f, want %d", name, w, streams)
			}
		}
	})
}
