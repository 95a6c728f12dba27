package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffletrace/riffle/core/delivery"
)

var errInvalid = &delivery.ExportError{Outcome: delivery.Invalid, Err: errors.New("400")}

// named are spans of which those at some places are bad.
func named(n int, bad ...int) (names []string) {
	for i := range n {
		name := fmt.Sprint(i)
		if slices.Contains(bad, i) {
			name = "bad" + name
		}
		names = append(names, name)
	}
	return names
}

func isBad(name string) bool { return strings.HasPrefix(name, "bad") }

func refusesBad(_ context.Context, names []string) (delivery.Response, error) {
	if slices.ContainsFunc(names, isBad) {
		return delivery.Response{}, errInvalid
	}
	return delivery.Response{}, nil
}

// Wherever the bad spans are, they alone are lost, with as few requests as promised.
func TestSearchRefused(t *testing.T) {
	for n := 1; n <= 40; n++ {
		for bad := range n {
			synctest.Test(t, func(t *testing.T) {
				b := &backend{respond: refusesBad}
				f, l := one(t, b, &journal{}, nil)
				for _, name := range named(n, bad) {
					f.HandOver(span(name, 0))
				}
				_ = l.ForceFlush(t.Context())
				if s := l.Stats(); s.Sent != uint64(n-1) || s.Dropped.Refused != 1 {
					t.Errorf("%d of %d: %+v", bad, n, s)
				}
				// 2 + 2 log2(n), in whole requests.
				most := 2
				for p := n * n; p > 1; p /= 2 {
					most++
				}
				if attempts, _ := b.tried(); attempts > most {
					t.Errorf("%d of %d: %d requests, want at most %d", bad, n, attempts, most)
				}
				accounted(t, l, b)
			})
		}
	}
}

// Where the requests do not reach for all of the bad spans, those that are far from
// them are sent all the same; and a batch that was refused as a whole costs the next
// one nothing.
func TestSearchIsBounded(t *testing.T) {
	var all, early []int
	for i := range 8 {
		all = append(all, i)
	}
	for i := range 20 {
		early = append(early, i*51)
	}
	tests := []struct {
		name   string
		before int // spans of a batch that is bad as a whole
		bad    []int
		sent   int // at least
	}{
		{"one after a batch that is all bad", 8, []int{0}, 2047},
		{"many in the first half", 0, early, 1024 + 500},
		{"the first eight", 0, all, 2040},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &backend{respond: refusesBad}
				f, l := one(t, b, &journal{}, nil)
				for i := range tt.before {
					f.HandOver(span(fmt.Sprint("bad", i), 0))
				}
				_ = l.ForceFlush(t.Context())
				before, _ := b.tried()
				for _, name := range named(2048, tt.bad...) {
					f.HandOver(span(name, 0))
				}
				_ = l.ForceFlush(t.Context())
				if s := l.Stats(); int(s.Sent) < tt.sent || s.Waiting != 0 {
					t.Errorf("%d of %d spans are sent: %+v", s.Sent, 2048-len(tt.bad), s)
				}
				if attempts, _ := b.tried(); attempts-before > 128 {
					t.Errorf("%d requests", attempts-before)
				}
				accounted(t, l, b)
			})
		})
	}
}

// A backend that refuses everything is asked less and less.
func TestSearchIsFutile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{respond: func(context.Context, []string) (delivery.Response, error) { return delivery.Response{}, errInvalid }}
		f, l := one(t, b, &journal{}, nil)
		last := 0
		for i, most := range []int{128, 8, 8} {
			f.HandOver(spans(0, 2048, 0)...)
			_ = l.ForceFlush(t.Context())
			attempts, _ := b.tried()
			if attempts-last > most {
				t.Errorf("batch %d costs %d requests, want at most %d", i, attempts-last, most)
			}
			last = attempts
		}
		if s := l.Stats(); s.Dropped.Refused != 3*2048 {
			t.Errorf("%+v", s)
		}
	})
}

// A backend that can take less than what comes is not asked more for that, and what
// waits is sent soon after it can again.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, overload = 2500, 30 * time.Second
		start := time.Now()
		var second, taken int
		b := &backend{}
		b.respond = func(context.Context, []string) (delivery.Response, error) {
			time.Sleep(time.Millisecond)
			b.mu.Lock()
			defer b.mu.Unlock()
			now := int(time.Since(start) / time.Second)
			if now != second {
				second, taken = now, 0
			}
			room := 10
			if time.Since(start) < overload {
				room = 1
			}
			if taken++; taken > room {
				return delivery.Response{}, errAway
			}
			return delivery.Response{}, nil
		}
		f, l := one(t, b, &journal{}, nil)
		n := 0
		hand := func(seconds int) {
			for range seconds {
				f.HandOver(spans(n, n+perSecond, 0)...)
				n += perSecond
				time.Sleep(time.Second)
			}
		}
		hand(30)
		attempts, _ := b.tried()
		if attempts > 20*30 {
			t.Errorf("%d attempts in 30 s of overload", attempts)
		}
		hand(60)
		if s := l.Stats(); s.Oldest > 30*time.Second {
			t.Errorf("a minute after the overload: %+v", s)
		}
		time.Sleep(time.Minute)
		each(t, b, 0, n)
		accounted(t, l, b)
		t.Logf("%d attempts in the overload, %+v", attempts, l.Stats())
	})
}

// A busy backend is left alone, also by a span that it has not taken for long.
func TestRetryAfterOfASuspect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy bool
		b := &backend{}
		b.respond = func(_ context.Context, names []string) (delivery.Response, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			switch {
			case !slices.ContainsFunc(names, isBad):
				return delivery.Response{}, nil
			case busy:
				return delivery.Response{}, &delivery.ExportError{Outcome: delivery.Retry, RetryAfter: 10 * time.Minute, Err: errors.New("429")}
			default:
				return delivery.Response{}, errAway
			}
		}
		f, l := one(t, b, &journal{}, nil)
		f.HandOver(span("bad", 0))
		for i := range 10 {
			f.HandOver(span(fmt.Sprint(i), 0))
			time.Sleep(time.Second)
		}
		b.mu.Lock()
		busy = true
		b.mu.Unlock()
		for i := range 60 {
			f.HandOver(span(fmt.Sprint(10+i), 0))
			time.Sleep(time.Second)
		}
		before, _ := b.tried()
		for i := range 120 {
			f.HandOver(span(fmt.Sprint(70+i), 0))
			time.Sleep(time.Second)
		}
		if attempts, _ := b.tried(); attempts-before > 1 {
			t.Errorf("%d attempts in two minutes in which the backend is to be left alone", attempts-before)
		}
		if s := l.Stats(); s.Lost != 0 {
			t.Errorf("%+v", s)
		}
	})
}
