package match_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/riffletrace/riffle/core/match"
)

// oracle is the definition of a glob, by characters; exponential.
func oracle(p, s []rune) bool {
	switch {
	case len(p) == 0:
		return len(s) == 0
	case p[0] == '*':
		return oracle(p[1:], s) || len(s) > 0 && oracle(p, s[1:])
	default:
		return len(s) > 0 && (p[0] == '?' || p[0] == s[0]) && oracle(p[1:], s[1:])
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		glob match.Glob
		s    string
		want bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "a/b", true},
		{"a*c", "abcbc", true},
		{"a*c", "abcb", false},
		{"*a*b", "xaxaxb", true},
		{"?", "é", true},
		{"?", "", false},
		{"*??", "é", false},
		{"*??", "😀", false},
		{"*??ab", "😀ab", false},
		{"*é", "aéé", true},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"**", "", true},
		{"[a]", "[a]", true},
		{"é*", "è", false},
	} {
		if got := tt.glob.Match(tt.s); got != tt.want {
			t.Errorf("%q matches %q = %v", tt.glob, tt.s, got)
		}
	}
	if match.Glob(strings.Repeat("*a", 500) + "b").Match(strings.Repeat("a", 10_000)) {
		t.Error("matches")
	}
}

func random(r *rand.Rand, from string, most int) string {
	letters := []rune(from)
	var b strings.Builder
	for range r.IntN(most + 1) {
		b.WriteRune(letters[r.IntN(len(letters))])
	}
	return b.String()
}

func TestGlobIsWhatItSays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		pattern, text := random(r, "aabé*?", 8), random(r, "aabé", 12)
		if got, want := match.Glob(pattern).Match(text), oracle([]rune(pattern), []rune(text)); got != want {
			t.Fatalf("Glob(%q).Match(%q) = %v", pattern, text, got)
		}
	}
}

// Of what stands between two *, more than a word of bits.
func TestGlobOfManyBytes(t *testing.T) {
	for n := range 80 {
		part := strings.Repeat("é?", n) + "z"
		for _, more := range []string{"", "?", "x"} {
			text := strings.Repeat("éa", n+3) + "z" + more + "."
			if !match.Glob("*" + part + more + "*").Match(text) {
				t.Errorf("%d: %q is not in %q", n, part+more, text)
			}
			if match.Glob("*" + part + more + "y*").Match(text) {
				t.Errorf("%d: %qy is in %q", n, part+more, text)
			}
		}
	}
}

// Beyond MaxText only how a text begins and ends is looked at.
func TestGlobOfLongTexts(t *testing.T) {
	long := strings.Repeat("x", match.MaxText-6)
	for _, tt := range []struct {
		glob match.Glob
		text string
		want bool
	}{
		{"*bot*", long + "robot!", true},
		{"*bot*", long + "a robot!", false},
		{"*b?t*", long + "a robot!", false},
		{"*bot!", long + long + "robot!", true},
		{"x*b?t!", long + long + "robot!", true},
		{"x*xx*", long + long, true},
		{match.Glob(long + "*"), long + long, true},
		{match.Glob(long + long), long + long, true},
		{match.Glob(long + long + "*x*"), long + long + long, false},
	} {
		if got := tt.glob.Match(tt.text); got != tt.want {
			t.Errorf("%.20s of %d bytes, %d bytes: %v", tt.glob, len(tt.glob), len(tt.text), got)
		}
	}
}

// hostile are texts on which a search that goes back takes its time.
var hostile = []struct{ glob, text string }{
	{"*bot*", "bo"},
	{"*bot*", "b"},
	{"*aaaaaaaaaaaaaaaaaaaab*", "a"},
	{"*a?a?a?a?a?a?a?a?a?a?b*", "a"},
	{"*a*a*a*a*a*a*a*a*a*b", "a"},
	{"*ab?ab?ab?ab?ab?c*", "ab1"},
	{"a*?????????????????b*", "a"},
	{"*é?é?é?é?z*", "é"},
	{"*" + strings.Repeat("a", 100) + "b*", "a"},
	{"*" + strings.Repeat("?", 60) + "b*", "\xff"},
}

// A text of any length costs at most what MaxText does.
func TestGlobIsBounded(t *testing.T) {
	fastest := func(g match.Glob, text string) time.Duration {
		best := time.Hour
		for range 50 {
			start := time.Now()
			g.Match(text)
			best = min(best, time.Since(start))
		}
		return best
	}
	for _, tt := range hostile {
		text := strings.Repeat(tt.text, 1<<20/len(tt.text))
		short, long := fastest(match.Glob(tt.glob), text[:match.MaxText]), fastest(match.Glob(tt.glob), text)
		if long > 8*short+20*time.Microsecond {
			t.Errorf("%.30s: %v for 16 KiB, %v for 1 MiB", tt.glob, short, long)
		}
		quarter := fastest(match.Glob(tt.glob), text[:match.MaxText/4])
		if short > 12*quarter+20*time.Microsecond {
			t.Errorf("%.30s: %v for 4 KiB, %v for 16 KiB: not linear", tt.glob, quarter, short)
		}
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("a*b?c*", "axxbxcx")
	f.Add("*??ab", "😀ab")
	f.Add("é*?\xff", "éaa\xe4\xb8")
	for _, tt := range hostile {
		f.Add(tt.glob, tt.text)
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if !utf8.ValidString(pattern) || len(pattern) > 200 || strings.Count(pattern, "*") > 3 || len(text) > 24 {
			match.Glob(pattern).Match(text)
			return
		}
		// A byte that is no UTF-8 is a character of its own, like no other.
		var runes []rune
		for s := text; s != ""; {
			r, width := utf8.DecodeRuneInString(s)
			if r == utf8.RuneError && width == 1 {
				r = -1 - rune(s[0])
			}
			runes, s = append(runes, r), s[width:]
		}
		if got, want := match.Glob(pattern).Match(text), oracle([]rune(pattern), runes); got != want {
			t.Errorf("Glob(%q).Match(%q) = %v", pattern, text, got)
		}
	})
}

func BenchmarkGlob(b *testing.B) {
	for _, tt := range hostile {
		text := strings.Repeat(tt.text, 1<<20/len(tt.text))
		b.Run("glob="+tt.glob[:min(30, len(tt.glob))], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				match.Glob(tt.glob).Match(text)
			}
		})
	}
	b.Run("short", func(b *testing.B) {
		for b.Loop() {
			match.Glob("/api/*/items/*.json").Match("/api/v1/things/7/items/42.json")
		}
	})
}
