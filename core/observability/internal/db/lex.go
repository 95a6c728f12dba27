package db

import (
	"strings"
	"unicode/utf8"
)

// kind is what a token of a PostgreSQL statement is.
type kind uint8

const (
	end kind = iota
	word
	quoted  // an identifier in double quotes
	literal // a string or a number
	param   // $1
	symbol  // one character of anything else
)

type token struct {
	kind       kind
	start, end int
}

// lexer splits a statement into tokens, as PostgreSQL's lexical rules say with
// standard_conforming_strings on, which is the default. White space and
// comments are no tokens. What does not end counts up to the end of the text,
// so that nothing of a broken literal is taken for something else.
//
// Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
type lexer struct {
	sql string
	at  int
}

func (l *lexer) next() token {
	l.skipSpace()
	start := l.at
	if start >= len(l.sql) {
		return token{kind: end, start: start, end: start}
	}
	k := l.scan()
	return token{kind: k, start: start, end: l.at}
}

func (l *lexer) text(t token) string { return l.sql[t.start:t.end] }

func (l *lexer) scan() kind {
	switch c := l.sql[l.at]; {
	case c == '\'':
		l.quote('\'', false)
		return literal
	case c == '"':
		l.quote('"', false)
		return quoted
	case c == '$':
		return l.dollar()
	case isDigit(c), c == '.' && isDigit(l.peek(1)):
		l.number()
		return literal
	case isWordStart(c):
		return l.word()
	default:
		l.at++
		return symbol
	}
}

// word scans an identifier or a keyword, or a literal or identifier that a
// letter introduces: E'..', B'..', X'..', N'..', U&'..' and U&"..".
func (l *lexer) word() kind {
	c := l.sql[l.at] | 0x20
	switch next := l.peek(1); {
	case next == '\'' && strings.IndexByte("ebxn", c) >= 0:
		l.at++
		l.quote('\'', c == 'e')
		return literal
	case c == 'u' && next == '&' && l.peek(2) == '\'':
		l.at += 2
		l.quote('\'', false)
		return literal
	case c == 'u' && next == '&' && l.peek(2) == '"':
		l.at += 2
		l.quote('"', false)
		return quoted
	}
	l.at++
	for l.at < len(l.sql) && isWordPart(l.sql[l.at]) {
		l.at++
	}
	return word
}

// quote scans what stands between two q, where a doubled q is one of the text
// and, if escapes are on, so is what follows a backslash.
func (l *lexer) quote(q byte, escapes bool) {
	for l.at++; l.at < len(l.sql); l.at++ {
		switch c := l.sql[l.at]; {
		case escapes && c == '\\':
			l.at++
		case c == q && l.peek(1) == q:
			l.at++
		case c == q:
			l.at++
			return
		}
	}
	l.at = len(l.sql)
}

// dollar scans a parameter or a dollar-quoted string.
func (l *lexer) dollar() kind {
	if isDigit(l.peek(1)) {
		for l.at++; l.at < len(l.sql) && isDigit(l.sql[l.at]); l.at++ {
		}
		return param
	}
	tag := l.at + 1
	for tag < len(l.sql) && l.sql[tag] != '$' && isWordPart(l.sql[tag]) {
		tag++
	}
	if tag >= len(l.sql) || l.sql[tag] != '$' {
		l.at++
		return symbol
	}
	delimiter := l.sql[l.at : tag+1]
	if i := strings.Index(l.sql[tag+1:], delimiter); i >= 0 {
		l.at = tag + 1 + i + len(delimiter)
	} else {
		l.at = len(l.sql)
	}
	return literal
}

// number scans digits with what belongs to them: 1_000, 0xff, 1.5e-3.
func (l *lexer) number() {
	for l.at < len(l.sql) {
		c := l.sql[l.at]
		exponent := (c == '+' || c == '-') && l.sql[l.at-1]|0x20 == 'e' && isDigit(l.peek(1))
		// Two dots are a range of PL/pgSQL.
		if !isWordPart(c) && !exponent && (c != '.' || l.peek(1) == '.') || c == '$' {
			return
		}
		l.at++
	}
}

func (l *lexer) skipSpace() {
	for l.at < len(l.sql) {
		switch c := l.sql[l.at]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			l.at++
		case c == '-' && l.peek(1) == '-':
			if i := strings.IndexAny(l.sql[l.at:], "\n\r"); i >= 0 {
				l.at += i
			} else {
				l.at = len(l.sql)
			}
		case c == '/' && l.peek(1) == '*':
			l.comment()
		default:
			return
		}
	}
}

// comment skips a block comment; they nest.
func (l *lexer) comment() {
	depth := 0
	for l.at < len(l.sql) {
		switch {
		case l.sql[l.at] == '/' && l.peek(1) == '*':
			depth++
			l.at += 2
		case l.sql[l.at] == '*' && l.peek(1) == '/':
			depth--
			l.at += 2
			if depth == 0 {
				return
			}
		default:
			l.at++
		}
	}
}

// peek is the byte n places on, 0 past the end.
func (l *lexer) peek(n int) byte {
	if l.at+n < len(l.sql) {
		return l.sql[l.at+n]
	}
	return 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWordStart(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= utf8.RuneSelf
}

func isWordPart(c byte) bool { return isWordStart(c) || isDigit(c) || c == '$' }
