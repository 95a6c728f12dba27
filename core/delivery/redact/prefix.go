package redact

import (
	"fmt"
	"io"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// maxPrefix bounds the program that finds the beginning of a match, in
// instructions.
const maxPrefix = 1 << 14

// prefix finds where a match of expr begins that ends with a text or may go on
// behind it, or returns -1. What it needs is made when it is first called: most
// patterns never see a text that was cut.
func prefix(expr string) func(s string) int {
	once := sync.OnceValue(func() *regexp.Regexp { return beginningsOf(expr) })
	return func(s string) int {
		re := once()
		if re == nil {
			return 0 // whatever there is could be a part of a match
		}
		if at := re.FindReaderIndex(&backwards{s}); at != nil {
			return len(s) - at[1]
		}
		return -1
	}
}

// backwards reads a text from its end.
type backwards struct{ text string }

func (b *backwards) ReadRune() (r rune, size int, err error) {
	if b.text == "" {
		return 0, 0, io.EOF
	}
	r, size = utf8.DecodeLastRuneInString(b.text)
	b.text = b.text[:len(b.text)-size]
	return r, size, nil
}

// beginningsOf returns the expression that matches, from the end of a text
// backwards, what a match of expr can begin with: the whole match, or any part of
// it from its start but the empty one. Backwards, it reads as much as can belong to
// a match, and not all of the text. It returns nil if that is too large.
//
// It follows from the syntax tree, where P(x) stands for the beginnings of x:
//
//	P(ab)  = P(a) | a P(b)
//	P(a|b) = P(a) | P(b)
//	P(a*)  = a* P(a)
func beginningsOf(expr string) *regexp.Regexp {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	source := `\A(?:` + beginnings(tree) + ")"
	if tree, err = syntax.Parse(source, syntax.Perl); err != nil {
		return nil
	}
	if program, err := syntax.Compile(tree.Simplify()); err != nil || len(program.Inst) > maxPrefix {
		return nil
	}
	re, err := regexp.Compile(source)
	if err != nil {
		return nil
	}
	re.Longest()
	return re
}

const nothing = `[^\x00-\x{10FFFF}]` // matches nowhere

// beginnings is P, backwards.
func beginnings(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		s := ""
		for i := range slices.Backward(re.Rune) {
			if s != "" {
				s = group(s) + "?"
			}
			s += literal(re, re.Rune[i:i+1])
		}
		return s
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return re.String()
	case syntax.OpCapture, syntax.OpQuest:
		return beginnings(re.Sub[0])
	case syntax.OpStar, syntax.OpPlus:
		return group(beginnings(re.Sub[0])) + group(reversed(re.Sub[0])) + "*"
	case syntax.OpRepeat:
		switch re.Max {
		case 0:
			return nothing
		case -1:
			return group(beginnings(re.Sub[0])) + group(reversed(re.Sub[0])) + "*"
		default:
			return group(beginnings(re.Sub[0])) + group(reversed(re.Sub[0])) + fmt.Sprintf("{0,%d}", re.Max-1)
		}
	case syntax.OpConcat:
		// P(abc) = P(a) | a (P(b) | b P(c)), so that each is written twice, not often.
		s := nothing
		for _, sub := range slices.Backward(re.Sub) {
			s = beginnings(sub) + "|" + group(s) + group(reversed(sub))
		}
		return s
	case syntax.OpAlternate:
		return each(re.Sub, "|", beginnings)
	default: // what matches nothing, or where there is nothing
		return nothing
	}
}

// reversed matches backwards what re matches.
func reversed(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		runes := slices.Clone(re.Rune)
		slices.Reverse(runes)
		return literal(re, runes)
	case syntax.OpConcat:
		subs := slices.Clone(re.Sub)
		slices.Reverse(subs)
		return each(subs, "", reversed)
	case syntax.OpAlternate:
		return each(re.Sub, "|", reversed)
	case syntax.OpCapture:
		return reversed(re.Sub[0])
	case syntax.OpStar:
		return group(reversed(re.Sub[0])) + "*"
	case syntax.OpPlus:
		return group(reversed(re.Sub[0])) + "+"
	case syntax.OpQuest:
		return group(reversed(re.Sub[0])) + "?"
	case syntax.OpRepeat:
		most := ""
		if re.Max >= 0 {
			most = fmt.Sprint(re.Max)
		}
		return group(reversed(re.Sub[0])) + fmt.Sprintf("{%d,%s}", re.Min, most)
	case syntax.OpBeginLine:
		return "(?m:$)"
	case syntax.OpEndLine:
		return "(?m:^)"
	case syntax.OpBeginText:
		return `\z`
	case syntax.OpEndText:
		return `\A`
	default: // characters, and borders of words
		return re.String()
	}
}

func literal(re *syntax.Regexp, runes []rune) string {
	return group((&syntax.Regexp{Op: syntax.OpLiteral, Flags: re.Flags, Rune: runes}).String())
}

func each(all []*syntax.Regexp, between string, f func(*syntax.Regexp) string) string {
	parts := make([]string, len(all))
	for i, re := range all {
		parts[i] = group(f(re))
	}
	return strings.Join(parts, between)
}

func group(expr string) string { return "(?:" + expr + ")" }
