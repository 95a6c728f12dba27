package match

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// MaxRegex is how much of a text a regular expression sees, in bytes: of a longer one
// these are taken for all of it.
const MaxRegex = 4 << 10

// pattern is a regular expression. What people write says of most texts with the
// simplest comparisons whether it matches, and Go's package takes a microsecond: so it
// is made into those as far as that can be done.
type pattern struct {
	start, end bool       // it is about the start of a text, the end
	literals   *literals  // the whole pattern, if not nil
	sequence   []element  // the whole pattern, from the start, if not nil
	branches   []*pattern // of which one must match, if not nil

	regexp *regexp.Regexp // if all of these are nil
	need   string         // a text has it, if the regexp matches
}

// compilePattern returns Go's error.
func compilePattern(expr string, ignoreCase bool) (*pattern, error) {
	if _, err := syntax.Parse(expr, syntax.Perl); err != nil {
		return nil, err
	}
	if ignoreCase {
		expr = "(?i)" + expr
	}
	compiled, err := regexp.Compile(expr)
	if err != nil {
		return nil, err
	}
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	return analyse(parsed.Simplify(), compiled)
}

// compileGlob makes the pattern of a glob in which the case does not matter.
func compileGlob(g Glob) (*pattern, error) {
	expr := regexp.QuoteMeta(string(g))
	expr = strings.ReplaceAll(strings.ReplaceAll(expr, `\*`, `.*`), `\?`, `.`)
	return compilePattern(`(?s)\A`+expr+`\z`, true)
}

func analyse(parsed *syntax.Regexp, compiled *regexp.Regexp) (*pattern, error) {
	p := &pattern{regexp: compiled}
	parts := flatten(nil, parsed)
	parts = p.cutEnds(parts)
	concat := &syntax.Regexp{Op: syntax.OpConcat, Sub: parts}
	if all, ok := expand(concat); ok {
		if p.literals = newLiterals(all); p.literals != nil {
			return p, nil
		}
	}
	if p.start {
		if p.sequence = sequenceOf(parts); p.sequence != nil {
			return p, nil
		}
	}
	if len(parts) == 1 && parts[0].Op == syntax.OpAlternate && !p.start && !p.end {
		for _, sub := range parts[0].Sub {
			one, err := regexp.Compile(sub.String())
			if err != nil {
				return nil, err
			}
			branch, err := analyse(sub, one)
			if err != nil {
				return nil, err
			}
			p.branches = append(p.branches, branch)
		}
		return p, nil
	}
	for _, part := range parts {
		if all, ok := expand(part); ok && len(all.texts) == 1 && all.cased != folded && len(all.texts[0]) > len(p.need) {
			p.need = all.texts[0]
		}
	}
	return p, nil
}

// flatten appends the parts of a concatenation. Groups do not matter: nothing is taken
// out of a text.
func flatten(parts []*syntax.Regexp, re *syntax.Regexp) []*syntax.Regexp {
	switch re.Op {
	case syntax.OpCapture:
		return flatten(parts, re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			parts = flatten(parts, sub)
		}
		return parts
	case syntax.OpEmptyMatch:
		return parts
	default:
		return append(parts, re)
	}
}

// cutEnds takes ^ and $ off, and what matches nothing as well as anything where a
// match can start, or end, anywhere.
func (p *pattern) cutEnds(parts []*syntax.Regexp) []*syntax.Regexp {
	for len(parts) > 0 {
		first := parts[0]
		switch {
		case first.Op == syntax.OpBeginText:
			p.start = true
		case p.start && isAnything(first):
			p.start = false
		case p.start || !canBeEmpty(first):
			return p.cutEnd(parts)
		}
		parts = parts[1:]
	}
	return parts
}

func (p *pattern) cutEnd(parts []*syntax.Regexp) []*syntax.Regexp {
	for len(parts) > 0 {
		last := parts[len(parts)-1]
		switch {
		case last.Op == syntax.OpEndText:
			p.end = true
		case p.end && isAnything(last):
			p.end = false
		case p.end || !canBeEmpty(last):
			return parts
		}
		parts = parts[:len(parts)-1]
	}
	return parts
}

// isAnything reports whether a part matches every text.
func isAnything(re *syntax.Regexp) bool {
	return re.Op == syntax.OpStar && re.Sub[0].Op == syntax.OpAnyChar
}

// canBeEmpty reports whether a part matches nothing, wherever it stands.
func canBeEmpty(re *syntax.Regexp) bool { return re.Op == syntax.OpStar || re.Op == syntax.OpQuest }

// match reports whether the pattern is found in a text. It allocates nothing.
func (p *pattern) match(s string) bool {
	return p.find(s[:min(len(s), MaxRegex)])
}

func (p *pattern) find(s string) bool {
	switch {
	case p.literals != nil:
		return p.literals.find(s, p.start, p.end)
	case p.sequence != nil:
		return matchSequence(p.sequence, s, p.end)
	case p.branches != nil:
		for _, b := range p.branches {
			if b.find(s) {
				return true
			}
		}
		return false
	default:
		return (p.need == "" || strings.Contains(s, p.need)) && p.regexp.MatchString(s)
	}
}
