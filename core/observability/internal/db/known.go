package db

import (
	"maps"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
)

// What is remembered of statements: applications have some hundreds, and use
// them again and again. Those that are made anew each time are not worth it.
const (
	maxKnown     = 512
	maxKnownText = 4 << 10
)

var (
	known      atomic.Pointer[map[string]Description]
	knownWrite sync.Mutex
)

// Description is a statement as a span shows it.
type Description struct {
	Statement
	sql, text string
}

// Describe parses a statement, or remembers it.
func Describe(sql string) Description {
	if m := known.Load(); m != nil {
		if d, ok := (*m)[sql]; ok {
			return d
		}
	}
	d := Description{Statement: Parse(sql), sql: sql}
	if len(sql) <= maxKnownText {
		d.remember()
	}
	return d
}

func (d *Description) remember() {
	knownWrite.Lock()
	defer knownWrite.Unlock()
	next := map[string]Description{}
	if m := known.Load(); m != nil {
		if len(*m) >= maxKnown {
			return
		}
		maps.Copy(next, *m)
	}
	d.text = QueryText(d.sql)
	next[d.sql] = *d
	known.Store(&next)
}

// Text is the attribute of the statement's text without literals.
func (d Description) Text() attribute.KeyValue {
	text := d.text
	if text == "" {
		text = QueryText(d.sql)
	}
	return attribute.String("db.query.text", text)
}
