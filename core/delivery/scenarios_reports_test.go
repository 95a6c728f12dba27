package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
)

// logged is one line of a log.
type logged struct {
	at    time.Time
	level slog.Level
	text  string            // the message
	attrs map[string]string // the others
}

func (m logged) String() string {
	return fmt.Sprintf("%v %s %s %v", m.at.Format(time.TimeOnly), m.level, m.text, m.attrs)
}

// says reports whether the message or a value contains what is said.
func (m logged) says(what string) bool {
	for _, v := range m.attrs {
		if strings.Contains(v, what) {
			return true
		}
	}
	return strings.Contains(m.text, what)
}

// number is the value of the first attribute with one of these words in its key.
func (m logged) number(words ...string) (n int, ok bool) {
	for key, v := range m.attrs {
		for _, word := range words {
			if n, err := strconv.Atoi(v); err == nil && strings.Contains(key, word) {
				return n, true
			}
		}
	}
	return 0, false
}

func (m logged) recovery() bool { return strings.Contains(m.text, "recovered") }

// messages is a handler that keeps what is logged, at the time that it is.
type messages struct {
	mu  sync.Mutex
	all []logged
}

func (*messages) Enabled(context.Context, slog.Level) bool { return true }
func (h *messages) WithAttrs([]slog.Attr) slog.Handler     { return h }
func (h *messages) WithGroup(string) slog.Handler          { return h }
func (h *messages) Handle(_ context.Context, r slog.Record) error {
	m := logged{at: time.Now(), level: r.Level, text: r.Message, attrs: make(map[string]string)}
	r.Attrs(func(a slog.Attr) bool {
		m.attrs[a.Key] = a.Value.String()
		return true
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, m)
	return nil
}

// since are the messages from then on, until now.
func (h *messages) since(from time.Time) []logged {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(h.all), func(m logged) bool { return m.at.Before(from) })
}

// reported is a line whose backend does what respond says, and what it logs.
type reported struct {
	*delivery.Line
	lines    *delivery.Lines
	messages *messages
	backend  *backend
	mu       sync.Mutex
	err      error // of the backend; nil: it accepts
	n        int   // spans handed over
}

// newReported starts a line whose batches hold a span each second.
func newReported(t *testing.T, change func(*delivery.Config)) *reported {
	r := &reported{messages: &messages{}, lines: &delivery.Lines{}}
	r.backend = &backend{respond: func(context.Context, []string) (delivery.Response, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return delivery.Response{}, r.err
	}}
	c := delivery.Defaults()
	if change != nil {
		change(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	r.Line = r.lines.Add(r.backend, c, delivery.Settings{Name: "backend", Type: "fake", Logger: slog.New(r.messages)})
	t.Cleanup(func() {
		if t.Failed() {
			for _, m := range r.messages.since(time.Time{}) {
				t.Log(m)
			}
		}
	})
	return r
}

func (r *reported) fails(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// passes hands over a span each second, for so long.
func (r *reported) passes(d time.Duration) {
	for range d / time.Second {
		r.lines.HandOver(span(strconv.Itoa(r.n), 0))
		r.n++
		time.Sleep(time.Second)
	}
}

func (r *reported) shutdown(t *testing.T, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return r.Shutdown(ctx)
}

var (
	err503 = &delivery.ExportError{Outcome: delivery.Retry, Err: errors.New("503 Service Unavailable")}
	err401 = &delivery.ExportError{Outcome: delivery.Refused, Err: errors.New("401 Unauthorized")}
)

// A backend that comes back with another failure has not recovered: the change is
// said, that spans are lost from then on, and in the end how many.
func TestAwayThenRefuses(t *testing.T) {
	tests := []struct {
		name  string
		after time.Duration // it refuses until the shutdown
	}{{"for minutes", 3 * time.Minute}, {"in the shutdown", 0}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newReported(t, nil)
				r.fails(errAway)
				r.passes(137 * time.Second)
				r.fails(err401)
				changed := time.Now()
				r.passes(tt.after)
				err := r.shutdown(t, 10*time.Second)
				since := r.messages.since(changed)
				if !slices.ContainsFunc(since, func(m logged) bool { return m.level >= slog.LevelWarn && m.says("401 Unauthorized") && m.says("lost") }) {
					t.Errorf("nothing says that spans are lost, and why: %v", since)
				}
				if slices.ContainsFunc(since, logged.recovery) {
					t.Error("it is said to have recovered")
				}
				if s := r.Stats(); s.Lost != uint64(r.n) || s.Waiting != 0 {
					t.Errorf("%d of %d spans are lost", s.Lost, r.n)
				}
				checkSays(t, err, r.n)
				if err != nil && !strings.Contains(err.Error(), "401 Unauthorized") {
					t.Errorf("the error does not say why: %v", err)
				}
			})
		})
	}
}

