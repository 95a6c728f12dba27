package delivery_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery"
)

func TestForceFlush(t *testing.T) {
	refuse := func(context.Context, []string) (delivery.Response, error) {
		return delivery.Response{}, errors.New("bad request")
	}
	away := func(context.Context, []string) (delivery.Response, error) { return delivery.Response{}, errAway }
	hang := func(ctx context.Context, _ []string) (delivery.Response, error) {
		<-ctx.Done()
		return delivery.Response{}, ctx.Err()
	}
	tests := []struct {
		name     string
		answer   func(context.Context, []string) (delivery.Response, error)
		deadline time.Duration // 0: none
		want     string
		within   time.Duration
	}{
		{"accepted", nil, 0, "", 0},
		{"refused", refuse, 0, "10 spans were lost: bad request", 0},
		{"away", away, 0, "10 spans still wait: nobody there", 0},
		{"away, with a deadline", away, 5 * time.Second, "10 spans still wait: context deadline exceeded: nobody there", 5 * time.Second},
		{"hangs", hang, 5 * time.Second, "10 spans still wait: context deadline exceeded", 5 * time.Second},
		{"hangs without a deadline", hang, 0, "10 spans still wait: context deadline exceeded", 30 * time.Second}, // send.timeout
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &backend{respond: tt.answer}
				f, l := one(t, b, &journal{}, nil)
				f.HandOver(spans(0, 10, 0)...)
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				began := time.Now()
				err := l.ForceFlush(ctx)
				if got := message(err); got != tt.want {
					t.Errorf("ForceFlush = %q, want %q", got, tt.want)
				}
				if took := time.Since(began); took > tt.within+time.Millisecond {
					t.Errorf("took %v", took)
				}
				accounted(t, l, b)
			})
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A flush does not wait for a backoff: the spans are tried at once, and sent if
// the backend is back.
func TestForceFlushHurries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Bool
		b := &backend{respond: func(context.Context, []string) (delivery.Response, error) {
			if back.Load() {
				return delivery.Response{}, nil
			}
			return delivery.Response{}, &delivery.ExportError{Outcome: delivery.Retry, RetryAfter: 10 * time.Minute, Err: errors.New("503")}
		}}
		f, l := one(t, b, &journal{}, func(c *delivery.Config) { c.Batch.MaxSpans = 1 })
		f.HandOver(spans(0, 10, 0)...)
		time.Sleep(time.Minute)
		back.Store(true)
		began := time.Now()
		if err := l.ForceFlush(t.Context()); err != nil || time.Since(began) > 0 {
			t.Errorf("ForceFlush = %v after %v", err, time.Since(began))
		}
		each(t, b, 0, 10)
	})
}

func TestShutdown(t *testing.T) {
	ignores := make(chan struct{})
	tests := []struct {
		name     string
		answer   func(context.Context, []string) (delivery.Response, error)
		deadline time.Duration // 0: done already, -1: none
		want     string
		within   time.Duration
	}{
		{"accepted", nil, -1, "", 0},
		{
			"away without a deadline", func(context.Context, []string) (delivery.Response, error) { return delivery.Response{}, errAway },
			-1, "10 spans were left behind: nobody there", 0,
		},
		{
			"away", func(context.Context, []string) (delivery.Response, error) { return delivery.Response{}, errAway },
			5 * time.Second, "10 spans were left behind: context deadline exceeded: nobody there", 5 * time.Second,
		},
		{
			"done already", func(ctx context.Context, _ []string) (delivery.Response, error) {
				<-ctx.Done()
				return delivery.Response{}, ctx.Err()
			},
			0, "10 spans were left behind: context deadline exceeded", 0,
		},
		{
			"ignores its context", func(context.Context, []string) (delivery.Response, error) {
				<-ignores
				return delivery.Response{}, errAway
			},
			5 * time.Second, "10 spans were left behind: ending a call of the exporter: it hangs: context deadline exceeded", 5250 * time.Millisecond,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if tt.name == "ignores its context" {
					ignores = make(chan struct{})
				}
				b := &backend{respond: tt.answer}
				f, l := one(t, b, &journal{}, nil)
				f.HandOver(spans(0, 10, 0)...)
				ctx := t.Context()
				if tt.deadline >= 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				began := time.Now()
				var wg sync.WaitGroup
				for range 2 { // the second waits for the first
					wg.Go(func() {
						if got := message(l.Shutdown(ctx)); got != tt.want {
							t.Errorf("Shutdown = %q, want %q", got, tt.want)
						}
					})
				}
				wg.Wait()
				if took := time.Since(began); took > tt.within+time.Millisecond {
					t.Errorf("took %v", took)
				}
				if tt.name == "ignores its context" {
					close(ignores)
					synctest.Wait()
				}
				f.HandOver(spans(0, 10, 0)...) // does nothing
				if s := l.Stats(); s.Waiting != 0 || s.HandedOver != 10 || b.shut != 1 {
					t.Errorf("stats = %+v, the exporter was shut down %d times", s, b.shut)
				}
				accounted(t, l, b)
				// The bubble finds goroutines that are left.
			})
		})
	}
}

