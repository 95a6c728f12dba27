package core_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
)

// shelf keeps what is handed over, by trace.
type shelf struct {
	mu     sync.Mutex
	traces map[trace.TraceID]map[trace.SpanID]sdktrace.ReadOnlySpan
	spans  int
	twice  []string
}

func (s *shelf) take(k record.Kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.traces == nil {
		s.traces = make(map[trace.TraceID]map[trace.SpanID]sdktrace.ReadOnlySpan)
	}
	for _, span := range k.Spans {
		sc := span.SpanContext()
		if s.traces[sc.TraceID()] == nil {
			s.traces[sc.TraceID()] = make(map[trace.SpanID]sdktrace.ReadOnlySpan)
		}
		if _, ok := s.traces[sc.TraceID()][sc.SpanID()]; ok {
			s.twice = append(s.twice, span.Name())
		}
		s.traces[sc.TraceID()][sc.SpanID()] = span
		s.spans++
	}
}

// speaker answers about some spans of a trace, always the same for one trace:
// then the decision does not depend on the order in which spans end.
type speaker struct {
	seed uint64
	i    int
}

func (s speaker) Traits() sampling.Traits {
	return sampling.Traits{Description: fmt.Sprintf("speaker %d", s.i)}
}

func (s speaker) says(span string) (sampling.Threshold, bool) {
	s.seed += uint64(s.i)
	t, _, _ := strings.Cut(span, "/")
	return thresholds[dice(s.seed, "trace", s.i, t).IntN(len(thresholds))], dice(s.seed, "span", s.i, span).IntN(8) == 0
}

type startSpeaker struct{ speaker }

func (s startSpeaker) Traits() sampling.Traits {
	t := s.speaker.Traits()
	t.AlwaysAnswers = true
	return t
}

func (s startSpeaker) SampleStart(p sampling.StartParameters) sampling.Answer {
	t, _ := s.says(p.Name)
	return sampling.At(t)
}

type endSpeaker struct{ speaker }

func (s endSpeaker) SampleEnd(p sampling.EndParameters) sampling.Answer {
	if t, ok := s.says(p.Span.Name()); ok {
		return sampling.At(t)
	}
	return sampling.Abstain()
}

// What is decided about a trace whose spans start and end on many goroutines,
// some after the root ended, does not depend on their order.
func TestConcurrentSpansOfATrace(t *testing.T) {
	const goroutines, children, speakers = 4, 6, 3
	traces := 3000
	if testing.Short() || raceEnabled {
		traces = 800
	}
	for _, judge := range []bool{false, true} {
		seed := uint64(7)
		start := speaker{seed, 100}
		spec := core.Spec{}
		var ends []speaker
		for i := range speakers {
			ends = append(ends, speaker{seed, i})
			spec.Samplers = append(spec.Samplers, use(fmt.Sprintf("s%d", i), endSpeaker{ends[i]}))
		}
		spec.Samplers = append(spec.Samplers, use("start", startSpeaker{start}))
		if judge {
			spec.Samplers = append(spec.Samplers, use("judge", &discardBots{}))
		}
		p := newProvider(t, spec)
		var got shelf
		p.OnKept(got.take)
		tracer := p.TracerProvider().Tracer("")

		names := make(map[trace.TraceID][]string)
		for n := range traces {
			var mu sync.Mutex
			var all []string
			name := func(what string) string {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, fmt.Sprintf("%d/%s", n, what))
				return all[len(all)-1]
			}
			ctx, root := tracer.Start(t.Context(), name("root"))
			_, anchor := tracer.Start(ctx, name("anchor")) // the trace is not complete before it ends
			var wg sync.WaitGroup
			for g := range goroutines {
				wg.Go(func() {
					for c := range children {
						_, s := tracer.Start(ctx, name(fmt.Sprintf("%d.%d", g, c)))
						if c%2 == 0 {
							runtime.Gosched()
						}
						s.End()
					}
				})
			}
			root.End()
			wg.Wait()
			anchor.End()
			names[root.SpanContext().TraceID()] = all
		}
		if err := p.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var kept int
		for id, all := range names {
			r := lowBits(id)
			t0, _ := start.says(all[0])
			said := []said{{t0, "start"}}
			for _, s := range ends {
				for _, name := range all {
					if at, ok := s.says(name); ok {
						said = append(said, saidBy(at, s.i))
						break
					}
				}
			}
			least, by, keeps := leastOf(r, said)
			want := 0
			if keeps {
				want = len(all)
				kept++
			}
			if n := len(got.traces[id]); n != want {
				t.Fatalf("judge %v: %d spans of trace %s arrived, want %d: %+v", judge, n, all[0], want, said)
			}
			for _, s := range got.traces[id] {
				v := found(s)
				if v.th != least || v.partial || isRoot(s) && least != sampling.Always && v.sampler != by {
					t.Fatalf("judge %v: %s: %+v, want th %v by %s: %+v", judge, s.Name(), v, least, by, said)
				}
			}
		}
		if len(got.twice) > 0 || kept < traces/4 || kept == traces {
			t.Errorf("%d of %d traces kept; handed over twice: %v", kept, traces, got.twice)
		}
	}
}

// said is a threshold, and who said it.
type said struct {
	t  sampling.Threshold
	by string
}

func saidBy(t sampling.Threshold, i int) said { return said{t, fmt.Sprintf("s%d", i)} }

