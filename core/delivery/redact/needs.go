package redact

import (
	"cmp"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// needs is what any text has in which something can be found: it is cheap to
// look for, and missing from most.
type needs struct {
	length int       // at least so many bytes
	bytes  []byteSet // one of each
}

// byteSet is a set of bytes.
type byteSet [256]bool

func setOf(s string) (b byteSet) {
	for i := range len(s) {
		b[s[i]] = true
	}
	return b
}

func (b *byteSet) size() (n int) {
	for _, in := range b {
		if in {
			n++
		}
	}
	return n
}

func (b *byteSet) add(o byteSet) {
	for i, in := range o {
		b[i] = b[i] || in
	}
}

const (
	maxNeeds = 6  // more tell little
	maxSet   = 80 // of bytes; larger sets are in every text
)

// needsOf finds out what a regular expression needs.
func needsOf(expr string) (needs, error) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return needs{}, err
	}
	n := analyse(re)
	n.bytes = slices.DeleteFunc(n.bytes, func(s byteSet) bool { return s.size() > maxSet })
	slices.SortStableFunc(n.bytes, func(a, b byteSet) int { return cmp.Compare(a.size(), b.size()) })
	n.bytes = slices.Compact(n.bytes)
	n.bytes = n.bytes[:min(len(n.bytes), maxNeeds)]
	return n, nil
}

func analyse(re *syntax.Regexp) (n needs) {
	switch re.Op {
	case syntax.OpNoMatch: // whatever: it never matches
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			variants := []rune{r, r}
			if re.Flags&syntax.FoldCase != 0 {
				for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
					variants = append(variants, f, f)
				}
			}
			n.class(variants)
		}
	case syntax.OpCharClass:
		n.class(re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		n.length = 1
	case syntax.OpCapture, syntax.OpPlus:
		return analyse(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			n = analyse(re.Sub[0])
			n.length *= re.Min
		}
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			s := analyse(sub)
			n.length += s.length
			n.bytes = append(n.bytes, s.bytes...)
		}
	case syntax.OpAlternate:
		return either(re.Sub)
	default: // matches where there is nothing
	}
	return n
}

// class adds a character out of ranges.
func (n *needs) class(ranges []rune) {
	var set byteSet
	length := utf8.UTFMax
	for i := 0; i+1 < len(ranges); i += 2 {
		lo, hi := ranges[i], ranges[i+1]
		if lo <= utf8.RuneError && utf8.RuneError <= hi {
			// It also stands for a byte that is no UTF-8.
			for b := utf8.RuneSelf; b < len(set); b++ {
				set[b] = true
			}
			length = 1
		}
		first, last := firstByte(lo), firstByte(hi)
		for b := int(first); b <= int(last); b++ {
			set[b] = true
		}
		length = min(length, max(utf8.RuneLen(lo), 1))
	}
	n.length += length
	n.bytes = append(n.bytes, set)
}

// firstByte grows with r.
func firstByte(r rune) byte {
	var b [utf8.UTFMax]byte
	utf8.EncodeRune(b[:], r)
	return b[0]
}

// either needs the least of what its alternatives need.
func either(subs []*syntax.Regexp) (n needs) {
	var set byteSet
	for i, sub := range subs {
		s := analyse(sub)
		if i == 0 || s.length < n.length {
			n.length = s.length
		}
		if len(s.bytes) == 0 {
			set.add(setOf(everything))
			continue
		}
		set.add(slices.MinFunc(s.bytes, func(a, b byteSet) int { return cmp.Compare(a.size(), b.size()) }))
	}
	n.bytes = []byteSet{set}
	return n
}

var everything = func() string {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}()
