package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery"
)

var errAway = &delivery.ExportError{Outcome: delivery.Retry, Err: errors.New("nobody there")}

func TestBatches(t *testing.T) {
	tests := []struct {
		name    string
		batch   delivery.BatchConfig
		hand    int
		padding int
		after   time.Duration // the last batch arrives
		want    []int         // sizes of batches
	}{
		{"by number", delivery.BatchConfig{MaxSpans: 10, MaxBytes: 1 << 20, MaxAge: 1e9}, 30, 0, 0, []int{10, 10, 10}},
		{"by age", delivery.BatchConfig{MaxSpans: 100, MaxBytes: 1 << 20, MaxAge: 1e9}, 30, 0, time.Second, []int{30}},
		{"by number, then age", delivery.BatchConfig{MaxSpans: 20, MaxBytes: 1 << 20, MaxAge: 1e9}, 30, 0, time.Second, []int{10, 20}},
		{"by size", delivery.BatchConfig{MaxSpans: 100, MaxBytes: 4 << 10, MaxAge: 1e9}, 10, 1000, time.Second, []int{1, 3, 3, 3}},
		{"larger than a batch", delivery.BatchConfig{MaxSpans: 100, MaxBytes: 500, MaxAge: 1e9}, 3, 1000, time.Second, []int{1, 1, 1}},
		{"one", delivery.BatchConfig{MaxSpans: 1, MaxBytes: 1 << 20, MaxAge: 1e9}, 3, 0, 0, []int{1, 1, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sizes []int
				b := &backend{}
				b.respond = func(_ context.Context, names []string) (delivery.Response, error) {
					b.mu.Lock()
					defer b.mu.Unlock()
					sizes = append(sizes, len(names))
					return delivery.Response{}, nil
				}
				f, l := one(t, b, &journal{}, func(c *delivery.Config) { c.Batch = tt.batch })
				f.HandOver(spans(0, tt.hand, tt.padding)...)
				if tt.after > 0 {
					time.Sleep(tt.after - time.Millisecond)
					synctest.Wait()
					if s := l.Stats(); s.Waiting == 0 || s.BatchBytes <= 0 || s.Bytes != 0 {
						t.Errorf("the last batch was sent early, or what it holds is not told: %+v", s)
					}
					time.Sleep(time.Millisecond)
				}
				synctest.Wait()
				if s := l.Stats(); s.BatchBytes != 0 {
					t.Errorf("%d bytes wait for a batch", s.BatchBytes)
				}
				slices.Sort(sizes)
				if !slices.Equal(sizes, tt.want) {
					t.Errorf("batches of %v, want %v", sizes, tt.want)
				}
				each(t, b, 0, tt.hand)
				accounted(t, l, b)
			})
		})
	}
}

// The backend is away for hours while spans keep coming. One batch at a time
// is tried, memory stays within its bound, and nothing is lost.
func TestBackendAwayForHours(t *testing.T) {
	for _, takes := range []string{"requests", "spans"} {
		t.Run(takes, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const away, every, perTick = 8 * time.Hour, 10 * time.Second, 3
				back := time.Now().Add(away)
				b := &backend{respond: func(context.Context, []string) (delivery.Response, error) {
					if time.Now().Before(back) {
						return delivery.Response{}, errAway
					}
					return delivery.Response{}, nil
				}}
				var e sdktrace.SpanExporter = b
				if takes == "spans" {
					e = plain{b}
				}
				log := &journal{}
				f, l := one(t, e, log, nil)
				var n int
				for time.Now().Before(back) {
					f.HandOver(spans(n, n+perTick, 200)...)
					n += perTick
					time.Sleep(every)
					if s := l.Stats(); s.Bytes > 32<<20 {
						t.Fatalf("the queue holds %d bytes", s.Bytes)
					}
				}
				attempts, most := b.tried()
				// Full jitter waits 15 s on average when the backoff has grown.
				if perHour := attempts / 8; perHour > 400 {
					t.Errorf("%d attempts an hour at a dead backend", perHour)
				}
				if most > 4 {
					t.Errorf("%d attempts at once", most)
				}
				if s := l.Stats(); s.Oldest < away-time.Minute || !s.Failing {
					t.Errorf("while the backend is away: %+v", s)
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				each(t, b, 0, n)
				accounted(t, l, b)
				if s := l.Stats(); s.Waiting != 0 || s.Bytes != 0 || s.Lost != 0 || s.Failing {
					t.Errorf("when it is back: %+v", s)
				}
				began, still, recovered := log.lines("exporter is failing"), log.lines("still failing"), log.lines("recovered")
				if len(began) != 1 || len(recovered) != 1 || len(log.lines("level=WARN")) != 1+len(still) {
					t.Errorf("logged %q and %q, want one of each", began, recovered)
				}
				if minutes := int(away / time.Minute); len(still) < minutes-1 || len(still) > minutes+1 {
					t.Errorf("reminded %d times in %d minutes", len(still), minutes)
				}
			})
		})
	}
}

