// Package match is the language in which a configuration says which spans
// something is about: the match key of a sampler, the filter key of an
// exporter.
//
//	match:
//	  attributes:
//	    tenant.tier: gold
//	    region: [eu, us]
//	    http.response.status_code: {min: 500, max: 599}
//	    user.id: {exists: true}
//	    url.path: {glob: "/api/*"}
//	  kind: server
//	  not: {route: GET /healthz}
//
// All keys of one match must hold.
package match

import (
	"maps"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/route"
)

// Config is what users set.
type Config struct {
	_          struct{}       `doc:"which spans it is about; all of the keys must hold"`
	Attributes map[string]any `yaml:"attributes" doc:"conditions by attribute: a value, a list of values, or some of equals, one_of, exists, glob, min and max, of which all must hold; a list of an attribute needs one element for which they do"`
	Name       string         `yaml:"name" doc:"the span's name; * stands for any text, ? for one character"`
	Kind       any            `yaml:"kind" doc:"internal, server, client, producer or consumer, or a list of them"`
	Route      any            `yaml:"route" doc:"a pattern of net/http, or a list of them: [METHOD ]/path/{id}/{rest...}"`
	All        []Config       `yaml:"all" doc:"matches that must all hold"`
	Any        []Config       `yaml:"any" doc:"matches of which one must hold"`
	Not        *Config        `yaml:"not" doc:"a match that must not hold"`
}

// Compile returns the matcher. Its errors are [component.FieldError]s, joined.
func (c Config) Compile() (*Matcher, error) {
	cc := compiler{keys: map[attribute.Key]struct{}{}}
	t := cc.config(c, "")
	if err := cc.err(); err != nil {
		return nil, err
	}
	return &Matcher{test: t, keys: slices.Sorted(maps.Keys(cc.keys))}, nil
}

// Matcher tells which spans match. Make one with [Config.Compile]; a nil
// *Matcher matches everything. It is safe for concurrent use.
type Matcher struct {
	test test
	keys []attribute.Key
}

// Subject is what is known of a span. If an attribute is there twice, the last
// counts.
type Subject struct {
	Name       string
	Kind       trace.SpanKind
	Attributes []attribute.KeyValue
}

// Match reports whether s matches. It allocates nothing, unless a condition is
// about an attribute that holds a list.
func (m *Matcher) Match(s Subject) bool { return m == nil || m.test(s) }

// Keys lists the attributes that Match depends on, sorted.
func (m *Matcher) Keys() []attribute.Key {
	if m == nil {
		return nil
	}
	return slices.Clone(m.keys)
}

// test is a compiled Config, or a part of one. It takes its subject by value,
// so that the subject need not go to the heap.
type test func(Subject) bool

func allOf(tests []test) test {
	if len(tests) == 1 {
		return tests[0]
	}
	return func(s Subject) bool {
		for _, t := range tests {
			if !t(s) {
				return false
			}
		}
		return true
	}
}

func anyOf(tests []test) test {
	return func(s Subject) bool {
		for _, t := range tests {
			if t(s) {
				return true
			}
		}
		return false
	}
}

func not(t test) test {
	return func(s Subject) bool { return !t(s) }
}

func nameIs(g Glob) test {
	return func(s Subject) bool { return g.Match(s.Name) }
}

// kindSet is indexed by kind.
type kindSet [trace.SpanKindConsumer + 1]bool

func kindIn(kinds kindSet) test {
	return func(s Subject) bool { return kinds[trace.ValidateSpanKind(s.Kind)] }
}

func routeIn(tables []*route.Table[struct{}]) test {
	return func(s Subject) bool {
		request, ok := route.RequestOf(s.Name, s.Attributes)
		if !ok {
			return false
		}
		for _, t := range tables {
			if _, ok := t.Lookup(request); ok {
				return true
			}
		}
		return false
	}
}
