package core_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// weigher counts the local roots it is given, by weight, and lets them go.
type weigher struct {
	mu       sync.Mutex
	weighted float64
	variance float64 // estimated from the kept ones
	spans    int
}

func (w *weigher) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spans += len(spans)
	for _, s := range spans {
		if s.Parent().IsValid() || s.Status().Code != codes.Error {
			continue
		}
		c := sampling.ThresholdOf(s.SpanContext()).AdjustedCount()
		w.weighted += c
		w.variance += c * (c - 1)
	}
	return nil
}

func (*weigher) Shutdown(context.Context) error { return nil }

// randomIDs are uniform in all bits, and the same for the same seed.
type randomIDs struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newRandomIDs(seed uint64) *randomIDs { return &randomIDs{r: rand.New(rand.NewPCG(seed, 0))} }

func (g *randomIDs) NewIDs(context.Context) (id trace.TraceID, span trace.SpanID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	binary.BigEndian.PutUint64(id[:8], g.r.Uint64()|1)
	binary.BigEndian.PutUint64(id[8:], g.r.Uint64())
	binary.BigEndian.PutUint64(span[:], g.r.Uint64()|1)
	return id, span
}

func (g *randomIDs) NewSpanID(context.Context, trace.TraceID) (span trace.SpanID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	binary.BigEndian.PutUint64(span[:], g.r.Uint64()|1)
	return span
}

// Ten times the load that max_bytes allows, and traces that never complete:
// memory holds, nothing blocks, and the weighted errors stay unbiased.
func TestPressure(t *testing.T) {
	const (
		maxBytes = 16 << 20
		open     = 4000 // requests under way: 40 KB each, so ten times the room
		rounds   = 12
		spans    = 8
	)
	before := liveHeap() + heapOfOpenSpans(t, open)
	w := &weigher{}
	log := &syncBuffer{}
	p, err := core.New(t.Context(), core.Spec{
		Enabled:   true,
		MaxBytes:  maxBytes,
		Exporters: []core.ExporterEntry{useExporter("weigher", w)},
		Samplers: []core.SamplerEntry{
			use("error", keepsErrors{}), core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0.01}),
		},
	}, core.IDGenerator(newRandomIDs(1)), core.Logger(slog.New(slog.NewTextHandler(io.MultiWriter(log), nil))))
	if err != nil {
		t.Fatal(err)
	}
	tracer := p.TracerProvider().Tracer("test")
	for range 10_000 {
		tracer.Start(t.Context(), "never ends")
	}
	var errors, slowest, highest float64
	type request struct {
		ctx  context.Context //nolint:containedctx // the request's own
		root trace.Span
	}
	requests := make([]request, open)
	for round := range rounds {
		for i := range requests {
			ctx, root := tracer.Start(t.Context(), "root")
			requests[i] = request{ctx, root}
		}
		for range spans {
			for i := range requests {
				_, child := tracer.Start(requests[i].ctx, "child")
				child.SetAttributes(attribute.String("payload", strings.Repeat("x", 4000)+fmt.Sprint(i)))
				start := time.Now()
				child.End()
				slowest = max(slowest, time.Since(start).Seconds())
			}
		}
		if err := p.ForceFlush(t.Context()); err != nil { // what waits for the exporter is not the recorder's
			t.Fatal(err)
		}
		highest = max(highest, float64(liveHeap()-before))
		for i := range requests {
			if (i+round)%4 == 0 {
				requests[i].root.SetStatus(codes.Error, "no")
				errors++
			}
			requests[i].root.End()
			requests[i] = request{}
		}
	}
	s := p.Stats()
	if s.UnderPressure == 0 {
		t.Errorf("stats = %+v: there was no pressure, so that nothing is tested", s)
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if limit := 1.25 * maxBytes; highest > limit {
		t.Errorf("the heap held %.1f MiB, more than a quarter above the bound of %d MiB", highest/(1<<20), maxBytes>>20)
	}
	sigma := math.Sqrt(w.variance)
	if math.Abs(w.weighted-errors) > 4*sigma {
		t.Errorf("weighted errors = %.0f +- %.0f, truth is %.0f", w.weighted, sigma, errors)
	}
	if n := strings.Count(log.String(), "memory for segments is short"); n != 1 {
		t.Errorf("pressure was logged %d times, want once a minute:\n%s", n, log)
	}
	t.Logf("errors %.0f, weighted %.0f +- %.0f; heap %.1f MiB; slowest End %.2f ms; %+v", errors, w.weighted, sigma, highest/(1<<20), slowest*1e3, s)
}

// heapOfOpenSpans is what the application's own open spans take, which riffle
// does not hold.
func heapOfOpenSpans(t *testing.T, n int) int64 {
	t.Helper()
	floor := sdktrace.NewTracerProvider(sdktrace.WithSampler(recordOnly{}), sdktrace.WithSpanProcessor(noopProcessor{}))
	before := liveHeap()
	contexts := make([]context.Context, n)
	for i := range contexts {
		contexts[i], _ = floor.Tracer("test").Start(t.Context(), "root") //nolint:fatcontext // each stands alone
	}
	after := liveHeap()
	runtime.KeepAlive(contexts)
	return after - before
}

// liveHeap is what is reachable.
func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
