package otlp_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/exporters/sdk"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// randomText is text that does not compress.
var randomText = sync.OnceValue(func() []byte {
	random := make([]byte, 6<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	return []byte(base64.StdEncoding.EncodeToString(random))
})

// sizedSpan is one of about so many bytes, which compress neither alone nor together.
func sizedSpan(name string, size int) sdktrace.ReadOnlySpan {
	const others = 100 // bytes of what else there is in a span
	text, n := randomText(), max(size-others, 0)
	from := rand.IntN(len(text) - n)
	return tracetest.SpanStub{
		Name:        name,
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0: 1}, SpanID: trace.SpanID{7: 1}, TraceFlags: trace.FlagsSampled}),
		StartTime:   time.Now(),
		EndTime:     time.Now(),
		Attributes:  []attribute.KeyValue{attribute.String("padding", string(text[from:from+n]))},
	}.Snapshot()
}

// heapInUse is what lives on the heap.
func heapInUse() int64 {
	least := int64(math.MaxInt64)
	for range 3 { // what becomes garbage while it is collected counts once more
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		least = min(least, int64(m.HeapAlloc))
	}
	return least
}

// idleHeap is heapInUse when what came before is gone, also from pools.
func idleHeap() int64 {
	for range 3 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	return heapInUse()
}

// With a backend that is away, spans of any size take no more memory than they
// may, and those that find no room are counted.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("measures memory; CI runs this without -short too")
	}
	exporters := map[string]func(t testing.TB, address string) sdktrace.SpanExporter{
		"requests": func(t testing.TB, address string) sdktrace.SpanExporter { return newExporter(t, otlp.HTTP, address) },
		"gzip": func(t testing.TB, address string) sdktrace.SpanExporter {
			return build(t, otlp.Config{Endpoint: address, Protocol: otlp.HTTP, Compression: delivery.Gzip})
		},
		"spans": func(t testing.TB, address string) sdktrace.SpanExporter {
			return planned(t, component.Use(sdk.HTTP, "", sdk.HTTPConfig{Endpoint: address}))
		},
	}
	for name, exporter := range exporters {
		for _, maxBytes := range []component.Size{8 << 20, 32 << 20} {
			for _, size := range []int{1 << 10, 32 << 10, 1 << 20, 4 << 20} {
				for _, full := range []delivery.WhenFull{delivery.DropNewest, delivery.DropOldest} {
					if !*defaultSettings && (maxBytes > 8<<20 && (full == delivery.DropOldest || name == "gzip" || size == 1<<20) || size == 32<<10) {
						continue // as with 8 MiB, or as with others, which are quicker
					}
					t.Run(fmt.Sprintf("%s/max_bytes=%s/span=%s/%s", name, maxBytes, component.Size(size), full), func(t *testing.T) {
						testMemory(t, exporter(t, otlptest.Dead(t)), maxBytes, size, full)
					})
				}
			}
		}
	}
}

func testMemory(t *testing.T, e sdktrace.SpanExporter, maxBytes component.Size, size int, full delivery.WhenFull) {
	randomText() // is no part of what grows
	idle := idleHeap()
	l := startLine(t, e, func(c *delivery.Config) {
		d := delivery.Defaults()
		c.Batch, c.Send.Backoff = d.Batch, d.Send.Backoff
		c.Queue.MaxBytes, c.Queue.WhenFull = maxBytes, full
	})
	// Four times what there is room for, half of it at once.
	spans := 4 * int(maxBytes) / size
	var peak int64
	for i := range spans {
		l.lines.HandOver(sizedSpan(strconv.Itoa(i), size))
		if (i+1)%max(spans/8, 1) == 0 {
			peak = max(peak, heapInUse()-idle)
		}
	}
	for range 5 { // the batches are made
		time.Sleep(20 * time.Millisecond)
		peak = max(peak, heapInUse()-idle)
	}
	if most := int64(maxBytes)*5/4 + 8<<20; peak > most {
		t.Errorf("the heap grew by %.1f MiB, want at most %.1f", mib(peak), mib(most))
	}
	s := l.Stats()
	checkCounters(t, s, spans)
	// A queue has room for half of what it may hold, in spans of any size.
	if s.Waiting == 0 || s.Lost != s.Dropped.QueueFull || s.Waiting*uint64(size) < uint64(maxBytes)/2 {
		t.Errorf("%d spans wait, %d are dropped", s.Waiting, s.Lost)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := l.Shutdown(ctx)
	// An encoder that is at work, on a busy machine, ends after Shutdown has returned.
	allLost := func() bool { s := l.Stats(); return s.Lost == uint64(spans) && s.Waiting == 0 }
	if !eventually(time.Minute, allLost) {
		s := l.Stats()
		t.Errorf("after Shutdown %d of %d spans are lost, %d wait: %v", s.Lost, spans, s.Waiting, err)
	}
	t.Logf("the heap grew by %.1f MiB; %d of %d spans found room", mib(peak), s.Waiting, spans)
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// A batch is complete when it has max_bytes, also where it would have time.
func TestMaxBytesCompletesABatch(t *testing.T) {
	const spans, size = 200, 100 << 10
	r := startReceiver(t, otlp.HTTP, nil)
	l := startLine(t, newExporter(t, otlp.HTTP, r.address), func(c *delivery.Config) {
		c.Batch = delivery.Defaults().Batch
		c.Batch.MaxAge = component.Duration(10 * time.Minute)
	})
	for i := range spans {
		l.lines.HandOver(sizedSpan(strconv.Itoa(i), size))
	}
	const maxBytes = 2 << 20 // of a batch
	want := spans - maxBytes/size
	if !eventually(5*time.Second, func() bool { return r.distinct() >= want }) {
		t.Errorf("%d spans of %d KiB arrived, want at least %d of %d", r.distinct(), size>>10, want, spans)
	}
}

// A small queue is one key, and works.
func TestSmallQueue(t *testing.T) {
	r := startReceiver(t, otlp.HTTP, nil)
	path := filepath.Join(t.TempDir(), "tracing.yaml")
	text := `
observability:
  tracing:
    enabled: true
    service_name: test
    exporters:
      - {type: otlp, protocol: http/protobuf, endpoint: "http://` + r.address + `", queue: {max_bytes: 512KiB}}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	spec, err := config.Load(path, config.Environ(nil))
	if err != nil {
		t.Fatal(err)
	}
	p, err := core.New(t.Context(), spec, core.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	const spans = 300
	for i := range spans {
		_, span := p.TracerProvider().Tracer("test").Start(t.Context(), strconv.Itoa(i))
		span.End()
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if r.distinct() != spans {
		t.Errorf("%d of %d spans arrived", r.distinct(), spans)
	}
}
