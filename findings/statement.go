package findings

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// What a statement costs is bounded by these: how much of it is looked at, and how long
// its shape is.
const (
	maxStatement = 64 << 10
	maxShape     = 2 << 10
	maxParameter = 256 // of a name in %(name)s
)

// dialect is what the languages of databases differ in.
type dialect struct {
	backslash bool // escapes in strings
	stringsIn bool // "a" is a string, not an identifier
	brackets  bool // [a] is an identifier
	hash      bool // # begins a comment
}

func dialectOf(system string) dialect {
	switch system {
	case "mysql", "mariadb":
		return dialect{backslash: true, stringsIn: true, hash: true}
	case "microsoft.sql_server", "mssql", "sqlserver":
		return dialect{brackets: true}
	}
	return dialect{}
}

// keywords are written in capitals in a shape, whatever the statement has.
var keywords = words(`ALL ALTER ANALYZE AND ANY AS ASC BEGIN BETWEEN BY CALL CASE COMMIT
	CONFLICT CREATE CROSS CURRENT DEALLOCATE DECLARE DEFAULT DELETE DESC DESCRIBE DISCARD
	DISTINCT DO DROP ELSE END EXCEPT EXECUTE EXISTS EXPLAIN FETCH FIRST FOLLOWING FOR FROM
	FULL GROUP HAVING IF ILIKE IN INNER INSERT INTERSECT INTO IS ISOLATION JOIN KEY LAST
	LATERAL LEFT LEVEL LIKE LIMIT LOCK LOCKED MATERIALIZED MERGE NATURAL NEXT NO NOT NOTHING
	NOWAIT NULLS OF OFFSET ON ONLY OR ORDER OUTER OVER PARTITION PRAGMA PREPARE RECURSIVE
	RELEASE REPLACE RESET RETURNING RIGHT ROLLBACK ROW ROWS SAVEPOINT SELECT SET SHARE SHOW
	SKIP START TABLE THEN TO TOP TRANSACTION TRUNCATE UNION UNIQUE UPDATE USE USING VALUES
	WHEN WHERE WINDOW WITH`)

func words(text string) map[string]bool {
	all := map[string]bool{}
	for w := range strings.FieldsSeq(text) {
		all[w] = true
	}
	return all
}

// statementShape returns a statement without what differs from call to call: literals,
// numbers and placeholders are ?, lists of them are one, comments are left out, keywords
// are in capitals, and white space is as it should be. Names stay as they are. Of what is
// not SQL it makes something of that kind, in which JSON keeps its keys.
func statementShape(text, system string) string {
	text = text[:min(len(text), maxStatement)]
	switch system {
	case "redis", "valkey", "memcached":
		return commandShape(text)
	}
	s := shaper{in: text, dialect: dialectOf(system)}
	if t := strings.TrimSpace(text); strings.HasPrefix(t, "{") || strings.HasPrefix(t, "[") {
		s.json = true
	}
	for s.pos < len(s.in) && len(s.out) < maxShape {
		s.next()
	}
	shape := string(s.out)
	if len(shape) > maxShape {
		shape = shape[:maxShape]
		for !utf8.ValidString(shape[max(0, len(shape)-utf8.UTFMax):]) && len(shape) > maxShape-utf8.UTFMax {
			shape = shape[:len(shape)-1]
		}
	}
	return strings.TrimRight(shape, "; ")
}

// commandShape returns a command with what its key begins with: of GET session:3f2c it is
// GET session ?. Arguments are no part of it.
func commandShape(text string) string {
	const most = 256 // of a word
	word := func() string {
		text = strings.TrimLeft(text, " \t\r\n")
		end := strings.IndexAny(text, " \t\r\n")
		if end < 0 {
			end = len(text)
		}
		w := text[:min(end, most)]
		text = text[end:]
		return w
	}
	command, key := strings.ToUpper(word()), word()
	if key == "" {
		return command
	}
	key = strings.Trim(key, `"'`)
	prefix, more := key, false
	if i := strings.IndexAny(key, ":/|.-{[#"); i >= 0 {
		prefix, more = key[:i], true
	}
	if strings.ContainsAny(prefix, "0123456789?") || prefix == "" {
		return command + " ?"
	}
	if more {
		return command + " " + prefix + " ?"
	}
	return command + " " + prefix
}

// token is what the last thing written was.
type token uint8

const (
	nothing  token = iota
	word           // a name
	keyword        // one after which a sign belongs to a number
	literal        // ?
	operator       // = < ||
	opening        // (
	closing        // )
	comma
	dot
)

