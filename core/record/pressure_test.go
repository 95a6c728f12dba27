package record

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// Clients who fill the memory with requests whose randomness they have chosen, so that
// no pressure threshold reaches them, or who fill it with many, take nothing from
// others who hold less than an equal share: every error of those is kept, and the memory
// stays bounded.
func TestClientsFillMemory(t *testing.T) {
	const (
		maxBytes, honest, before, meanwhile = 16 << 20, 500, 100, 1
		atOnce                              = 20 // honest requests
	)
	whole := strings.Repeat("x", 1<<20)
	text := func(size int) trace.SpanStartEventOption {
		return trace.WithAttributes(attribute.String("user_agent.original", whole[:size]))
	}
	chosen := func(t *testing.T, flags trace.TraceFlags, state string) context.Context {
		return withParent(remoteParent(t, flags, state))
	}
	for name, open := range map[string]func(*testing.T, *recorder){
		"large open roots": func(t *testing.T, r *recorder) {
			r.start(chosen(t, 0, "ot=rv:ffffffffffffff"), "POST", text(1<<20))
		},
		"small open roots": func(t *testing.T, r *recorder) {
			for range 4 {
				r.start(chosen(t, 0, "ot=rv:ffffffffffffff"), "POST", text(10<<10))
			}
		},
		"large ended children": func(t *testing.T, r *recorder) {
			ctx, _ := r.tracer.Start(chosen(t, 0, "ot=rv:ffffffffffffff"), "POST")
			r.start(ctx, "parse", text(1<<20)).End()
		},
		"roots that the client calls sampled": func(t *testing.T, r *recorder) {
			r.start(chosen(t, trace.FlagsSampled, "ot=th:8;rv:ffffffffffffff"), "POST", text(1<<20))
		},
		"roots that the client calls sampled, of no known threshold": func(t *testing.T, r *recorder) {
			ctx, _ := r.tracer.Start(chosen(t, trace.FlagsSampled, ""), "POST", text(100<<10))
			r.start(ctx, "parse", text(1<<20)).End()
		},
		"roots of one trace": func(t *testing.T, r *recorder) {
			parent, err := trace.ParseTraceState("ot=rv:ffffffffffffff")
			if err != nil {
				t.Fatal(err)
			}
			one := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceState: parent, Remote: true})
			r.start(withParent(one), "POST", text(1<<20))
		},
	} {
		for _, mode := range []RemoteParent{Watch, Ignore} {
			t.Run(fmt.Sprint(name, "/", mode), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRecorder(t, Config{Bounds: Bounds{MaxBytes: maxBytes}, RemoteParent: mode}, onError, selectNone)
					var most int64
					attack := func(times int) {
						for range times {
							open(t, r)
							synctest.Wait()
							most = max(most, r.live.exactly())
						}
					}
					attack(before)
					type request struct{ root, child trace.Span }
					var running []request
					finish := func(n int) {
						for _, q := range running[:n] {
							fail(q.child).End()
							q.root.End()
						}
						running = running[n:]
					}
					for range honest {
						ctx, root := r.tracer.Start(context.Background(), "honest")
						running = append(running, request{root, r.start(ctx, "query")})
						if attack(meanwhile); len(running) > atOnce {
							finish(1)
						}
					}
					finish(len(running))
					n := map[string]int{}
					for _, s := range r.spans() {
						n[s.Name()]++
					}
					if n["honest"] != honest || n["query"] != honest {
						t.Errorf("of %d failing requests %d were kept, with %d of their children", honest, n["honest"], n["query"])
					}
					if most > maxBytes+1<<21 {
						t.Errorf("%d bytes were held, want at most %d", most, maxBytes)
					}
				})
			})
		}
	}
}