// leastOf is the least of what was said; an unknown threshold counts where no
// known one selects.
func leastOf(r uint64, all []said) (least sampling.Threshold, by string, keeps bool) {
	least = sampling.Never
	for _, s := range all {
		if s.t < least {
			least, by = s.t, s.by
		}
	}
	if least.Selects(r) {
		return least, by, true
	}
	for _, s := range all {
		if s.t == sampling.Unknown {
			return sampling.Unknown, s.by, true
		}
	}
	return least, by, false
}

func isRoot(s sdktrace.ReadOnlySpan) bool { return !s.Parent().IsValid() }

// A storm: traces share spans over goroutines, are cut by time and by size,
// kept on demand, judged, and the provider is shut down in the middle, with a
// context that is done. Nothing is handed over twice or against its randomness,
// every span is counted, and where memory suffices no failed span is lost.
func TestStorm(t *testing.T) {
	for _, tt := range []struct {
		name     string
		maxBytes component.Size
		judge    bool
	}{{"roomy", 1 << 30, false}, {"judged", 1 << 30, true}, {"tight", 1 << 20, false}, {"tight and judged", 1 << 20, true}} {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) { storm(t, tt.maxBytes, tt.judge) })
	}
}

func storm(t *testing.T, maxBytes component.Size, judge bool) {
	t.Helper()
	spec := core.Spec{
		Enabled: true, MaxBytes: maxBytes, MaxTraceBytes: 64 << 10, DecisionWait: component.Duration(20 * time.Millisecond),
		DecisionMemory: core.DecisionMemory{Traces: 5000, Age: component.Duration(50 * time.Millisecond)},
		Samplers:       []core.SamplerEntry{use("error", keepsErrors{}), use("speaker", endSpeaker{speaker{3, 0}})},
	}
	if judge {
		spec.Samplers = append(spec.Samplers, use("judge", &discardBots{}))
	}
	spec.Samplers = append(spec.Samplers, baseline(0.25))
	p, err := core.New(t.Context(), spec, core.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	var got shelf
	p.OnKept(got.take)
	tracer := p.TracerProvider().Tracer("")
	payload := attribute.String("payload", strings.Repeat("x", 8<<10))

	var closing atomic.Bool
	var recorded atomic.Uint64
	started := func(s trace.Span) trace.Span {
		if _, ok := s.(sdktrace.ReadOnlySpan); ok {
			recorded.Add(1)
		}
		return s
	}
	var mu sync.Mutex
	var failed []trace.SpanContext
	contexts := make([]atomic.Pointer[context.Context], 16) // shared by all goroutines
	run := func(g int) {
		r := rand.New(rand.NewPCG(uint64(g), 5))
		var open []trace.Span
		for i := 0; ; i++ {
			stopping := closing.Load()
			switch k := r.IntN(10); {
			case k < 2:
				ctx, s := tracer.Start(context.Background(), fmt.Sprintf("%d.%d/root", g, i))
				contexts[r.IntN(len(contexts))].Store(&ctx)
				open = append(open, started(s))
			case k < 5:
				if ctx := contexts[r.IntN(len(contexts))].Load(); ctx != nil {
					_, s := tracer.Start(*ctx, fmt.Sprintf("%d.%d/child", g, i), trace.WithAttributes(payload))
					open = append(open, started(s))
				}
			case k < 6:
				if ctx := contexts[r.IntN(len(contexts))].Load(); ctx != nil {
					p.Keep(trace.SpanContextFromContext(*ctx).TraceID(), half, "on demand")
				}
			default:
				if len(open) == 0 {
					continue
				}
				j := r.IntN(len(open))
				s := open[j]
				open[j] = open[len(open)-1]
				open = open[:len(open)-1]
				fails := r.IntN(20) == 0
				if fails {
					s.SetStatus(codes.Error, "no")
				}
				s.End()
				if !stopping && !closing.Load() { // it ended before Shutdown
					if fails {
						mu.Lock()
						failed = append(failed, s.SpanContext())
						mu.Unlock()
					}
				}
			}
			if stopping && i%200 == 0 {
				return
			}
		}
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() { run(g) })
	}
	time.Sleep(300 * time.Millisecond) // the storm lasts so long
	closing.Store(true)
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Shutdown(done); err != nil {
		t.Error(err)
	}
	wg.Wait()
	b := p.Stats()
	got.mu.Lock()
	defer got.mu.Unlock()
	if b.SpansKept != uint64(got.spans) || len(got.twice) > 0 {
		t.Errorf("%d spans handed over, counted %d; twice: %v", got.spans, b.SpansKept, got.twice)
	}
	if n := b.SpansKept + b.SpansNotKept; n != recorded.Load() {
		t.Errorf("%d spans counted, %d were recorded", n, recorded.Load())
	}
	for id, spans := range got.traces {
		for _, s := range spans {
			if v := found(s); v.th != sampling.Unknown && lowBits(id) < uint64(v.th) {
				t.Errorf("%s: th %v against randomness %x", s.Name(), v.th, lowBits(id))
			}
		}
	}
	var lost int
	for _, sc := range failed {
		if _, ok := got.traces[sc.TraceID()][sc.SpanID()]; !ok {
			lost++
		}
	}
	if maxBytes > 1<<20 && (lost > 0 || len(failed) == 0) {
		t.Errorf("%d of %d failed spans did not arrive", lost, len(failed))
	}
	t.Logf("%d spans, %d failed ones of which %d lost: %+v", recorded.Load(), len(failed), lost, b)
}
