package delivery_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/otlp"
)

// limited is a backend that refuses what is past its limits.
type limited struct {
	*backend
	limits delivery.Limits
}

func (l limited) Traits() delivery.Traits { return delivery.Traits{Limits: l.limits} }

// check looks at what it got.
func (l limited) check(t *testing.T) {
	t.Helper()
	m := l.limits
	for _, body := range l.bodies {
		spans, err := otlp.Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		if m.MaxSpans > 0 && len(spans) > m.MaxSpans || m.MaxBytes > 0 && len(body) > m.MaxBytes {
			t.Errorf("a request of %d spans and %d bytes", len(spans), len(body))
		}
		first, last := spans[0].StartTime(), spans[0].StartTime()
		for _, s := range spans {
			if size := otlp.Size(s); m.MaxSpanBytes > 0 && size > m.MaxSpanBytes {
				t.Errorf("a span of %d bytes", size)
			}
			if m.MaxStartAge > 0 && time.Since(s.StartTime()) > m.MaxStartAge+time.Minute || m.MaxAge > 0 && time.Since(s.EndTime()) > m.MaxAge+time.Minute || m.MaxAhead > 0 && time.Until(s.EndTime()) > m.MaxAhead {
				t.Errorf("a span from %s to %s", s.StartTime(), s.EndTime())
			}
			if s.StartTime().Before(first) {
				first = s.StartTime()
			}
			if s.StartTime().After(last) {
				last = s.StartTime()
			}
		}
		if m.MaxSpread > 0 && last.Sub(first) > m.MaxSpread {
			t.Errorf("a request of spans that started within %s", last.Sub(first))
		}
	}
}

// timed is a span that started and ended so long after now.
func timed(name string, start, end time.Duration, padding int) sdktrace.ReadOnlySpan {
	return tracetest.SpanStub{
		Name:        name,
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 1}, TraceFlags: trace.FlagsSampled}),
		StartTime:   time.Now().Add(start), EndTime: time.Now().Add(end),
		Attributes: []attribute.KeyValue{attribute.String("padding", strings.Repeat("x", padding))},
	}.Snapshot()
}

// What a backend does not take is not sent to it, and costs nothing else.
func TestLimits(t *testing.T) {
	now := func(n, padding int) (all []sdktrace.ReadOnlySpan) {
		for i := range n {
			all = append(all, timed(fmt.Sprint(i), -time.Second, 0, padding))
		}
		return all
	}
	tests := []struct {
		name   string
		limits delivery.Limits
		spans  func() []sdktrace.ReadOnlySpan
		want   delivery.Dropped
	}{
		{"none", delivery.Limits{}, func() []sdktrace.ReadOnlySpan { return now(100, 10) }, delivery.Dropped{}},
		{"many", delivery.Limits{MaxSpans: 7}, func() []sdktrace.ReadOnlySpan { return now(100, 10) }, delivery.Dropped{}},
		{"large", delivery.Limits{MaxBytes: 4096}, func() []sdktrace.ReadOnlySpan { return now(100, 300) }, delivery.Dropped{}},
		{"none fits", delivery.Limits{MaxBytes: 1000}, func() []sdktrace.ReadOnlySpan { return now(10, 1000) }, delivery.Dropped{TooLarge: 10}},
		{"large span", delivery.Limits{MaxSpanBytes: 1000}, func() []sdktrace.ReadOnlySpan {
			return append(now(10, 700), timed("large", 0, 0, 1000))
		}, delivery.Dropped{TooLarge: 1}},
		{"old start", delivery.Limits{MaxStartAge: time.Hour}, func() []sdktrace.ReadOnlySpan {
			return append(now(10, 0), timed("old", -2*time.Hour, 0, 0), timed("young", -time.Minute, 0, 0))
		}, delivery.Dropped{TooOld: 1}},
		{"old end", delivery.Limits{MaxAge: time.Hour}, func() []sdktrace.ReadOnlySpan {
			return append(now(10, 0), timed("long", -2*time.Hour, 0, 0), timed("old", -3*time.Hour, -2*time.Hour, 0))
		}, delivery.Dropped{TooOld: 1}},
		{"no time", delivery.Limits{MaxAge: time.Hour}, func() []sdktrace.ReadOnlySpan {
			return append([]sdktrace.ReadOnlySpan{tracetest.SpanStub{Name: "nothing else"}.Snapshot()}, now(10, 0)...)
		}, delivery.Dropped{TooOld: 1}},
		{"span of the future", delivery.Limits{MaxAhead: time.Hour}, func() []sdktrace.ReadOnlySpan {
			return append(now(10, 0), timed("new", 0, 2*time.Hour, 0))
		}, delivery.Dropped{TooNew: 1}},
		{"spread", delivery.Limits{MaxSpread: time.Hour}, func() []sdktrace.ReadOnlySpan {
			return append(now(10, 0), timed("old", -2*time.Hour, 0, 0), timed("older", -4*time.Hour, 0, 0), timed("young", -time.Minute, 0, 0))
		}, delivery.Dropped{}},
		{"all at once", delivery.Limits{MaxSpans: 3, MaxBytes: 4096, MaxSpanBytes: 1000, MaxStartAge: time.Hour, MaxAhead: time.Hour, MaxSpread: time.Minute}, func() []sdktrace.ReadOnlySpan {
			return append(now(20, 700), timed("large", 0, 0, 1000), timed("old", -2*time.Hour, 0, 0), timed("new", 0, 2*time.Hour, 0), timed("far", -30*time.Minute, 0, 0))
		}, delivery.Dropped{TooLarge: 1, TooOld: 1, TooNew: 1}},
	}
	for _, takes := range []string{"requests", "spans"} {
		for _, tt := range tests {
			t.Run(takes+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := limited{&backend{}, tt.limits}
					var e sdktrace.SpanExporter = b
					if takes == "spans" {
						e = plainLimited{plain{b.backend}, b.limits}
					}
					f, l := one(t, e, &journal{}, nil)
					all := tt.spans()
					f.HandOver(all...)
					// It does not tell what was lost before it is called.
					if err := l.ForceFlush(t.Context()); err != nil && tt.want.Total() == 0 {
						t.Errorf("ForceFlush = %v", err)
					}
					s := l.Stats()
					if s.Dropped != tt.want || s.Sent != uint64(len(all))-tt.want.Total() || s.Waiting != 0 || s.Bytes != 0 {
						t.Errorf("%+v", s)
					}
					accounted(t, l, b.backend)
					if takes == "requests" {
						b.check(t)
					}
				})
			})
		}
	}
}

