package redact

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
)

// maxPrefix bounds the program that finds the beginning of a match, in
// instructions.
const maxPrefix = 1 << 14

// prefixOf returns the expression that matches, at the end of a text, what a match
// of expr can begin with: the whole match, or any part of it from its start but
// the empty one. It returns nil if that is too large.
//
// It follows from the syntax tree, where P(x) stands for the beginnings of x:
//
//	P(ab)  = P(a) | a P(b)
//	P(a|b) = P(a) | P(b)
//	P(a*)  = a* P(a)
func prefixOf(expr string) *regexp.Regexp {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	source := "(?:" + beginnings(re) + `)\z`
	tree, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return nil
	}
	if program, err := syntax.Compile(tree.Simplify()); err != nil || len(program.Inst) > maxPrefix {
		return nil
	}
	prefix, err := regexp.Compile(source)
	if err != nil {
		return nil
	}
	return prefix
}

const nothing = `[^\x00-\x{10FFFF}]` // matches nowhere

// beginnings is P.
func beginnings(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		// From the end, so that each character is written once.
		var s string
		for i := len(re.Rune) - 1; i >= 0; i-- {
			one := &syntax.Regexp{Op: syntax.OpLiteral, Flags: re.Flags, Rune: re.Rune[i : i+1]}
			if s == "" {
				s = group(one)
			} else {
				s = group(one) + "(?:" + s + ")?"
			}
		}
		return s
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return group(re)
	case syntax.OpCapture:
		return beginnings(re.Sub[0])
	case syntax.OpQuest:
		return beginnings(re.Sub[0])
	case syntax.OpStar, syntax.OpPlus:
		return group(re.Sub[0]) + "*(?:" + beginnings(re.Sub[0]) + ")"
	case syntax.OpRepeat:
		return repeated(re)
	case syntax.OpConcat:
		// From the end: P(abc) = P(a) | a (P(b) | b P(c)).
		s := beginnings(re.Sub[len(re.Sub)-1])
		for i := len(re.Sub) - 2; i >= 0; i-- {
			s = beginnings(re.Sub[i]) + "|" + group(re.Sub[i]) + "(?:" + s + ")"
		}
		return s
	case syntax.OpAlternate:
		all := make([]string, len(re.Sub))
		for i, sub := range re.Sub {
			all[i] = beginnings(sub)
		}
		return strings.Join(all, "|")
	default: // what matches nothing, or where there is nothing
		return nothing
	}
}

// repeated is P(a{n,m}) = a{0,m-1} P(a).
func repeated(re *syntax.Regexp) string {
	if re.Max == 0 {
		return nothing
	}
	before := &syntax.Regexp{Op: syntax.OpRepeat, Flags: re.Flags, Min: 0, Max: re.Max - 1, Sub: re.Sub}
	switch re.Max {
	case -1:
		before = &syntax.Regexp{Op: syntax.OpStar, Flags: re.Flags, Sub: re.Sub}
	case 1:
		return beginnings(re.Sub[0])
	}
	return group(before) + "(?:" + beginnings(re.Sub[0]) + ")"
}

func group(re *syntax.Regexp) string { return "(?:" + re.String() + ")" }

// prefix finds where a match begins that may go on behind the end of a text. It is
// made when it is first needed: most patterns never see a text that was cut.
func prefix(expr string) func(s string) int {
	re := sync.OnceValue(func() *regexp.Regexp { return prefixOf(expr) })
	return func(s string) int {
		if re() == nil {
			return 0 // whatever there is could be a part of a match
		}
		if at := re().FindStringIndex(s); at != nil {
			return at[0]
		}
		return -1
	}
}