// While a backend is dead, one batch at a time is tried, however many workers
// and batches there are.
func TestDeadBackendCostsOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int64
		start := time.Now()
		b := &backend{respond: func(context.Context, []string) (delivery.Response, error) {
			n := under.Add(1)
			defer under.Add(-1)
			if time.Since(start) > time.Second {
				most.Store(max(most.Load(), n))
			}
			time.Sleep(100 * time.Millisecond)
			return delivery.Response{}, errAway
		}}
		f, l := one(t, b, &journal{}, func(c *delivery.Config) { c.Batch.MaxSpans, c.Send.Workers = 1, 16 })
		f.HandOver(spans(0, 1000, 0)...)
		time.Sleep(10 * time.Minute)
		if attempts, _ := b.tried(); attempts > 120 {
			t.Errorf("%d attempts in 10 minutes", attempts)
		}
		if most.Load() != 1 {
			t.Errorf("%d probes at once", most.Load())
		}
		if s := l.Stats(); s.Waiting != 1000 {
			t.Errorf("%d of 1000 spans wait", s.Waiting)
		}
	})
}

func TestQueueFull(t *testing.T) {
	for _, when := range []delivery.WhenFull{delivery.DropNewest, delivery.DropOldest} {
		t.Run(string(when), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var back atomic.Bool
				b := &backend{respond: func(context.Context, []string) (delivery.Response, error) {
					if back.Load() {
						return delivery.Response{}, nil
					}
					return delivery.Response{}, errAway
				}}
				log := &journal{}
				f, l := one(t, b, log, func(c *delivery.Config) {
					c.Queue = delivery.QueueConfig{MaxBytes: 64 << 10, WhenFull: when}
					c.Batch.MaxBytes, c.Batch.MaxSpans = 64<<10, 10
				})
				const n = 1000
				for i := range n {
					f.HandOver(span(fmt.Sprint(i), 500))
					if i%10 == 9 {
						synctest.Wait()
					}
					if s := l.Stats(); s.Bytes > 64<<10 {
						t.Fatalf("the queue holds %d bytes", s.Bytes)
					}
				}
				back.Store(true)
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				s := l.Stats()
				accounted(t, l, b)
				if s.Waiting != 0 || s.Dropped.QueueFull != s.Lost || s.Sent < 50 || s.Sent > 150 {
					t.Errorf("stats = %+v", s)
				}
				got := b.received()
				first, last := got["0"], got[fmt.Sprint(n-1)]
				if when == delivery.DropNewest && (first != 1 || last != 0) || when == delivery.DropOldest && (first != 0 || last != 1) {
					t.Errorf("the first arrived %d times, the last %d times", first, last)
				}
				var told uint64
				for _, line := range log.lines("queue is full") {
					told += attr(t, line, "spans")
				}
				if told != s.Dropped.QueueFull || len(log.lines("queue is full")) > 3 {
					t.Errorf("%d spans are told of, want %d: %q", told, s.Dropped.QueueFull, log.lines("queue is full"))
				}
				// There is room again.
				f.HandOver(span("late", 0))
				time.Sleep(2 * time.Second)
				if b.received()["late"] != 1 {
					t.Error("nothing is delivered after the queue was full")
				}
			})
		})
	}
}