type plainLimited struct {
	plain
	limits delivery.Limits
}

func (p plainLimited) Traits() delivery.Traits { return delivery.Traits{Limits: p.limits} }

// What waits on a disk grows old there, span by span, and what an earlier
// process has left is looked at, too.
func TestLimitsOfStored(t *testing.T) {
	dir := t.TempDir()
	f, l := one(t, dead(), &journal{}, onDisk(dir))
	f.HandOver(timed("old", -2*time.Hour, 0, 0), timed("a", 0, 0, 0), timed("b", 0, 0, 0), timed("c", 0, 0, 0))
	until(t, "stored", func() bool { return l.Stats().Stored == 4 })
	shutDown(t, l)

	b, log := limited{&backend{}, delivery.Limits{MaxSpans: 2, MaxStartAge: time.Hour}}, &journal{}
	_, l = one(t, b, log, onDisk(dir))
	until(t, "sent", func() bool { return l.Stats().Sent == 3 })
	shutDown(t, l)
	accounted(t, l, b.backend)
	b.check(t)
	if s := l.Stats(); s.Dropped.TooOld != 1 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
	if left := batches(t, dir); len(left) != 0 {
		t.Errorf("%d files are left", len(left))
	}
	if said := log.lines("older than the backend"); len(said) != 1 || !strings.Contains(said[0], "the backend takes what started in the last 1h0m0s") {
		t.Errorf("%q", said)
	}
}

// Spans that wait for a backend that is away grow too old for it.
func TestLimitsWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limited{dead(), delivery.Limits{MaxAge: time.Hour}}
		f, l := one(t, b, &journal{}, nil)
		f.HandOver(timed("a", 0, 0, 0), timed("b", 0, 0, 0))
		time.Sleep(50 * time.Minute)
		f.HandOver(timed("c", 0, 0, 0))
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if s := l.Stats(); s.Dropped.TooOld != 2 || s.Waiting != 1 {
			t.Errorf("%+v", s)
		}
		b.mu.Lock()
		b.respond = nil
		b.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		accounted(t, l, b.backend)
		if s := l.Stats(); s.Sent != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A stored batch whose pieces take its place stays on the disk until they are
// there themselves: a process that is killed in between loses nothing.
func TestPartsOfStored(t *testing.T) {
	dir := t.TempDir()
	f, l := one(t, dead(), &journal{}, onDisk(dir))
	f.HandOver(timed("a", 0, 0, 0), timed("b", 0, 0, 0), timed("c", 0, 0, 0))
	until(t, "stored", func() bool { return l.Stats().Stored == 3 })
	shutDown(t, l)
	whole := batches(t, dir)

	b := limited{dead(), delivery.Limits{MaxSpans: 1}}
	_, l = one(t, b, &journal{}, func(c *delivery.Config) {
		onDisk(dir)(c)
		c.Queue.Fsync = "1m" // the pieces are not stored soon
	})
	until(t, "attempts with the parts", func() bool { return l.Stats().Retried > 3 })
	for _, file := range whole {
		if _, err := os.Stat(file); err != nil {
			t.Errorf("while the parts are in memory only: %v", err)
		}
	}
	shutDown(t, l) // stores the pieces
	left := batches(t, dir)
	if len(left) != 3 || slices.ContainsFunc(left, func(file string) bool { return slices.Contains(whole, file) }) {
		t.Errorf("%d files are left: %q; at first it was %q", len(left), left, whole)
	}

	last := &backend{}
	_, l = one(t, last, &journal{}, onDisk(dir))
	until(t, "sent", func() bool { return l.Stats().Sent == 3 })
	shutDown(t, l)
	accounted(t, l, last)
	if left := batches(t, dir); len(left) != 0 {
		t.Errorf("%d files are left", len(left))
	}
}
