package importer

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// condition is a condition of OTTL: one of and, or and not, or a comparison, or an
// operand that is a truth by itself.
// Source: https://github.com/open-telemetry/opentelemetry-collector-contrib/blob/pkg/ottl/v0.158.0/pkg/ottl/LANGUAGE.md
type condition struct {
	word        string // and, or, not; or a comparison; or "" of an operand alone
	of          []*condition
	left, right *operand
}

// operand is a literal, a path, a function, or two of them with a sign between.
type operand struct {
	literal any      // of a literal: string, int64, float64, bool, or nil
	is      string   // literal, path, function, arithmetic
	name    string   // of a path or a function; the sign
	keys    []string // of a path: attributes["a"]["b"]
	args    []*operand
}

var ottlToken = regexp.MustCompile(`^(?:"(?:[^"\\]|\\.)*"|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*|==|!=|<=|>=|[<>()\[\],+*/={}:-])`)

const (
	maxCondition = 16 << 10 // bytes
	maxNesting   = 50
)

// parseCondition parses one.
func parseCondition(text string) (*condition, error) {
	if len(text) > maxCondition {
		return nil, errors.New("the condition is too long")
	}
	p := ottlParser{}
	for rest := strings.TrimSpace(text); rest != ""; rest = strings.TrimSpace(rest) {
		token := ottlToken.FindString(rest)
		if token == "" {
			return nil, fmt.Errorf("%q is not understood", oneLine(rest[:min(len(rest), 40)]))
		}
		p.tokens = append(p.tokens, token)
		rest = rest[len(token):]
	}
	c, err := p.disjunction(0)
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("%q is not understood here", oneLine(p.tokens[0]))
	}
	return c, err
}

type ottlParser struct{ tokens []string }

func (p *ottlParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *ottlParser) next() string {
	t := p.peek()
	if t != "" {
		p.tokens = p.tokens[1:]
	}
	return t
}

// take takes a token if it is next.
func (p *ottlParser) take(token string) bool {
	if p.peek() != token {
		return false
	}
	p.next()
	return true
}

func (p *ottlParser) want(token string) error {
	if !p.take(token) {
		return fmt.Errorf("want %s, not %q", token, oneLine(p.peek()))
	}
	return nil
}

func (p *ottlParser) disjunction(depth int) (*condition, error) {
	return p.joined("or", depth, func() (*condition, error) {
		return p.joined("and", depth, func() (*condition, error) { return p.term(depth) })
	})
}

func (p *ottlParser) joined(word string, depth int, part func() (*condition, error)) (*condition, error) {
	if depth > maxNesting {
		return nil, errors.New("the condition is nested too deeply")
	}
	first, err := part()
	if err != nil || p.peek() != word {
		return first, err
	}
	c := &condition{word: word, of: []*condition{first}}
	for p.take(word) {
		next, err := part()
		if err != nil {
			return nil, err
		}
		c.of = append(c.of, next)
	}
	return c, nil
}

func (p *ottlParser) term(depth int) (*condition, error) {
	if depth > maxNesting {
		return nil, errors.New("the condition is nested too deeply")
	}
	if p.take("not") {
		c, err := p.term(depth + 1)
		return &condition{word: "not", of: []*condition{c}}, err
	}
	left, whole, err := p.left(depth)
	if err != nil || whole != nil {
		return whole, err
	}
	switch word := p.peek(); word {
	case "==", "!=", "<", "<=", ">", ">=":
		p.next()
		right, err := p.operand(depth)
		return &condition{word: word, left: left, right: right}, err
	}
	return &condition{left: left}, nil
}

// left is what stands before a comparison, or a condition in parentheses as a whole.
func (p *ottlParser) left(depth int) (*operand, *condition, error) {
	if !p.take("(") {
		o, err := p.operand(depth)
		return o, nil, err
	}
	c, err := p.disjunction(depth + 1)
	if err == nil {
		err = p.want(")")
	}
	if err != nil || c.word != "" {
		return nil, c, err
	}
	return c.left, nil, nil // a value in parentheses
}

func (p *ottlParser) operand(depth int) (*operand, error) {
	if depth > maxNesting {
		return nil, errors.New("the condition is nested too deeply")
	}
	left, err := p.value(depth)
	if err != nil {
		return nil, err
	}
	for {
		switch sign := p.peek(); sign {
		case "+", "-", "*", "/":
			p.next()
			right, err := p.value(depth)
			if err != nil {
				return nil, err
			}
			left = &operand{is: "arithmetic", name: sign, args: []*operand{left, right}}
		default:
			return left, nil
		}
	}
}

func (p *ottlParser) value(depth int) (*operand, error) {
	switch token := p.next(); {
	case token == "":
		return nil, errors.New("the condition ends too early")
	case token[0] == '"':
		return &operand{is: "literal", literal: unquote(token)}, nil
	case token == "-", token[0] >= '0' && token[0] <= '9':
		if token == "-" {
			token += p.next()
		}
		if i, err := strconv.ParseInt(token, 10, 64); err == nil {
			return &operand{is: "literal", literal: i}, nil
		}
		f, err := strconv.ParseFloat(token, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", oneLine(token))
		}
		return &operand{is: "literal", literal: f}, nil
	case token == "true", token == "false":
		return &operand{is: "literal", literal: token == "true"}, nil
	case token == "nil":
		return &operand{is: "literal"}, nil
	case token[0] >= 'A' && token[0] <= 'Z' && p.peek() == "(":
		return p.function(token, depth)
	case token[0] == '_' || token[0] >= 'A' && token[0] <= 'Z' || token[0] >= 'a' && token[0] <= 'z':
		o := &operand{is: "path", name: token}
		for p.take("[") {
			key := p.next()
			if key == "" || key[0] != '"' {
				return nil, errors.New("an index that is no text is not understood")
			}
			o.keys = append(o.keys, unquote(key))
			if err := p.want("]"); err != nil {
				return nil, err
			}
		}
		return o, nil
	default:
		return nil, fmt.Errorf("%q is not understood here", oneLine(token))
	}
}

func (p *ottlParser) function(name string, depth int) (*operand, error) {
	o := &operand{is: "function", name: name}
	p.next()
	for !p.take(")") {
		if len(o.args) > 0 {
			if err := p.want(","); err != nil {
				return nil, err
			}
		}
		if len(p.tokens) > 1 && p.tokens[1] == "=" { // a named argument
			p.next()
			p.next()
		}
		arg, err := p.operand(depth + 1)
		if err != nil {
			return nil, err
		}
		o.args = append(o.args, arg)
	}
	return o, nil
}

// unquote takes the quotes and the escapes of a text.
func unquote(token string) string {
	if s, err := strconv.Unquote(token); err == nil {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(token[1:len(token)-1], `\"`, `"`), `\\`, `\`)
}
