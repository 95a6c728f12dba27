package tree

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/riffletrace/riffle/internal/untrusted"
)

// maxText is how much of a text is looked at: more than a terminal is wide.
const maxText = untrusted.Line

// cells is how many columns a text takes.
func cells(s string) int {
	n := 0
	for _, r := range s {
		n += runeCells(r)
	}
	return n
}

func runeCells(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// cut shortens a text to n columns, with an ellipsis.
func cut(s string, n int) string {
	if cells(s) <= n {
		return s
	}
	taken := 0
	for i, r := range s {
		if taken += runeCells(r); taken > n-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// pad fills s with spaces to n columns; a negative n puts them before it.
func pad(s string, n int) string {
	missing := max(n, -n) - cells(s)
	if missing <= 0 {
		return s
	}
	if n < 0 {
		return strings.Repeat(" ", missing) + s
	}
	return s + strings.Repeat(" ", missing)
}
