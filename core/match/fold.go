package match

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// fold is the rune that stands for all that differ from it in case only: the same as
// in regular expressions and in [strings.EqualFold].
func fold(r rune) rune {
	switch {
	case 'A' <= r && r <= 'Z':
		return r + 'a' - 'A'
	case r < utf8.RuneSelf:
		return r
	}
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		if other < utf8.RuneSelf {
			return unicode.ToLower(other)
		}
		least = min(least, other)
	}
	return least
}

// hasCase reports whether there are others that differ from r in case only.
func hasCase(r rune) bool { return unicode.SimpleFold(r) != r }

func foldText(s string) string { return strings.Map(fold, s) }

// foldPrefix returns where folded, which [foldText] has made, ends at the start of s,
// whatever the case of that; -1 if it does not stand there.
func foldPrefix(s, folded string) int {
	i := 0
	for j := 0; j < len(folded); {
		if i == len(s) {
			return -1
		}
		b := s[i]
		if b < utf8.RuneSelf {
			if 'A' <= b && b <= 'Z' {
				b += 'a' - 'A'
			}
			if b != folded[j] {
				return -1
			}
			i, j = i+1, j+1
			continue
		}
		r, width := utf8.DecodeRuneInString(s[i:])
		want, wide := utf8.DecodeRuneInString(folded[j:])
		if fold(r) != want {
			return -1
		}
		i, j = i+width, j+wide
	}
	return i
}

// foldHash is equal for texts that differ in case only.
func foldHash(s string) uint64 {
	h := uint64(14695981039346656037) // FNV-1a, by runes
	for _, r := range s {
		h = (h ^ uint64(fold(r))) * 1099511628211
	}
	return h
}