// checkSays checks that an error tells how many spans did not arrive.
func checkSays(t testing.TB, err error, lost int) {
	t.Helper()
	if err == nil || !regexp.MustCompile(`\b`+strconv.Itoa(lost)+`\b`).MatchString(err.Error()) {
		t.Errorf("the error does not say that %d spans are lost: %v", lost, err)
	}
}

// The last line of the log says how the backend is, or was a minute ago.
func TestFlappingIsSaid(t *testing.T) {
	tests := []struct {
		name string
		up   []bool // in turn, for ten seconds each; the last stays
	}{
		{"down, up, down", []bool{false, true, false}},
		{"down, up, down, up", []bool{false, true, false, true}},
		{"down, up, down, up, down", []bool{false, true, false, true, false}},
		{"up, down", []bool{true, false}},
	}
	for _, tt := range tests {
		for _, failure := range []error{errAway, err401} {
			t.Run(fmt.Sprintf("%s/%v", tt.name, failure), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newReported(t, nil)
					for _, up := range tt.up {
						if r.fails(failure); up {
							r.fails(nil)
						}
						r.passes(10 * time.Second)
					}
					r.passes(65 * time.Second)
					last := slices.DeleteFunc(r.messages.since(time.Time{}), func(m logged) bool { return m.level < slog.LevelWarn && !m.recovery() })
					if len(last) == 0 {
						t.Fatal("nothing is said")
					}
					if said, is := last[len(last)-1].recovery(), tt.up[len(tt.up)-1]; said != is {
						t.Errorf("it works: %t; the last line is %s", is, last[len(last)-1])
					}
					r.fails(nil)
					_ = r.shutdown(t, time.Minute)
				})
			})
		}
	}
}

// The line about a recovery counts what this outage has cost, and nothing else.
func TestRecoveryCountsItsOutage(t *testing.T) {
	tests := []struct {
		name    string
		failure error
		change  func(*delivery.Config)
	}{
		{"refused", err401, nil},
		{"the queue is full", err503, func(c *delivery.Config) { c.Queue.MaxBytes, c.Batch.MaxBytes = 64<<10, 64<<10 }},
		{"expired", err503, func(c *delivery.Config) { c.Send.MaxElapsed = component.Duration(time.Minute) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newReported(t, tt.change)
				var told, outages int
				for _, lasts := range []time.Duration{20 * time.Minute, 40 * time.Minute} {
					r.passes(3 * time.Minute)
					before := r.Stats().Lost
					r.fails(tt.failure)
					r.passes(lasts)
					r.fails(nil)
					back := time.Now()
					r.passes(3 * time.Minute)
					lost := int(r.Stats().Lost - before)
					if lost == 0 {
						t.Fatal("the outage costs nothing")
					}
					for _, m := range r.messages.since(back) {
						if n, ok := m.number("lost"); ok && m.recovery() {
							outages++
							if told += n; n != lost {
								t.Errorf("the outage of %v has cost %d spans; %s", lasts, lost, m)
							}
						}
					}
				}
				if s := r.Stats(); outages != 2 || told != int(s.Lost) {
					t.Errorf("%d outages, %d spans lost; told are %d and %d", 2, s.Lost, outages, told)
				}
				_ = r.shutdown(t, time.Minute)
			})
		})
	}
}

// A change of the cause is said within a minute.
func TestCauseChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReported(t, nil)
		for _, failure := range []error{errAway, err503, err401, errAway} {
			r.fails(failure)
			changed := time.Now()
			r.passes(2 * time.Minute)
			said := slices.IndexFunc(r.messages.since(changed), func(m logged) bool { return m.level >= slog.LevelWarn && m.says(failure.Error()) })
			if said < 0 {
				t.Errorf("it is not said that the backend fails with %v", failure)
			} else if m := r.messages.since(changed)[said]; m.at.Sub(changed) > 65*time.Second {
				t.Errorf("it is said after %v that the backend fails with %v", m.at.Sub(changed), failure)
			}
		}
		_ = r.shutdown(t, time.Second)
	})
}