// Warnings are few even if a backend comes and goes.
func TestFlappingIsNotSpam(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		b := &backend{respond: func(context.Context, []string) (delivery.Response, error) {
			if n.Add(1)%2 == 0 {
				return delivery.Response{}, errors.New("bad request")
			}
			return delivery.Response{}, nil
		}}
		log := &journal{}
		f, _ := one(t, b, log, nil)
		for range 600 {
			f.HandOver(span("a", 0))
			time.Sleep(time.Second)
		}
		if warned := len(log.lines("level=WARN")); warned < 9 || warned > 24 {
			t.Errorf("%d warnings in 10 minutes", warned)
		}
	})
}

// Whatever a backend does, each span is in one counter.
func TestConcurrentSafe(t *testing.T) {
	b := &backend{}
	b.respond = func(_ context.Context, names []string) (delivery.Response, error) {
		switch rand.N(10) {
		case 0:
			return delivery.Response{}, errAway
		case 1:
			return delivery.Response{}, errors.New("bad request")
		case 2:
			return delivery.Response{}, &delivery.ExportError{Outcome: delivery.TooLarge, Err: errors.New("413")}
		case 3:
			return delivery.Response{Rejected: int64(rand.N(len(names) + 1))}, nil
		default:
			return delivery.Response{}, nil
		}
	}
	f, l := one(t, b, &journal{}, func(c *delivery.Config) {
		c.Batch.MaxSpans, c.Batch.MaxAge = 20, 1e6
		c.Queue = delivery.QueueConfig{MaxBytes: 64 << 10, WhenFull: delivery.DropOldest}
		c.Send.Backoff = delivery.Backoff{Initial: 1e5, Max: 1e6}
		c.Batch.MaxBytes = 4 << 10
	})
	const each, workers = 2000, 8
	all := spans(0, each, 50)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range all {
				f.HandOver(all[i])
				if i%500 == 0 {
					_ = l.ForceFlush(t.Context())
					l.Stats()
				}
			}
		})
	}
	wg.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_ = l.Shutdown(ctx)
	accounted(t, l, b)
	if s := l.Stats(); s.HandedOver != each*workers || s.Waiting != 0 || s.Bytes != 0 || s.Sending != 0 {
		t.Errorf("stats = %+v", s)
	}
}

func TestMetrics(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	b := &backend{respond: func(_ context.Context, names []string) (delivery.Response, error) {
		if names[0] == "0" {
			return delivery.Response{}, errors.New("bad request")
		}
		return delivery.Response{Rejected: 1}, nil
	}}
	f := &delivery.Lines{}
	l := f.Add(b, delivery.Defaults(), delivery.Settings{Name: "jaeger", Type: "otlp", MeterProvider: provider})
	for _, n := range []int{0, 10} {
		f.HandOver(spans(n, n+10, 0)...)
		_ = l.ForceFlush(t.Context())
	}
	var got metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	values := map[string]int64{}
	for _, m := range got.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				values[m.Name+cause(p.Attributes)] = p.Value
				if v, _ := p.Attributes.Value("otel.component.name"); v.AsString() != "jaeger" {
					t.Errorf("%s is of %q", m.Name, v.AsString())
				}
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				values[m.Name+cause(p.Attributes)] = int64(p.Count)
			}
		}
	}
	for name, want := range map[string]int64{
		"otel.sdk.exporter.span.exported":              9,
		"otel.sdk.exporter.span.exported refused":      10,
		"otel.sdk.exporter.span.exported rejected":     1,
		"otel.sdk.exporter.span.exported too_large":    0,
		"otel.sdk.exporter.span.inflight":              0,
		"otel.sdk.exporter.operation.duration":         1,
		"otel.sdk.exporter.operation.duration refused": 1,
		"otel.sdk.processor.span.processed":            20,
		"otel.sdk.processor.span.processed queue_full": 0,
		"otel.sdk.processor.span.queue.size":           0,
		"riffle.exporter.retries":                      0,
	} {
		if v, ok := values[name]; !ok || v != want {
			t.Errorf("%s = %d (%v), want %d", name, v, ok, want)
		}
	}
	if got, want := message(l.Shutdown(t.Context())), "11 spans were lost: the backend rejected 1 of 10 spans: "; got != want {
		t.Errorf("Shutdown = %q, want %q", got, want)
	}
}

