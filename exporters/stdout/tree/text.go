package tree

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// escape makes s safe for a terminal and one line high: what is not printable
// (control characters, changes of direction, bytes that are not UTF-8) is
// written as in a Go string.
func escape(s string) string {
	if isSafe(s) {
		return s
	}
	var b strings.Builder
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			const hex = "0123456789abcdef"
			b.WriteString(`\x`)
			b.WriteByte(hex[s[0]>>4])
			b.WriteByte(hex[s[0]&15])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[n:]
	}
	return b.String()
}

func isSafe(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}

// cells is how many columns an escaped string takes.
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

// cut shortens an escaped string to n columns, with an ellipsis.
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