type shaper struct {
	dialect
	json bool
	in   string
	pos  int
	out  []byte
	// written is the tokens in out, and where each begins, behind its space.
	written []struct {
		token
		at int
	}
	// null tells that the next NULL, TRUE or FALSE is grammar, as in IS NULL.
	null  bool
	depth int // of parentheses
	// values tells that VALUES stands at a depth, and listEnd where its first list is over.
	values               bool
	valuesDepth, listEnd int
}

// last is the token written so many before the last one.
func (s *shaper) last(before int) token {
	if n := len(s.written) - 1 - before; n >= 0 {
		return s.written[n].token
	}
	return nothing
}

// sole returns the last token if it is one byte.
func (s *shaper) sole() byte {
	if n := len(s.written) - 1; n >= 0 && s.written[n].at == len(s.out)-1 {
		return s.out[len(s.out)-1]
	}
	return 0
}

// undo takes the last tokens back, down to a length of out.
func (s *shaper) undo(to int) {
	for n := len(s.written) - 1; n >= 0 && s.written[n].at >= to; n-- {
		s.written = s.written[:n]
	}
	s.out = bytes.TrimRight(s.out[:to], " ")
}

// next reads one token.
func (s *shaper) next() {
	c := s.in[s.pos]
	rest := s.in[s.pos:]
	switch {
	case c <= ' ':
		s.pos++
	case c == '-' && strings.HasPrefix(rest, "--"), c == '#' && s.hash:
		s.skip(strings.IndexByte(rest, '\n'), 1)
	case c == '/' && strings.HasPrefix(rest, "/*"):
		s.skip(strings.Index(rest[2:], "*/"), 4)
	case c == '\'':
		s.string(c)
	case c == '"' && s.json:
		s.member()
	case c == '"' && s.stringsIn:
		s.string(c)
	case c == '"', c == '`':
		s.quoted(c)
	case c == '[' && s.brackets:
		s.quoted(']')
	case c == '$' || c == '@' || c == ':' || c == '%':
		s.parameter(c)
	case c == '?':
		s.pos++
		s.literal()
	case isDigit(c), c == '.' && len(rest) > 1 && isDigit(rest[1]) && s.last(0) != word && s.last(0) != closing:
		s.number()
	case isName(c):
		s.name()
	default:
		s.punctuation(c)
	}
}

// skip goes on behind a comment that ends at a place, or nowhere.
func (s *shaper) skip(end, more int) {
	if end < 0 {
		s.pos = len(s.in)
		return
	}
	s.pos += end + more
}

// string reads a literal in quotes.
func (s *shaper) string(quote byte) {
	escapes := s.backslash
	if prefix := s.sole(); s.last(0) == word && isName(prefix) && isName(s.in[s.pos-1]) {
		// A letter in front, as of E'' and N'', belongs to it.
		escapes = escapes || prefix|0x20 == 'e'
		s.undo(len(s.out) - 1)
	}
	s.pos = endOfQuoted(s.in, s.pos, quote, escapes)
	s.literal()
}

// endOfQuoted returns where what begins with a quote at a place is over.
func endOfQuoted(in string, pos int, quote byte, escapes bool) int {
	for pos++; pos < len(in); pos++ {
		switch in[pos] {
		case '\\':
			if escapes {
				pos++
			}
		case quote:
			if pos+1 < len(in) && in[pos+1] == quote {
				pos++
				continue
			}
			return pos + 1
		}
	}
	return len(in)
}

// quoted reads an identifier in quotes, which stays.
func (s *shaper) quoted(end byte) {
	start := s.pos
	s.pos = endOfQuoted(s.in, s.pos, end, false)
	s.emit(s.in[start:s.pos], word)
}

// member reads a text of JSON: a key stays, a value is a literal.
func (s *shaper) member() {
	start := s.pos
	s.pos = endOfQuoted(s.in, s.pos, '"', true)
	if after := strings.TrimLeft(s.in[s.pos:min(len(s.in), s.pos+16)], " \t\r\n"); strings.HasPrefix(after, ":") {
		s.emit(s.in[start:s.pos], word)
		return
	}
	s.literal()
}

