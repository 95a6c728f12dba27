package match

import "unicode/utf8"

// Glob is a pattern of text: * stands for any run of characters, an empty one
// and slashes included, and ? for one character.
type Glob string

// Match reports whether the pattern matches the whole of s. Its time grows at
// worst with the product of the two lengths; it allocates nothing.
func (g Glob) Match(s string) bool {
	// After a mismatch, the last * takes one character more. Those before it stay:
	// what stands between two of them was matched as early as it could be, which
	// leaves the most to what follows.
	p, i := 0, 0
	star, from := -1, 0 // the last *, and what it has not taken
	for i < len(s) {
		_, width := utf8.DecodeRuneInString(s[i:])
		switch {
		case p < len(g) && g[p] == '*':
			star, from = p, i
			p++
			continue
		case p < len(g) && g[p] == '?':
			p, i = p+1, i+width
			continue
		case p < len(g) && g[p] == s[i]:
			p, i = p+1, i+1
			continue
		case star < 0:
			return false
		}
		_, width = utf8.DecodeRuneInString(s[from:])
		from += width
		p, i = star+1, from
	}
	for p < len(g) && g[p] == '*' {
		p++
	}
	return p == len(g)
}