// Whether pressure frees what it should is not told from a few segments that are a little
// larger than the others, and that it happens not to reach.
func TestFewLargerSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const maxBytes, larger, smaller = 1 << 20, 5, 1000
		next := uint64(0)
		r := newRecorder(t, Config{
			Bounds: Bounds{MaxBytes: maxBytes},
			IDGenerator: idsWith(func() uint64 {
				if next++; next <= larger {
					return 1<<56 - next // which no threshold reaches
				}
				return (next*7919%smaller*2 + 1) * (1 << 56 / (2 * smaller))
			}),
		}, onError, selectNone)
		open := make([]trace.Span, larger+smaller)
		for i := range open {
			size := 1 << 10
			if i < larger {
				size = 3 << 10 // of another power of two
			}
			open[i] = r.start(context.Background(), "root", trace.WithAttributes(attribute.String("payload", strings.Repeat("x", size))))
		}
		synctest.Wait()
		for _, s := range open {
			fail(s).End()
		}
		s := r.Stats()
		if s.UnderPressure == 0 || s.TooLarge > 0 {
			t.Errorf("%d segments were let go under pressure, %d of them because they were too large: want some, and none", s.UnderPressure, s.TooLarge)
		}
		var weight float64
		for _, s := range r.spans() {
			weight += sampling.ThresholdOf(s.SpanContext()).AdjustedCount()
		}
		if all := float64(larger + smaller); weight < all*0.9 || weight > all*1.1 {
			t.Errorf("what is kept stands for %.1f of %v", weight, all)
		}
	})
}

// Where there are too many segments for any size to be at fault, new ones are not
// recorded, and what is kept stands for them.
func TestTooManySmallSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const maxBytes, roots = 1 << 20, 20_000
		next := uint64(0)
		r := newRecorder(t, Config{
			Bounds:      Bounds{MaxBytes: maxBytes},
			IDGenerator: idsWith(func() uint64 { next++; return (next*7919%roots*2 + 1) * (1 << 56 / (2 * roots)) }),
		}, onError, selectNone)
		open := make([]trace.Span, roots)
		for i := range open {
			open[i] = r.start(context.Background(), "root")
			if i%50 == 0 {
				synctest.Wait()
			}
		}
		for _, s := range open {
			fail(s).End()
		}
		if s := r.Stats(); s.Unrecorded == 0 || s.UnderPressure == 0 || s.TooLarge > 0 {
			t.Errorf("stats = %+v, want roots that are not recorded, and none that is too large", s)
		}
		var weight float64
		for _, s := range r.spans() {
			weight += thresholdIn(s).AdjustedCount()
		}
		if weight < roots*0.9 || weight > roots*1.1 {
			t.Errorf("what was kept stands for %.0f, want %d", weight, roots)
		}
	})
}

// What has ended of a small segment is not decided early where open spans of large ones
// hold the memory: it would be missed when the request fails.
func TestSmallSegmentsAreDecidedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(t, Config{Bounds: Bounds{MaxBytes: 16 << 20}}, onError, selectNone)
		ctx, root := r.tracer.Start(context.Background(), "honest")
		r.start(ctx, "query").End()
		large := trace.WithAttributes(attribute.String("user_agent.original", strings.Repeat("x", 1<<20)))
		for range 100 {
			r.start(withParent(remoteParent(t, 0, "ot=rv:ffffffffffffff")), "POST", large)
			synctest.Wait()
		}
		fail(root).End()
		r.checkDelivered(t, "query", "honest")
	})
}

// Clients who raise the pressure step by step, with what the next level lets go, do not
// hold it there: it falls while there is room.
func TestPressureThatClientsRaise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const maxBytes, levels, honest = 16 << 20, 12, 500
		r := newRecorder(t, Config{Bounds: Bounds{MaxBytes: maxBytes}}, onError, selectNone)
		text := trace.WithAttributes(attribute.String("user_agent.original", strings.Repeat("x", 16<<10)))
		hold := func(randomness uint64) {
			r.start(withParent(remoteParent(t, 0, fmt.Sprintf("ot=rv:%014x", randomness))), "POST", text)
			synctest.Wait()
		}
		for r.live.exactly() < maxBytes/8*5 { // whatever the pressure is, and more than half
			hold(1<<56 - 1)
		}
		for level := range uint(levels) {
			for before := r.live.level.Load(); r.live.level.Load() <= before && !r.live.futile; {
				hold(1<<56 - 1<<(55-level) - 1)
			}
		}
		if r.live.futile || r.live.level.Load() < levels {
			t.Fatalf("the pressure has level %d: the test does not raise it", r.live.level.Load())
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if held := r.live.exactly(); held < maxBytes/2 {
			t.Errorf("%d bytes are held: the test does not hold them", held)
		}
		for range honest {
			fail(r.start(context.Background(), "honest")).End()
		}
		kept := 0
		for _, s := range r.spans() {
			if s.Name() == "honest" {
				kept++
			}
		}
		if kept != honest {
			t.Errorf("of %d failing requests %d were kept", honest, kept)
		}
	})
}
