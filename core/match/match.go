// Package match is the language in which a configuration says which spans
// something is about: the match key of a sampler, the filter key of an
// exporter.
//
//	match:
//	  route: /checkout/{id}
//	  status: error
//	  db.system: postgresql
//	  http.response.status_code: {min: 500, max: 599}
//	  any_span: {kind: client, duration: {min: 1s}}
//	  not: {user_agent.original: {regex: "bot|crawler", ignore_case: true}}
//
// All keys of one match must hold. What is not known yet is neither yes nor no, but
// later: see [Result].
package match

import (
	"maps"
	"slices"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/component"
)

// Config is what users set.
type Config struct {
	_          struct{}       `doc:"which spans it is about; all of the keys must hold"`
	Attributes map[string]any `yaml:"attributes" doc:"conditions by attribute, of the span that is asked about, else of the resource: a value, a list of values, or some of equals, one_of, exists, glob, regex, min, max and ignore_case, of which all must hold; a list of an attribute needs one element for which they do"`
	Dotted     map[string]any `yaml:",inline" doc:"a key with a dot is short for one of attributes"`
	Name       string         `yaml:"name" doc:"the span's name; * stands for any text, ? for one character"`
	Scope      any            `yaml:"scope" doc:"the name of the span's instrumentation scope, with * and ?, or a list of them"`
	Event      *Event         `yaml:"event" doc:"one of the span's events"`
	Link       *Link          `yaml:"link" doc:"one of the span's links"`
	Links      *Counts        `yaml:"links" doc:"how many links the span has"`

	Route    any        `yaml:"route" doc:"of the local root: a pattern of net/http, or a list of them: [METHOD ]/path/{id}/{rest...}"`
	Kind     any        `yaml:"kind" doc:"of the local root: internal, server, client, producer or consumer, or a list of them"`
	Status   any        `yaml:"status" doc:"of the local root: ok, error or unset, or a list of them"`
	Duration *Durations `yaml:"duration" doc:"of the local root"`

	Parent     string         `yaml:"parent" doc:"none or remote: whether the local root has a remote parent" enum:"none,remote"`
	Spans      *Counts        `yaml:"spans" doc:"how many spans of the segment have ended"`
	Baggage    map[string]any `yaml:"baggage" doc:"conditions, as of attributes, by member of the baggage with which the local root started"`
	Tracestate map[string]any `yaml:"tracestate" doc:"conditions, as of attributes, by member of the tracestate with which the local root started"`
	Resource   map[string]any `yaml:"resource" doc:"conditions, as of attributes, by attribute of the resource"`

	Root    *SpanConfig `yaml:"root" doc:"what the local root must match"`
	Span    *SpanConfig `yaml:"span" doc:"what the span that is asked about must match"`
	AnySpan *SpanConfig `yaml:"any_span" doc:"what one span of the segment must match"`

	All []Config `yaml:"all" doc:"matches that must all hold"`
	Any []Config `yaml:"any" doc:"matches of which one must hold"`
	Not *Config  `yaml:"not" doc:"a match that must not hold"`
}

// SpanConfig is a match about one span: all of its keys are about that one.
type SpanConfig struct {
	Attributes map[string]any `yaml:"attributes" doc:"conditions by attribute of the span, else of the resource"`
	Dotted     map[string]any `yaml:",inline" doc:"a key with a dot is short for one of attributes"`
	Name       string         `yaml:"name" doc:"the span's name; * stands for any text, ? for one character"`
	Scope      any            `yaml:"scope" doc:"the name of its instrumentation scope, with * and ?, or a list of them"`
	Event      *Event         `yaml:"event" doc:"one of its events"`
	Link       *Link          `yaml:"link" doc:"one of its links"`
	Links      *Counts        `yaml:"links" doc:"how many links it has"`
	Route      any            `yaml:"route" doc:"a pattern of net/http, or a list of them"`
	Kind       any            `yaml:"kind" doc:"its kind, or a list of them"`
	Status     any            `yaml:"status" doc:"its status, or a list of them"`
	Duration   *Durations     `yaml:"duration" doc:"its duration"`
	All        []SpanConfig   `yaml:"all" doc:"matches that must all hold"`
	Any        []SpanConfig   `yaml:"any" doc:"matches of which one must hold"`
	Not        *SpanConfig    `yaml:"not" doc:"a match that must not hold"`
}

// Event is a match about an event of a span.
type Event struct {
	Name       string         `yaml:"name" doc:"the event's name; * stands for any text, ? for one character"`
	Attributes map[string]any `yaml:"attributes" doc:"conditions by attribute of the event"`
	Dotted     map[string]any `yaml:",inline" doc:"a key with a dot is short for one of attributes"`
}

// Link is a match about a link of a span.
type Link struct {
	Attributes map[string]any `yaml:"attributes" doc:"conditions by attribute of the link"`
	Dotted     map[string]any `yaml:",inline" doc:"a key with a dot is short for one of attributes"`
}

// Durations bounds a duration.
type Durations struct {
	Min *component.Duration `yaml:"min" doc:"the shortest"`
	Max *component.Duration `yaml:"max" doc:"the longest"`
}

// Counts bounds a number of things.
type Counts struct {
	Min *int `yaml:"min" doc:"the fewest"`
	Max *int `yaml:"max" doc:"the most"`
}

// Compile returns the matcher. Its errors are [component.FieldError]s, joined. What
// cannot be known at a moment is told by [Matcher.Check].
func (c Config) Compile() (*Matcher, error) {
	cc := compiler{keys: map[attribute.Key]struct{}{}}
	n := cc.config(&c, "")
	if err := cc.err(); err != nil {
		return nil, err
	}
	m := &Matcher{node: n, notes: cc.notes, keys: slices.Sorted(maps.Keys(cc.keys)), conditions: cc.conditions}
	m.needs = cc.needs
	m.absent = m.answer(nil)
	return m, nil
}

// Keys lists the attributes of spans that Match depends on, sorted.
func (m *Matcher) Keys() []attribute.Key {
	if m == nil {
		return nil
	}
	return slices.Clone(m.keys)
}

// NeedsEnded reports whether Match looks at the spans of the segment that have ended.
func (m *Matcher) NeedsEnded() bool { return m != nil && m.needs.ended }

// NeedsBaggage reports whether Match looks at the baggage.
func (m *Matcher) NeedsBaggage() bool { return m != nil && m.needs.baggage }
