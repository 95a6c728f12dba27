package db

import "strings"

// maxText bounds the text of a query, in bytes.
const maxText = 8 << 10

// QueryText is a statement without its literals, each of which is a question
// mark, and without comments; white space is one space. It is at most 8 KiB.
func QueryText(sql string) string {
	var b strings.Builder
	b.Grow(min(len(sql), maxText+8))
	l := lexer{sql: sql}
	last := 0
	for t := l.next(); t.kind != end; t = l.next() {
		if t.start > last && b.Len() > 0 {
			b.WriteByte(' ')
		}
		last = t.end
		text := l.text(t)
		if t.kind == literal {
			text = "?"
		}
		if b.Len()+len(text) > maxText {
			b.WriteString("...")
			break
		}
		b.WriteString(text)
	}
	return b.String()
}
