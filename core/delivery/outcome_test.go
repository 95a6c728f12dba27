package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
)

func TestOutcomes(t *testing.T) {
	dns := &net.DNSError{Err: "no such host", IsNotFound: true}
	tests := []struct {
		name string
		err  error
		want func(delivery.Stats) bool
	}{
		{"refused", &delivery.ExportError{Outcome: delivery.Refused, Err: errors.New("403")}, func(s delivery.Stats) bool { return s.Dropped.Refused == 3 }},
		{"unknown", errors.New("?"), func(s delivery.Stats) bool { return s.Dropped.Refused == 3 }},
		{"wrapped failure", fmt.Errorf("sending: %w", errAway), func(s delivery.Stats) bool { return s.Waiting == 3 }},
		{"connection refused", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, waits},
		{"reset", fmt.Errorf("sending: %w", syscall.ECONNRESET), waits},
		{"pipe", fmt.Errorf("sending: %w", syscall.EPIPE), waits},
		{"end of file", fmt.Errorf("sending: %w", io.ErrUnexpectedEOF), waits},
		{"name", fmt.Errorf("sending: %w", dns), waits},
		{"deadline", fmt.Errorf("sending: %w", context.DeadlineExceeded), waits},
		{"no space", fmt.Errorf("writing: %w", syscall.ENOSPC), func(s delivery.Stats) bool { return s.Dropped.Refused == 3 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &backend{respond: func(context.Context, []string) (delivery.Response, error) { return delivery.Response{}, tt.err }}
				f, l := one(t, plain{b}, &journal{}, nil)
				f.HandOver(spans(0, 3, 0)...)
				time.Sleep(time.Minute)
				if s := l.Stats(); !tt.want(s) {
					t.Errorf("stats = %+v", s)
				}
				accounted(t, l, b)
			})
		})
	}
}

func waits(s delivery.Stats) bool { return s.Waiting == 3 && s.Retried > 0 }

func TestRetryAfter(t *testing.T) {
	none := func(*delivery.Config) {}
	for _, tt := range []struct {
		asked, want time.Duration
		change      func(*delivery.Config)
	}{
		{5 * time.Minute, 5 * time.Minute, none},
		{24 * time.Hour, 15 * time.Minute, none}, // no backend silences a line for a day
		{math.MaxInt64, 15 * time.Minute, none},
		{math.MinInt64, 0, none},
		{math.MaxInt64, time.Hour, func(c *delivery.Config) { c.Send.MaxRetryAfter = component.Duration(time.Hour) }},
		{time.Hour, 0, func(c *delivery.Config) { c.Send.MaxRetryAfter = 0 }},
		{5 * time.Minute, 3 * time.Minute, func(c *delivery.Config) { c.Send.MaxElapsed = component.Duration(3 * time.Minute) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			var times []time.Time
			b := &backend{}
			b.respond = func(context.Context, []string) (delivery.Response, error) {
				b.mu.Lock()
				defer b.mu.Unlock()
				if times = append(times, time.Now()); len(times) == 1 {
					return delivery.Response{}, &delivery.ExportError{Outcome: delivery.Retry, RetryAfter: tt.asked, Err: errors.New("503")}
				}
				return delivery.Response{}, nil
			}
			f, _ := one(t, b, &journal{}, tt.change)
			f.HandOver(span("0", 0))
			time.Sleep(2 * time.Second)
			f.HandOver(span("1", 0)) // it waits too
			time.Sleep(48 * time.Hour)
			each(t, b, 0, 2)
			if got := times[1].Sub(times[0]); got < tt.want || got > tt.want+time.Second {
				t.Errorf("asked for %v, waited %v", tt.asked, got)
			}
		})
	}
}

func TestMaxElapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{respond: func(context.Context, []string) (delivery.Response, error) { return delivery.Response{}, errAway }}
		f, l := one(t, b, &journal{}, func(c *delivery.Config) { c.Send.MaxElapsed = component.Duration(time.Minute) })
		f.HandOver(spans(0, 5, 0)...)
		time.Sleep(50 * time.Second)
		if s := l.Stats(); s.Waiting != 5 {
			t.Errorf("early: %+v", s)
		}
		time.Sleep(time.Minute)
		if s := l.Stats(); s.Dropped.Expired != 5 {
			t.Errorf("late: %+v", s)
		}
		// The breaker still lets probes through.
		f.HandOver(spans(5, 10, 0)...)
		time.Sleep(3 * time.Minute)
		if s := l.Stats(); s.Dropped.Expired != 10 {
			t.Errorf("again: %+v", s)
		}
	})
}

func TestPartialSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{respond: func(context.Context, []string) (delivery.Response, error) {
			return delivery.Response{Rejected: 3, Message: "bad attributes"}, nil
		}}
		log := &journal{}
		f, l := one(t, b, log, nil)
		f.HandOver(spans(0, 10, 0)...)
		err := l.ForceFlush(t.Context())
		if want := "3 spans were lost: the backend rejected 3 of 10 spans: bad attributes"; err == nil || err.Error() != want {
			t.Errorf("ForceFlush = %v, want %s", err, want)
		}
		if attempts, _ := b.tried(); attempts != 1 {
			t.Errorf("%d attempts, want 1", attempts)
		}
		if s := l.Stats(); s.Sent != 7 || s.Rejected != 3 || s.Lost != 3 {
			t.Errorf("stats = %+v", s)
		}
		if len(log.lines("bad attributes")) != 1 {
			t.Error("the message is not logged")
		}
		accounted(t, l, b)
	})
}

func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{respond: func(_ context.Context, names []string) (delivery.Response, error) {
			if names[0] == "0" {
				panic("oh")
			}
			return delivery.Response{}, nil
		}}
		f, l := one(t, b, &journal{}, nil)
		f.HandOver(span("0", 0))
		time.Sleep(2 * time.Second)
		f.HandOver(span("1", 0))
		time.Sleep(2 * time.Second)
		if s := l.Stats(); s.Dropped.Refused != 1 || s.Sent != 1 {
			t.Errorf("stats = %+v", s)
		}
	})
}

// An exporter of the SDK has one call at a time.
func TestPlainIsNotConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{respond: func(context.Context, []string) (delivery.Response, error) {
			time.Sleep(time.Second)
			return delivery.Response{}, nil
		}}
		f, _ := one(t, plain{b}, &journal{}, func(c *delivery.Config) { c.Batch.MaxSpans, c.Send.Workers = 1, 8 })
		f.HandOver(spans(0, 20, 0)...)
		time.Sleep(time.Minute)
		if _, most := b.tried(); most != 1 {
			t.Errorf("%d calls at once", most)
		}
		each(t, b, 0, 20)
	})
}

// Lines that batch alike have one encoding, and still go their own ways.
func TestSharedEncoding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := &backend{respond: func(context.Context, []string) (delivery.Response, error) { return delivery.Response{}, errAway }}
		alive, other := &backend{}, &backend{}
		f := &delivery.Lines{}
		var lines []*delivery.Line
		for _, e := range []sdktrace.SpanExporter{dead, alive, plain{other}} {
			lines = append(lines, f.Add(e, delivery.Defaults(), delivery.Settings{}))
		}
		f.HandOver(spans(0, 10, 0)...)
		time.Sleep(2 * time.Second)
		each(t, alive, 0, 10)
		each(t, other, 0, 10)
		synctest.Wait()
		if dead.body() != alive.body() {
			t.Error("the spans were encoded twice")
		}
		if err := lines[1].Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		f.HandOver(spans(10, 20, 0)...)
		time.Sleep(2 * time.Second)
		each(t, other, 0, 20)
		if s := lines[1].Stats(); s.HandedOver != 10 {
			t.Errorf("a line that is shut down was handed spans: %+v", s)
		}
		if err := lines[2].Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		err := lines[0].Shutdown(t.Context())
		if err == nil || !strings.Contains(err.Error(), "20 spans were left behind") {
			t.Errorf("Shutdown of the dead line = %v", err)
		}
		f.HandOver(span("late", 0))
		if l := f.Add(other, delivery.Defaults(), delivery.Settings{}); l.Shutdown(t.Context()) != nil {
			t.Error("a line cannot be added after all were shut down")
		}
	})
}
