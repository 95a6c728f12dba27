package untrusted_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/riffletrace/riffle/internal/untrusted"
)

func TestText(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		most     int
		want     string
	}{
		{"as it is", "all is well: é 世界", 100, "all is well: é 世界"},
		{"empty", "", 100, ""},
		{"a forged line", "bad\nlevel=ERROR msg=forged", 100, "bad level=ERROR msg=forged"},
		{"spaces", " \t a \r\n\u2028 b ", 100, "a b"},
		{"a terminal's orders", "\x1b]0;owned\x07\x1b[2J", 100, "?]0;owned??[2J"},
		{"no UTF-8", "a\xffb\xc3", 100, "a?b?"},
		{"the replacement character itself", "a\ufffdb", 100, "a\ufffdb"},
		{"direction", "a\u202ecod.exe\u2066", 100, "a?cod.exe?"},
		{"nothing to be seen", "a\u200bb\u00adc", 100, "a?b?c"},
		{"cut", "abcdef", 3, "abc... (6 bytes)"},
		{"cut in a character", "ab世", 4, "ab... (5 bytes)"},
		{"just as long", "abc", 3, "abc"},
		{"nothing is shown", "abc", 0, "... (3 bytes)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := untrusted.Text(tt.in, tt.most); got != tt.want {
				t.Errorf("Text(%q, %d) = %q, want %q", tt.in, tt.most, got, tt.want)
			}
		})
	}
}

func TestLines(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"a\n  b \x1b[2J\r\n\nc", "a\n  b ?[2J\n\nc"},
		{strings.Repeat("x\n", 50), strings.Repeat("x\n", 16) + "... (100 bytes)"},
		{"a\n" + strings.Repeat("x", 50), "a\n" + strings.Repeat("x", 30) + "... (50 bytes)"},
	} {
		if got := untrusted.Lines(tt.in, 32); got != tt.want {
			t.Errorf("Lines(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestCost(t *testing.T) {
	huge := strings.Repeat("\x1b", 64<<20)
	if n := testing.AllocsPerRun(10, func() { untrusted.Text("nothing to clean", untrusted.Line) }); n != 0 {
		t.Errorf("clean text: %v allocations, want 0", n)
	}
	if got := untrusted.Text(huge, untrusted.Line); len(got) > untrusted.Line+30 {
		t.Errorf("64 MiB became %d bytes", len(got))
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x00b\xff\u202e  ", 3)
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = min(max(most, 0), 1<<16)
		got := untrusted.Text(s, most)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("Text(%q, %d) = %q", s, most, got)
		}
		if len(got) > most+40 {
			t.Errorf("Text of %d bytes, %d: %d bytes", len(s), most, len(got))
		}
		if len(s) <= most && untrusted.Text(got, len(got)) != got {
			t.Errorf("cleaned twice: %q", got)
		}
	})
}