func cause(set attribute.Set) string {
	if v, ok := set.Value("error.type"); ok {
		return " " + v.AsString()
	}
	return ""
}

func TestConfig(t *testing.T) {
	good := delivery.Defaults()
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := delivery.Config{Queue: delivery.QueueConfig{MaxBytes: 1}, Send: delivery.SendConfig{MaxElapsed: -1}}
	want := `batch.max_spans: 0 is not from 1 to 65536
queue.max_bytes: 1B is too little: want 64KiB or more
queue.when_full: "" is not one of drop_newest, drop_oldest
send.workers: 0 is not from 1 to 64
send.timeout: 0s is not positive
send.backoff.initial: 0s is not positive
send.max_elapsed: -1ns is negative`
	if got := message(bad.Validate()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What is lost between making the batches and waiting for them is told too.
func TestForceFlushMissesNothing(t *testing.T) {
	b := &backend{respond: func(context.Context, []string) (delivery.Response, error) {
		return delivery.Response{}, errors.New("bad request")
	}}
	f, l := one(t, b, &journal{}, nil)
	for i := range 2000 {
		f.HandOver(span("a", 0))
		if err := l.ForceFlush(t.Context()); err == nil {
			t.Fatalf("flush %d does not tell that its span is lost", i)
		}
	}
}

// stuck is a span that holds up those who encode it.
type stuck struct {
	sdktrace.ReadOnlySpan
	until chan struct{}
}

func (s stuck) Attributes() []attribute.KeyValue {
	<-s.until
	return s.ReadOnlySpan.Attributes()
}

func (stuck) MemorySize() int64 { return 1000 }

// What is not encoded yet counts: when the encoder does not keep up, memory
// stays within its bound.
func TestUnencodedSpansCount(t *testing.T) {
	for _, when := range []delivery.WhenFull{delivery.DropNewest, delivery.DropOldest} {
		t.Run(string(when), func(t *testing.T) {
			b := &backend{}
			f, l := one(t, b, &journal{}, func(c *delivery.Config) {
				c.Batch.MaxSpans, c.Batch.MaxBytes = 10, 64<<10
				c.Queue = delivery.QueueConfig{MaxBytes: 1 << 20, WhenFull: when}
			})
			until := make(chan struct{})
			for range 10 {
				f.HandOver(stuck{span("stuck", 0), until})
			}
			large := span("a", 10_000)
			const n = 1000 // ten times what there is room for
			for range n {
				f.HandOver(large)
			}
			s := l.Stats()
			if most := uint64(105 + 10); s.Waiting > most || s.Dropped.QueueFull < n-most {
				t.Errorf("%d spans of 10 kB wait where 1 MiB may: %+v", s.Waiting, s)
			}
			close(until)
			_ = l.ForceFlush(t.Context())
			accounted(t, l, b)
		})
	}
}

// With a dead backend and a full queue, memory does not grow.
func TestMemoryIsFlat(t *testing.T) {
	b := &backend{respond: func(context.Context, []string) (delivery.Response, error) { return delivery.Response{}, errAway }}
	const room = 4 << 20
	f, l := one(t, &forgetful{b}, &journal{}, func(c *delivery.Config) {
		c.Queue = delivery.QueueConfig{MaxBytes: room, WhenFull: delivery.DropOldest}
		c.Batch.MaxSpans = 100
	})
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	var most int64
	for range 20 {
		for range 5000 { // of 200 bytes
			f.HandOver(span("a", 100))
		}
		_ = l.ForceFlush(t.Context()) // it is dead, but the spans are encoded now
		most = max(most, heap()-before)
	}
	if most > 2*room {
		t.Errorf("the heap grew by %d KiB, the queue may hold %d KiB", most>>10, room>>10)
	}
	if s := l.Stats(); s.Dropped.QueueFull < 50_000 {
		t.Errorf("the queue was not full: %+v", s)
	}
}

// forgetful keeps nothing of what it was asked to send.
type forgetful struct{ *backend }

func (f *forgetful) ExportRequest(ctx context.Context, _ delivery.Request) (delivery.Response, error) {
	return f.respond(ctx, nil)
}