// What fails for each batch is not said for each.
func TestNotALinePerBatch(t *testing.T) {
	tests := []struct {
		name  string
		cause func(n int) error // of the attempt
	}{
		{"one cause", func(int) error { return err401 }},
		{"two in turn", func(n int) error { return []error{err401, err503}[n%2] }},
		{"another each time", func(n int) error {
			return &delivery.ExportError{Outcome: delivery.Refused, Err: fmt.Errorf("400 Bad Request: request %d", n)}
		}},
		{"every other is accepted", func(n int) error { return []error{err401, nil}[n%2] }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newReported(t, func(c *delivery.Config) {
					c.Batch.MaxSpans = 1
					c.Send.Backoff = delivery.Backoff{Initial: 1e6, Max: 1e7}
				})
				var n int
				r.backend.respond = func(context.Context, []string) (delivery.Response, error) {
					r.mu.Lock()
					defer r.mu.Unlock()
					n++
					return delivery.Response{}, tt.cause(n - 1)
				}
				// Ten a second for 100 s.
				for i := range 1000 {
					r.lines.HandOver(span(strconv.Itoa(i), 0))
					time.Sleep(100 * time.Millisecond)
				}
				// What starts, what is refused, what changes and what is lost: a few lines in
				// each of two minutes.
				if said := r.messages.since(time.Time{}); len(said) == 0 || len(said) > 12 {
					t.Errorf("%d lines about 1000 batches", len(said))
				}
				_ = r.shutdown(t, time.Second)
			})
		})
	}
}

// While an outage lasts, each minute a line says what waits and what was lost.
func TestReminder(t *testing.T) {
	tests := []struct {
		name    string
		failure error
		change  func(*delivery.Config)
	}{
		{"spans wait", errAway, nil},
		{"some are lost", errAway, func(c *delivery.Config) { c.Queue.MaxBytes, c.Batch.MaxBytes = 64<<10, 64<<10 }},
		{"all are lost", err401, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newReported(t, tt.change)
				r.fails(tt.failure)
				began := time.Now()
				r.passes(20 * time.Minute)
				perMinute := make(map[int]int)
				for _, m := range r.messages.since(began) {
					waits, ok := m.number("wait", "queued")
					lost, ok2 := m.number("lost")
					if !ok || !ok2 {
						continue
					}
					perMinute[int(m.at.Sub(began)/time.Minute)]++
					if handedOver := int(m.at.Sub(began) / time.Second); waits+lost < handedOver-3 || waits+lost > handedOver+3 {
						t.Errorf("%d spans were handed over: %s", handedOver, m)
					}
				}
				for minute := 1; minute < 20; minute++ {
					if n := perMinute[minute]; n < 1 || n > 2 {
						t.Errorf("in minute %d of the outage, %d lines say what waits and what is lost", minute, n)
						break
					}
				}
				_ = r.shutdown(t, time.Second)
			})
		})
	}
}

// A directory that somebody has removed is one line, whatever was in it.
func TestRemovedDirectory(t *testing.T) {
	dir := t.TempDir() + "/queue"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r := newReported(t, onDisk(dir))
	r.fails(errAway)
	const spans, perBatch = 500, 10
	for i := range spans {
		r.lines.HandOver(span(strconv.Itoa(i), 100))
	}
	until(t, "they are stored", func() bool { return r.Stats().Stored == spans })
	if n := len(batches(t, dir)); n < spans/perBatch {
		t.Fatalf("%d files", n)
	}
	removed := time.Now()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	r.fails(nil)
	until(t, "they are given up", func() bool { s := r.Stats(); return s.Lost+s.Sent == spans })
	if s := r.Stats(); s.Lost == 0 || s.Lost != s.Dropped.Damaged {
		t.Errorf("what is gone is not counted as damaged: %+v", s)
	}
	_ = r.shutdown(t, 5*time.Second)
	// Those about the queue; that the backend is back is another.
	said := slices.DeleteFunc(r.messages.since(removed), func(m logged) bool { return m.level < slog.LevelWarn })
	if len(said) < 1 || len(said) > 2 {
		t.Errorf("%d lines", len(said))
	}
}
