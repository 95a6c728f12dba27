package bound_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/riffletrace/riffle/internal/bound"
)

func TestTextThatFits(t *testing.T) {
	for _, n := range []int{0, 1, 13, 14, 15, 100} {
		text := strings.Repeat("x", n)
		if got := bound.Limit(n).Text(text); got != text {
			t.Errorf("a text of just %d bytes became %q", n, got)
		}
		got := bound.Limit(n).Text(text + "y")
		if n > 0 && (len(got) > max(n, len(bound.Marker)) || !strings.HasSuffix(got, bound.Marker)) {
			t.Errorf("a text of %d bytes became %q", n+1, got)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("a世b", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = min(max(limit, 1), 1<<10)
		got := bound.Limit(limit).Text(s)
		if len(got) > max(limit, len(bound.Marker)) {
			t.Errorf("cut(%q, %d) has %d bytes", s, limit, len(got))
		}
		kept, cut := strings.CutSuffix(got, bound.Marker)
		if !strings.HasPrefix(s, kept) || !cut && got != s || cut && utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("cut(%q, %d) = %q", s, limit, got)
		}
	})
}
