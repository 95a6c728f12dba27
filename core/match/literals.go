package match

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// expansion are all texts that a part of a regular expression matches.
type expansion struct {
	texts []string
	cased cased
}

// cased tells how texts are compared.
type cased uint8

const (
	caseless cased = iota // there is only one case
	exact
	folded // they are as foldText makes them
)

const (
	maxLiterals = 64
	maxClass    = 16 // characters
)

// expand finds all texts that a part matches, if they are few and all of them are
// compared in the same way.
func expand(re *syntax.Regexp) (e expansion, ok bool) {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return expansion{texts: []string{""}}, true
	case syntax.OpLiteral:
		return expandLiteral(re)
	case syntax.OpCharClass:
		return expandClass(re.Rune)
	case syntax.OpCapture:
		return expand(re.Sub[0])
	case syntax.OpQuest:
		e, ok = expand(re.Sub[0])
		e.texts = append(e.texts, "")
		return e, ok
	case syntax.OpConcat:
		e.texts = []string{""}
		for _, sub := range re.Sub {
			more, ok := expand(sub)
			if !ok || len(e.texts)*len(more.texts) > maxLiterals || !e.join(more.cased) {
				return e, false
			}
			var all []string
			for _, a := range e.texts {
				for _, b := range more.texts {
					all = append(all, a+b)
				}
			}
			e.texts = all
		}
		return e, true
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			more, ok := expand(sub)
			if !ok || len(e.texts)+len(more.texts) > maxLiterals || !e.join(more.cased) {
				return e, false
			}
			e.texts = append(e.texts, more.texts...)
		}
		return e, true
	default:
		return e, false
	}
}

// join reports whether texts that are compared like that can be among the others.
func (e *expansion) join(c cased) bool {
	if e.cased != caseless && c != caseless && e.cased != c {
		return false
	}
	e.cased = max(e.cased, c)
	return true
}

func expandLiteral(re *syntax.Regexp) (e expansion, ok bool) {
	if slices.ContainsFunc(re.Rune, isStrange) {
		return e, false
	}
	text := string(re.Rune)
	switch {
	case !slices.ContainsFunc(re.Rune, hasCase):
		return expansion{[]string{text}, caseless}, true
	case re.Flags&syntax.FoldCase != 0:
		return expansion{[]string{foldText(text)}, folded}, true
	default:
		return expansion{[]string{text}, exact}, true
	}
}

// isStrange is about characters that stand for what is no UTF-8, or are in none.
func isStrange(r rune) bool { return r == utf8.RuneError || !utf8.ValidRune(r) }

func expandClass(ranges []rune) (e expansion, ok bool) {
	var all []rune
	for i := 0; i < len(ranges); i += 2 {
		if len(all)+int(ranges[i+1]-ranges[i]) >= maxClass {
			return e, false
		}
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			all = append(all, r)
		}
	}
	if slices.ContainsFunc(all, isStrange) {
		return e, false
	}
	isFolded := true // all that differ in case only are there
	for _, r := range all {
		if hasCase(r) {
			e.cased = exact
		}
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			isFolded = isFolded && slices.Contains(all, other)
		}
	}
	if e.cased == exact && isFolded {
		e.cased = folded
		for i, r := range all {
			all[i] = fold(r)
		}
		slices.Sort(all)
		all = slices.Compact(all)
	}
	for _, r := range all {
		e.texts = append(e.texts, string(r))
	}
	return e, len(all) > 0
}

// literals are texts of which one is looked for.
type literals struct {
	texts  []string
	folded bool
	starts [256]bool // bytes with which one can start, if they are folded
}

// maxFolded bounds the work of looking for all folded texts at each byte.
const maxFolded = 256

// newLiterals returns nil if a regular expression is faster.
func newLiterals(e expansion) *literals {
	l := &literals{texts: slices.Clone(e.texts), folded: e.cased == folded}
	slices.Sort(l.texts)
	l.texts = slices.Compact(l.texts)
	if !l.folded {
		return l
	}
	total := 0
	for _, text := range l.texts {
		total += len(text)
		first, _ := utf8.DecodeRuneInString(text)
		l.starts[string(first)[0]] = true
		for other := unicode.SimpleFold(first); other != first; other = unicode.SimpleFold(other) {
			l.starts[string(other)[0]] = true
		}
	}
	if total > maxFolded {
		return nil
	}
	return l
}

// find looks for a literal that begins at the start of s, ends at its end, both, or
// stands anywhere.
func (l *literals) find(s string, start, end bool) bool {
	if l.folded && !start && !end {
		return l.findFolded(s)
	}
	for _, text := range l.texts {
		if l.findOne(s, text, start, end) {
			return true
		}
	}
	return false
}

func (l *literals) findOne(s, text string, start, end bool) bool {
	switch {
	case l.folded && start:
		n := foldPrefix(s, text)
		return n >= 0 && (!end || n == len(s))
	case l.folded:
		return foldSuffix(s, text)
	case start && end:
		return s == text
	case start:
		return strings.HasPrefix(s, text)
	case end:
		return strings.HasSuffix(s, text)
	default:
		return strings.Contains(s, text)
	}
}

func (l *literals) findFolded(s string) bool {
	for i := range len(s) {
		if !l.starts[s[i]] {
			continue
		}
		for _, text := range l.texts {
			if foldPrefix(s[i:], text) >= 0 {
				return true
			}
		}
	}
	return slices.Contains(l.texts, "")
}

// foldSuffix reports whether s ends with folded, whatever its case.
func foldSuffix(s, folded string) bool {
	for folded != "" {
		if s == "" {
			return false
		}
		r, width := utf8.DecodeLastRuneInString(s)
		want, wide := utf8.DecodeLastRuneInString(folded)
		if fold(r) != want {
			return false
		}
		s, folded = s[:len(s)-width], folded[:len(folded)-wide]
	}
	return true
}