// A batch that can never fit does not block the line.
func TestLargerThanTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{}
		f, l := one(t, b, &journal{}, func(c *delivery.Config) { c.Queue.MaxBytes, c.Batch.MaxBytes = 64<<10, 64<<10 })
		f.HandOver(span("huge", 1<<20))
		time.Sleep(2 * time.Second)
		f.HandOver(span("small", 0))
		time.Sleep(2 * time.Second)
		if s := l.Stats(); s.Dropped.QueueFull != 1 || s.Sent != 1 {
			t.Errorf("stats = %+v", s)
		}
	})
}

func TestTooLarge(t *testing.T) {
	for _, takes := range []string{"requests", "spans"} {
		t.Run(takes, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &backend{respond: func(_ context.Context, names []string) (delivery.Response, error) {
					if len(names) > 7 || slices.Contains(names, "13") {
						return delivery.Response{}, &delivery.ExportError{Outcome: delivery.TooLarge, Err: errors.New("413 too large")}
					}
					return delivery.Response{}, nil
				}}
				var e sdktrace.SpanExporter = b
				if takes == "spans" {
					e = plain{b}
				}
				log := &journal{}
				f, l := one(t, e, log, nil)
				f.HandOver(spans(0, 100, 0)...)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				each(t, b, 0, 13)
				each(t, b, 14, 100)
				accounted(t, l, b)
				if s := l.Stats(); s.Dropped.TooLarge != 1 || s.Lost != 1 || s.Split == 0 || s.Bytes != 0 {
					t.Errorf("stats = %+v", s)
				}
				if said := log.lines(`\"13\" of trace 00000000000000000000000000000001`); len(said) != 1 {
					t.Errorf("the span that is too large is named by %q", said)
				}
			})
		})
	}
}

// A batch that fails while others are accepted is set aside, but not too soon,
// and not because the backend is busy.
func TestPoison(t *testing.T) {
	for _, tt := range []struct {
		name    string
		failure *delivery.ExportError
		dropped bool
	}{
		{"poison", errAway, true},
		{"busy", &delivery.ExportError{Outcome: delivery.Retry, Throttled: true, Err: errors.New("slow down")}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tries int
				b := &backend{}
				b.respond = func(_ context.Context, names []string) (delivery.Response, error) {
					if slices.Contains(names, "poison") {
						b.mu.Lock()
						tries++
						b.mu.Unlock()
						return delivery.Response{}, tt.failure
					}
					return delivery.Response{}, nil
				}
				log := &journal{}
				f, l := one(t, b, log, nil)
				f.HandOver(span("poison", 0))
				time.Sleep(2 * time.Second)
				const n = 3600
				for i := range n {
					f.HandOver(span(fmt.Sprint(i), 0))
					time.Sleep(time.Second)
				}
				time.Sleep(time.Minute)
				each(t, b, 0, n)
				accounted(t, l, b)
				s := l.Stats()
				if got := s.Dropped.Poisoned == 1; got != tt.dropped {
					t.Errorf("dropped = %v after %d failures, want %v: %+v", got, tries, tt.dropped, s)
				}
				if tt.dropped && (tries < 20 || tries > 40 || len(log.lines("poison")) != 1) {
					t.Errorf("%d failures, logged %q", tries, log.lines("poison"))
				}
			})
		})
	}
}

// A batch that failed often while the backend was away is not to blame.
func TestOutageIsNoPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(time.Hour)
		b := &backend{respond: func(context.Context, []string) (delivery.Response, error) {
			if time.Now().Before(back) {
				return delivery.Response{}, errAway
			}
			return delivery.Response{}, nil
		}}
		f, l := one(t, b, &journal{}, nil)
		f.HandOver(span("0", 0))
		time.Sleep(2 * time.Hour)
		if attempts, _ := b.tried(); attempts < 25 {
			t.Fatalf("only %d attempts", attempts)
		}
		each(t, b, 0, 1)
		accounted(t, l, b)
	})
}
