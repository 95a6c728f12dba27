package match

import (
	"strings"
	"unicode/utf8"
)

// Glob is a pattern of text: * stands for any run of characters, an empty one
// and slashes included, and ? for one character.
type Glob string

// MaxText is how much of a text is searched, in bytes. What stands between two *
// must end within them; how a longer text begins and ends is matched as in any
// other.
const MaxText = 16 << 10

// Match reports whether the pattern matches the whole of s. Its time grows with
// the length of s up to [MaxText], and hardly with that of the pattern; it
// allocates nothing.
func (g Glob) Match(s string) bool {
	p := string(g)
	first, last := strings.IndexByte(p, '*'), strings.LastIndexByte(p, '*')
	if first < 0 {
		return prefix(s, p) == len(s)
	}
	from := prefix(s, p[:first])
	if from < 0 {
		return false
	}
	to := suffix(s[from:], p[last+1:])
	if to < 0 {
		return false
	}
	s = s[from:min(from+to, max(from, MaxText))]
	// What stands between two * is matched as early as it can be, which leaves the
	// most to what follows.
	for first < last {
		first++
		n := strings.IndexByte(p[first:], '*')
		end := after(s, p[first:first+n])
		if end < 0 {
			return false
		}
		s, first = s[end:], first+n
	}
	return true
}

// prefix returns where p, without *, ends at the start of s, or -1.
func prefix(s, p string) int {
	i := 0
	for j := range len(p) {
		switch {
		case i == len(s):
			return -1
		case p[j] == '?':
			_, width := utf8.DecodeRuneInString(s[i:])
			i += width
		case p[j] == s[i]:
			i++
		default:
			return -1
		}
	}
	return i
}

// suffix returns where p, without *, begins at the end of s, or -1.
func suffix(s, p string) int {
	for j := len(p) - 1; j >= 0; j-- {
		switch {
		case s == "":
			return -1
		case p[j] == '?':
			_, width := utf8.DecodeLastRuneInString(s)
			s = s[:len(s)-width]
		case p[j] == s[len(s)-1]:
			s = s[:len(s)-1]
		default:
			return -1
		}
	}
	return len(s)
}

// after returns where p, without *, first ends in s, or -1.
func after(s, p string) int {
	if strings.IndexByte(p, '?') < 0 {
		if i := strings.Index(s, p); i >= 0 {
			return i + len(p)
		}
		return -1
	}
	const word = 64
	var more string // of the pattern, that does not fit into a word
	if len(p) > word {
		n := word
		for n > 1 && !utf8.RuneStart(p[n]) {
			n--
		}
		p, more = p[:n], p[n:]
	}
	// The algorithm of Baeza-Yates and Gonnet: bit j of state tells that p[:j+1]
	// ends here. Each byte of s costs the same, whatever was matched before it.
	var literals [256]uint64 // by byte: where it stands in p
	var wild uint64          // where ? stands
	for j := range len(p) {
		if p[j] == '?' {
			wild |= 1 << j
		} else {
			literals[p[j]] |= 1 << j
		}
	}
	found := uint64(1) << (len(p) - 1)
	state := uint64(0)
	for i := 0; i < len(s); {
		width := 1
		if s[i] >= utf8.RuneSelf {
			_, width = utf8.DecodeRuneInString(s[i:])
		}
		next := state<<1 | 1
		one := next & wild // ? takes all of the character
		state = next & literals[s[i]]
		for _, b := range []byte(s[i+1 : i+width]) {
			state = state << 1 & literals[b]
		}
		state |= one
		i += width
		if state&found == 0 {
			continue
		}
		if end := prefix(s[i:], more); end >= 0 {
			return i + end
		}
	}
	return -1
}
