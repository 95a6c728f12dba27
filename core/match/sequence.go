package match

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// element is a part of a sequence: one of some literals, or characters of a class. No
// element leaves a choice: at most one of the literals can stand at a place, and no
// character of a class can be the first of what follows. So a text is matched by going
// through it once.
type element struct {
	texts  []string
	folded bool

	class    class
	min      int  // characters of the class
	isSingle bool // no more than one
}

// class are characters, as pairs of the first and the last.
type class []rune

func (c class) has(r rune) bool {
	for i := 0; i < len(c); i += 2 {
		if r <= c[i+1] {
			return r >= c[i]
		}
	}
	return false
}

func (c class) overlaps(o class) bool {
	for i := 0; i < len(c); i += 2 {
		for j := 0; j < len(o); j += 2 {
			if c[i] <= o[j+1] && o[j] <= c[i+1] {
				return true
			}
		}
	}
	return false
}

const maxRanges = 32 // a character is compared with them one by one

// sequenceOf returns nil if the parts are no sequence.
func sequenceOf(parts []*syntax.Regexp) []element {
	var all []element
	for _, part := range parts {
		e, ok := elementOf(part)
		if !ok {
			return nil
		}
		all = append(all, e)
	}
	for i, e := range all {
		if e.class == nil || e.min == 1 && e.isSingle {
			continue
		}
		for _, n := range all[i+1:] {
			if e.class.overlaps(n.firsts()) {
				return nil
			}
			if n.class == nil || n.min > 0 {
				break
			}
		}
	}
	return all
}

func elementOf(re *syntax.Regexp) (e element, ok bool) {
	if all, ok := expand(re); ok && (len(all.texts) == 1 || re.Op != syntax.OpCharClass) {
		e.texts, e.folded = all.texts, all.cased == folded
		for i, a := range e.texts {
			for j, b := range e.texts {
				if a == "" || i != j && strings.HasPrefix(b, a) {
					return e, false
				}
			}
		}
		return e, true
	}
	e.min, e.isSingle = 1, true
	switch re.Op {
	case syntax.OpPlus:
		e.isSingle = false
		re = re.Sub[0]
	case syntax.OpStar:
		e.min, e.isSingle = 0, false
		re = re.Sub[0]
	case syntax.OpQuest:
		e.min = 0
		re = re.Sub[0]
	}
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	switch re.Op {
	case syntax.OpLiteral:
		if len(re.Rune) == 1 {
			one := element{texts: []string{string(re.Rune)}, folded: re.Flags&syntax.FoldCase != 0}
			e.class = one.firsts()
			slices.Sort(e.class)
		}
	case syntax.OpCharClass:
		e.class = re.Rune
	case syntax.OpAnyChar:
		e.class = class{0, unicode.MaxRune}
	case syntax.OpAnyCharNotNL:
		e.class = class{0, '\n' - 1, '\n' + 1, unicode.MaxRune}
	}
	return e, len(e.class) > 0 && len(e.class) <= 2*maxRanges
}

// firsts are the characters with which an element can begin.
func (e *element) firsts() class {
	if e.class != nil {
		return e.class
	}
	var all class
	for _, text := range e.texts {
		r, _ := utf8.DecodeRuneInString(text)
		all = append(all, r, r)
		if !e.folded {
			continue
		}
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			all = append(all, other, other)
		}
	}
	return all
}

func matchSequence(all []element, s string, end bool) bool {
	for i := range all {
		e := &all[i]
		var n int
		if e.class == nil {
			n = e.literal(s)
		} else {
			n = e.characters(s)
		}
		if n < 0 {
			return false
		}
		s = s[n:]
	}
	return !end || s == ""
}

// literal returns the length of that with which s begins, -1 if there is none.
func (e *element) literal(s string) int {
	if e.folded {
		for _, text := range e.texts {
			if n := foldPrefix(s, text); n >= 0 {
				return n
			}
		}
		return -1
	}
	i := slices.IndexFunc(e.texts, func(text string) bool { return strings.HasPrefix(s, text) })
	if i < 0 {
		return -1
	}
	return len(e.texts[i])
}

// characters returns the length of those of the class with which s begins, -1 if they
// are too few.
func (e *element) characters(s string) int {
	i, n := 0, 0
	for i < len(s) && (n == 0 || !e.isSingle) {
		r, width := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, width = utf8.DecodeRuneInString(s[i:])
		}
		if !e.class.has(r) {
			break
		}
		i, n = i+width, n+1
	}
	if n < e.min {
		return -1
	}
	return i
}
