package db

import (
	"slices"
	"strings"
)

// A Statement is what a span says about an SQL statement.
type Statement struct {
	// Operation is the statement's command in lower case: "select". It is
	// "query" if that is unknown.
	Operation string
	// Table is the table the statement is about, as PostgreSQL reads it and
	// without quotes: "auth.users". Of several it is the first; it is empty if there is
	// none.
	Table string
}

// maxDepth bounds how deeply subqueries are followed.
const maxDepth = 16

// Parse finds the operation and the table of a statement. It knows the usual
// ones, not all of SQL: of what it does not know, the first word is the
// operation. Of several statements it sees the first.
func Parse(sql string) Statement {
	p := parser{lexer: lexer{sql: sql}}
	p.advance()
	operation, table := p.statement(0)
	if operation == "" {
		operation = "query"
	}
	return Statement{Operation: operation, Table: table}
}

type parser struct {
	lexer
	tok  token
	ctes map[string]string // the tables of common table expressions, by name
}

func (p *parser) advance() { p.tok = p.next() }

// is reports whether the token is this keyword or symbol, in lower case.
func (p *parser) is(s string) bool {
	return (p.tok.kind == word || p.tok.kind == symbol) && strings.EqualFold(p.text(p.tok), s)
}

// skip skips the token if it is one of those.
func (p *parser) skip(words ...string) bool {
	if !slices.ContainsFunc(words, p.is) {
		return false
	}
	p.advance()
	return true
}

// skipAll skips these words as long as there are any.
func (p *parser) skipAll(words ...string) {
	for p.skip(words...) {
	}
}

// skipTo skips to this word on the same level of parentheses, then past it.
func (p *parser) skipTo(s string) bool {
	for p.tok.kind != end && !p.is(")") && !p.is(";") {
		switch {
		case p.is("("):
			p.parentheses()
		case p.skip(s):
			return true
		default:
			p.advance()
		}
	}
	return false
}

// parentheses skips what is in parentheses.
func (p *parser) parentheses() {
	for depth := 0; p.tok.kind != end; p.advance() {
		switch {
		case p.is("("):
			depth++
		case p.is(")"):
			if depth--; depth == 0 {
				p.advance()
				return
			}
		}
	}
}

func (p *parser) statement(depth int) (operation, table string) {
	if depth > maxDepth {
		return "", ""
	}
	for p.skip("(") {
	}
	if p.tok.kind != word {
		return "", ""
	}
	operation = strings.ToLower(p.text(p.tok))
	p.advance()
	switch operation {
	case "with":
		return p.with(depth)
	case "select":
		return operation, p.from(depth)
	case "insert", "merge":
		p.skip("into")
		table = p.table(depth)
	case "update":
		table = p.table(depth)
	case "delete":
		p.skip("from")
		table = p.table(depth)
	case "copy":
		if p.is("(") {
			_, table = p.statement(depth + 1)
		} else {
			table = p.table(depth)
		}
	case "table":
		return "select", p.table(depth)
	case "truncate", "lock", "analyze", "vacuum":
		if p.is("(") {
			p.parentheses()
		}
		p.skipAll("table", "full", "freeze", "verbose", "analyze")
		table = p.table(depth)
	case "create", "alter", "drop":
		table = p.definition(depth)
	case "refresh":
		p.skipAll("materialized", "view", "concurrently")
		table = p.table(depth)
	case "explain":
		if p.is("(") {
			p.parentheses()
		}
		p.skipAll("analyze", "verbose")
		_, table = p.statement(depth + 1)
	case "prepare":
		p.skipTo("as")
		_, table = p.statement(depth + 1)
	case "declare":
		p.skipTo("for")
		_, table = p.statement(depth + 1)
	}
	return operation, table
}

// with reads common table expressions, and the statement behind them.
func (p *parser) with(depth int) (operation, table string) {
	p.skip("recursive")
	if p.ctes == nil {
		p.ctes = map[string]string{}
	}
	for {
		name := p.name()
		if name == "" {
			return "", ""
		}
		if p.is("(") {
			p.parentheses()
		}
		p.skipAll("as", "not", "materialized")
		body := p.lexer
		at := p.tok
		if p.is("(") {
			// The name means nothing else inside, and must not mean itself.
			p.ctes[name] = ""
			_, p.ctes[name] = p.statement(depth + 1)
			p.lexer, p.tok = body, at
			p.parentheses()
		}
		if !p.is(",") {
			// SEARCH and CYCLE may stand here; they end with a comma or the statement.
			break
		}
		p.advance()
	}
	for p.tok.kind != end && !p.is("(") && !p.is("select") && !p.is("insert") && !p.is("update") &&
		!p.is("delete") && !p.is("merge") && !p.is("values") && !p.is("table") {
		p.advance()
	}
	return p.statement(depth + 1)
}

// from finds the first table of a select, whose keyword was just read.
func (p *parser) from(depth int) string {
	distinct := false // IS DISTINCT FROM
	for p.tok.kind != end && !p.is(")") && !p.is(";") {
		switch {
		case p.is("("):
			p.parentheses()
			distinct = false
		case p.is("from") && !distinct:
			p.advance()
			table := p.table(depth)
			if p.is("(") { // a function
				return ""
			}
			return table
		default:
			distinct = p.is("distinct")
			p.advance()
		}
	}
	return ""
}

// definition finds the table that CREATE, ALTER or DROP is about.
func (p *parser) definition(depth int) string {
	p.skipAll("or", "replace", "global", "local", "temp", "temporary", "unlogged", "unique", "foreign", "materialized", "recursive")
	switch {
	case p.skip("table", "view"):
		p.skipAll("if", "not", "exists")
		return p.table(depth)
	case p.is("index"), p.is("trigger"), p.is("policy"), p.is("rule"):
		if p.skipTo("on") {
			return p.table(depth)
		}
	}
	return ""
}

// table reads the name of a table, or finds the first in a subquery.
func (p *parser) table(depth int) string {
	p.skipAll("only", "lateral", "if", "exists")
	if p.is("(") {
		if depth > maxDepth {
			return ""
		}
		p.advance()
		if p.is("select") || p.is("with") || p.is("(") || p.is("table") || p.is("values") {
			_, table := p.statement(depth + 1)
			return table
		}
		return p.table(depth + 1) // FROM (a JOIN b ...), ONLY (a)
	}
	name := p.name()
	if cte, ok := p.ctes[name]; ok && !p.is(".") {
		return cte
	}
	for name != "" && p.skip(".") {
		part := p.name()
		if part == "" {
			break
		}
		name += "." + part
	}
	return name
}

// name reads one identifier, without quotes; PostgreSQL takes one that has
// none in lower case.
func (p *parser) name() string {
	text := p.text(p.tok)
	switch p.tok.kind {
	case word:
		text = strings.ToLower(text)
	case quoted:
		text = text[strings.IndexByte(text, '"')+1:]
		text = strings.ReplaceAll(strings.TrimSuffix(text, `"`), `""`, `"`)
	default:
		return ""
	}
	p.advance()
	return text
}