// parameter reads $1, :name, @p1, %s and a text in dollars; or what begins like one.
func (s *shaper) parameter(c byte) {
	rest := s.in[s.pos:]
	end := 1
	for end < len(rest) && (isName(rest[end]) || isDigit(rest[end])) {
		end++
	}
	switch {
	case s.json:
	case strings.HasPrefix(rest, "::"): // a type, which stays
		s.pos += 2
		s.emit("::", dot)
		return
	case strings.HasPrefix(rest, "@@"): // a variable of the server
		s.pos += 2
		s.emit("@@", operator)
		return
	case c == '$' && end < len(rest) && rest[end] == '$' && (end == 1 || !isDigit(rest[1])):
		tag := rest[:end+1]
		s.skip(strings.Index(rest[len(tag):], tag), 2*len(tag))
		s.literal()
		return
	case c == '%' && strings.HasPrefix(rest, "%("):
		if i := strings.Index(rest[:min(len(rest), maxParameter)], ")s"); i > 0 {
			s.pos += i + 2
			s.literal()
			return
		}
	case c == '%' && end == 2 && rest[1] == 's' && s.last(0) != word && s.last(0) != literal:
		s.pos += end
		s.literal()
		return
	case c != '%' && end > 1:
		s.pos += end
		s.literal()
		return
	}
	s.punctuation(c)
}

// number reads a number, hex digits and exponents included.
func (s *shaper) number() {
	for s.pos < len(s.in) {
		c := s.in[s.pos]
		sign := (c == '+' || c == '-') && s.in[s.pos-1]|0x20 == 'e' && s.pos+1 < len(s.in) && isDigit(s.in[s.pos+1])
		if !sign && !isDigit(c) && !isName(c) && c != '.' {
			break
		}
		s.pos++
	}
	if sign := s.sole(); sign == '-' || sign == '+' {
		switch s.last(1) {
		case operator, opening, comma, keyword, nothing: // the sign is the number's
			s.undo(len(s.out) - 1)
		}
	}
	s.literal()
}

// name reads a keyword or a name.
func (s *shaper) name() {
	start := s.pos
	for s.pos < len(s.in) && (isName(s.in[s.pos]) || isDigit(s.in[s.pos]) || s.in[s.pos] == '$') {
		s.pos++
	}
	text := s.in[start:s.pos]
	upper := text
	if len(text) <= len("MATERIALIZED") {
		upper = strings.ToUpper(text)
	}
	switch {
	case s.json:
		s.literal() // true, null
		return
	case s.last(0) == dot:
	case upper == "TRUE", upper == "FALSE", upper == "NULL":
		if s.null {
			s.emit(upper, keyword)
		} else {
			s.literal()
		}
		return
	case keywords[upper]:
		text = upper
	}
	if text != upper || !keywords[upper] {
		s.emit(text, word)
		return
	}
	s.emit(text, keyword)
	s.null = text == "IS" || text == "NOT"
	switch {
	case text == "VALUES":
		s.values, s.valuesDepth, s.listEnd = true, s.depth, 0
	case s.depth <= s.valuesDepth:
		s.values = false
	}
}

func (s *shaper) punctuation(c byte) {
	s.pos++
	switch c {
	case '(', '[', '{':
		s.depth++
		s.emit(string(c), opening)
	case ')', ']', '}':
		s.depth = max(0, s.depth-1)
		s.emit(string(c), closing)
		s.collapse()
	case ',':
		s.emit(",", comma)
	case '.':
		s.emit(".", dot)
	default:
		s.emit(string(rune(c)), operator)
	}
}

// literal writes a ?. A list of them is one.
func (s *shaper) literal() {
	if s.last(0) == comma && s.last(1) == literal {
		s.undo(len(s.out) - 1)
		return
	}
	s.emit("?", literal)
}

// collapse leaves out a list that repeats the one before it, as those of VALUES do.
func (s *shaper) collapse() {
	const list, again = "(?)", "(?), (?)"
	switch {
	case s.values && s.depth == s.valuesDepth && s.listEnd == 0:
		s.listEnd = len(s.out)
	case s.values && s.depth == s.valuesDepth:
		s.undo(s.listEnd)
	case bytes.HasSuffix(s.out, []byte(again)):
		s.undo(len(s.out) - len(again) + len(list))
	}
}

// emit writes a token, with a space before it where one belongs.
func (s *shaper) emit(text string, kind token) {
	space := len(s.out) > 0
	switch last := s.last(0); {
	case last == dot, kind == dot, last == opening, kind == closing, kind == comma, text == ";":
		space = false
	case kind == opening && last == word:
		space = false // a function
	case kind == operator && last == operator: // <= is one
		before := s.pos - len(text) - 1
		space = before >= 0 && s.in[before] <= ' '
	}
	if space {
		s.out = append(s.out, ' ')
	}
	s.written = append(s.written, struct {
		token
		at int
	}{kind, len(s.out)})
	s.out = append(s.out, text...)
	s.null = false
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isName(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= utf8.RuneSelf }
