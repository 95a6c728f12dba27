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
			if !ok || !e.join(&more) || len(e.texts)*len(more.texts) > maxLiterals {
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
			if !ok || !e.join(&more) || len(e.texts)+len(more.texts) > maxLiterals {
				return e, false
			}
			e.texts = append(e.texts, more.texts...)
		}
		return e, true
	default:
		return e, false
	}
}

// join makes texts that are compared in the same way as others, if that can be done.
func (e *expansion) join(o *expansion) bool {
	switch {
	case e.cased == folded && o.cased == exact:
		return e.unfold()
	case e.cased == exact && o.cased == folded:
		return o.unfold()
	}
	e.cased = max(e.cased, o.cased)
	return true
}

// unfold lists the texts in each case, if they are few.
func (e *expansion) unfold() bool {
	var all []string
	for _, text := range e.texts {
		variants := []string{""}
		for _, r := range text {
			var longer []string
			for _, v := range variants {
				longer = append(longer, v+string(r))
				for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
					longer = append(longer, v+string(other))
				}
			}
			if variants = longer; len(variants)+len(all) > maxLiterals {
				return false
			}
		}
		all = append(all, variants...)
	}
	e.texts, e.cased = all, exact
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
	pivots []pivot // of the texts, if they are folded
	bytes  [256]bool
	many   bool // of bytes, which are those of the pivots
}

// fewBytes are looked for one after another, by the processor's means for that.
const fewBytes = 4

// pivot is the letter of a folded text that is looked for: the rarest.
type pivot struct {
	lower, upper  byte // the same if there is one case
	before, after string
}

// rarest are letters, those first that are rare in what people write. K and s are not
// there: each has a third form, of several bytes.
const rarest = "zqxjvbpygfwmucldrhnioate"

// pivotOf is not ok if the text has no such letter, and no other byte of one case.
func pivotOf(text string) (p pivot, ok bool) {
	best := len(rarest) + 1
	for i := range len(text) {
		b := text[i]
		rank := strings.IndexByte(rarest, b)
		if b >= utf8.RuneSelf || b == 'k' || b == 's' {
			continue
		}
		if rank < 0 { // a digit, or a sign
			rank = len(rarest) / 2
		}
		if rank < best {
			best = rank
			p = pivot{lower: b, upper: b, before: text[:i], after: text[i+1:]}
			if hasCase(rune(b)) {
				p.upper -= 'a' - 'A'
			}
		}
	}
	return p, best <= len(rarest)
}

// at reports whether the text stands around the byte of s that is there.
func (p *pivot) at(s string, i int) bool {
	return foldSuffix(s[:i], p.before) && foldPrefix(s[i+1:], p.after) >= 0
}

func (p *pivot) findByte(s string, b byte) bool {
	for from := 0; ; from++ {
		i := strings.IndexByte(s[from:], b)
		if i < 0 {
			return false
		}
		if from += i; p.at(s, from) {
			return true
		}
	}
}

// findFolded looks for a folded text anywhere.
func (l *literals) findFolded(s string) bool {
	if l.many {
		for i := range len(s) {
			if l.bytes[s[i]] && l.pivotAt(s, i) {
				return true
			}
		}
		return false
	}
	for i := range l.pivots {
		p := &l.pivots[i]
		if p.findByte(s, p.lower) || p.upper != p.lower && p.findByte(s, p.upper) {
			return true
		}
	}
	return false
}

func (l *literals) pivotAt(s string, i int) bool {
	for j := range l.pivots {
		if p := &l.pivots[j]; (s[i] == p.lower || s[i] == p.upper) && p.at(s, i) {
			return true
		}
	}
	return false
}

// maxFolded bounds the work of looking for all folded texts at each of their letters.
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
		p, ok := pivotOf(text)
		if total += len(text); !ok || total > maxFolded {
			return nil
		}
		l.pivots = append(l.pivots, p)
		l.bytes[p.lower], l.bytes[p.upper] = true, true
	}
	some := 0
	for _, is := range l.bytes {
		some += index(is)
	}
	l.many = some > fewBytes
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
