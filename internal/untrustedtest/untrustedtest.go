// Package untrustedtest says what the worst say, and checks what is shown of it: for
// the tests of all that shows what others say.
package untrustedtest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Forged is what stands in a line of its own in what [Say] returns.
const Forged = "level=ERROR msg=forged"

// Say returns a text of so many bytes that would break a log or a terminal.
func Say(bytes int) string {
	const worst = "no room\n" + Forged + "\r\n\x1b[2J\x1b]0;owned\x07\u202ecod.exe\u2066\u009b31m\x00\xff\xfe\u2028\u200b "
	return strings.Repeat(worst, bytes/len(worst)+1)[:bytes]
}

// Most is how much is shown of what others say, with what is said around it.
const Most = 8 << 10

// Check fails the test if what is shown is not one line that can be printed, of a
// bounded length.
func Check(tb testing.TB, where, shown string) {
	tb.Helper()
	if len(shown) > Most {
		tb.Errorf("%s: %d bytes are shown: %.100q", where, len(shown), shown)
	}
	if !utf8.ValidString(shown) {
		tb.Errorf("%s: it is no UTF-8: %.100q", where, shown)
	}
	for i, r := range shown {
		if !unicode.IsPrint(r) {
			tb.Errorf("%s: %q is shown, in %.100q", where, r, shown[max(i-50, 0):])
			return
		}
	}
}

// Log keeps what is logged as it is handed to a handler, which quotes nothing.
type Log struct {
	mu    sync.Mutex
	lines []string
}

// Logger logs to it.
func (l *Log) Logger() *slog.Logger { return slog.New(handler{l, ""}) }

// Lines are what was logged.
func (l *Log) Lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.lines...)
}

// Check checks each of them, of which there must be some that contain a text.
func (l *Log) Check(tb testing.TB, where, some string) {
	tb.Helper()
	all := l.Lines()
	for _, line := range all {
		Check(tb, where+": a log line", line)
	}
	if !strings.Contains(strings.Join(all, "\n"), some) {
		tb.Errorf("%s: no line has %q in it: %.1000q", where, some, all)
	}
}

type handler struct {
	log  *Log
	with string
}

func (handler) Enabled(context.Context, slog.Level) bool { return true }

func (h handler) Handle(_ context.Context, r slog.Record) error {
	line := r.Message + h.with
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.Key + "=" + a.Value.String()
		return true
	})
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	h.log.lines = append(h.log.lines, line)
	return nil
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		h.with += fmt.Sprintf(" %s=%s", a.Key, a.Value)
	}
	return h
}

func (h handler) WithGroup(string) slog.Handler { return h }
