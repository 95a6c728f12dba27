package redact

import (
	"strings"
	"unicode/utf8"
)

// Cut tells which texts were cut before redaction saw them. A secret that stood at
// the end of one is not whole, so that rules would not find it: of a text that is
// cut, what could be the beginning of something that a rule is about is taken out
// too.
type Cut struct {
	// Length is the number of characters after which values are cut; 0 or less if
	// they are not. A text of exactly so many counts as cut.
	Length int
	// Marker is what stands at the end of a text that was cut; "" if nothing does.
	// It is not looked at, and stays.
	Marker string
}

// may reports whether a text can be one that was cut. It is asked about every
// text.
func (c *Cut) may(s string) bool {
	last := s[len(s)-1]
	return c.Length > 0 && len(s) >= c.Length || c.Marker != "" && last == c.Marker[len(c.Marker)-1]
}

// split takes the marker off a text that was cut.
func (c *Cut) split(s string) (body, marker string, cut bool) {
	if body, ok := strings.CutSuffix(s, c.Marker); ok && c.Marker != "" {
		return body, c.Marker, true
	}
	// The SDK counts characters, of byte slices bytes.
	if n := c.Length; n > 0 && (len(s) == n || len(s) > n && len(s) <= utf8.UTFMax*n && utf8.RuneCountInString(s) == n) {
		return s, "", true
	}
	return s, "", false
}
