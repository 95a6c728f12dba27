package importer

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

func quotePattern(s string) string { return regexp.QuoteMeta(s) }

// globsOf returns patterns with * that match what the regular expression does; ok tells
// that there are some.
func globsOf(pattern string) (globs []string, ok bool) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, false
	}
	re = re.Simplify()
	parts := []*syntax.Regexp{re}
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	if re.Op == syntax.OpAlternate {
		parts = re.Sub
	}
	for _, part := range parts {
		g, ok := globOf(part)
		if !ok {
			return nil, false
		}
		globs = append(globs, g)
	}
	return globs, true
}

func globOf(re *syntax.Regexp) (string, bool) {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	var b strings.Builder
	begins, ends := false, false
	for i, part := range parts {
		for part.Op == syntax.OpCapture {
			part = part.Sub[0]
		}
		switch part.Op {
		case syntax.OpBeginText:
			if begins = i == 0; !begins {
				return "", false
			}
		case syntax.OpEndText:
			if ends = i == len(parts)-1; !ends {
				return "", false
			}
		case syntax.OpLiteral:
			s := string(part.Rune)
			if part.Flags&syntax.FoldCase != 0 || strings.ContainsAny(s, "*?") {
				return "", false
			}
			b.WriteString(s)
		case syntax.OpStar:
			if op := part.Sub[0].Op; op != syntax.OpAnyChar && op != syntax.OpAnyCharNotNL {
				return "", false
			}
			b.WriteString("*")
		case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
			b.WriteString("?")
		case syntax.OpEmptyMatch:
		default:
			return "", false
		}
	}
	g := b.String()
	if !begins {
		g = "*" + g
	}
	if !ends {
		g += "*"
	}
	return strings.ReplaceAll(g, "**", "*"), g != "" // which is no pattern
}
