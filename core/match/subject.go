package match

import (
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Result is whether something matches.
type Result uint8

const (
	// No it does not, whatever comes.
	No Result = iota
	// Yes it does, whatever comes.
	Yes
	// Later it will be known: when the local root has ended.
	Later
)

// String is the name of the result.
func (r Result) String() string {
	switch r {
	case Yes:
		return "yes"
	case Later:
		return "later"
	default:
		return "no"
	}
}

// Subject is what a match is about. Nothing keeps it, or what it points to.
//
// It is made once per question. To ask about several spans of one segment at one
// moment, change Span and IsRoot and leave the rest: what was found out about the
// segment's spans is remembered.
type Subject struct {
	// Span is the one that is asked about.
	Span Span
	// Root is the local root. It is looked at only if IsRoot is false.
	Root Span
	// IsRoot tells that the span asked about is the local root.
	IsRoot bool
	// RootOpen tells that the local root has not ended and more may be known later:
	// what can change of it is [Later]. It is false where a span starts, and where an
	// open local root is asked about for the last time.
	RootOpen bool
	// RootDuration is the age of a local root that is open, where RootOpen is false.
	RootDuration time.Duration
	// Spans is how many of the segment have ended.
	Spans int
	// Ended are those, for any_span. They are looked at only if RootOpen is false.
	Ended []sdktrace.ReadOnlySpan

	RemoteParent bool
	TraceState   trace.TraceState
	Baggage      baggage.Baggage
	Resource     *resource.Resource

	anySpans [4]anySpanResult
	known    int // of anySpans
	more     []anySpanResult
}

// result is what was found out about an any_span.
func (s *Subject) result(of *node) (r Result, ok bool) {
	for _, all := range [...][]anySpanResult{s.anySpans[:s.known], s.more} {
		for i := range all {
			if all[i].of == of {
				return all[i].result, true
			}
		}
	}
	return No, false
}

// remember never forgets one: to look for it at each span of a segment would take as long
// as the square of their number.
func (s *Subject) remember(of *node, r Result) {
	if s.known == len(s.anySpans) {
		s.more = append(s.more, anySpanResult{of, r})
		return
	}
	s.anySpans[s.known] = anySpanResult{of, r}
	s.known++
}

// anySpanResult is the result of an any_span.
type anySpanResult struct {
	of     *node
	result Result
}

// Span is one that starts, described by its fields, or one that can be read.
type Span struct {
	Name       string
	Kind       trace.SpanKind
	Attributes []attribute.KeyValue // if one is there twice, the last counts
	Links      []trace.Link
	Scope      string // the name of its instrumentation scope
	// Recorded is the span, if it can be read; the other fields are not looked at
	// then. It is read only as far as the match needs.
	Recorded sdktrace.ReadOnlySpan
}

// Matcher tells which spans match. Make one with [Config.Compile]; a nil
// *Matcher matches everything. It is safe for concurrent use.
type Matcher struct {
	node  *node
	notes []note
	keys  []attribute.Key
	needs needs
	// conditions are those that a resource can meet, by their numbers.
	conditions []*condition
	absent     *answers // of no resource
	answers    atomic.Pointer[[]*answers]
}

// needs is what a match looks at that is not always at hand.
type needs struct{ ended, baggage bool }

// answers tell which conditions a resource meets.
type answers struct {
	resource *resource.Resource
	met      []bool
}

// maxResources bounds how many resources are remembered: one, and another while a new
// configuration comes into force.
const maxResources = 4

// answersOf asks each resource once.
func (m *Matcher) answersOf(r *resource.Resource) *answers {
	if r == nil {
		return m.absent
	}
	known := m.answers.Load()
	if known != nil {
		for _, a := range *known {
			if a.resource == r {
				return a
			}
		}
	}
	all := []*answers{m.answer(r)}
	if known != nil {
		all = append(all, (*known)[:min(len(*known), maxResources-1)]...)
	}
	m.answers.CompareAndSwap(known, &all) // else another was faster, and this one is asked again
	return all[0]
}

func (m *Matcher) answer(r *resource.Resource) *answers {
	a := &answers{resource: r, met: make([]bool, len(m.conditions))}
	for i, c := range m.conditions {
		if v, ok := r.Set().Value(c.key); ok {
			a.met[i] = c.holds(&v)
		} else {
			a.met[i] = c.holds(nil)
		}
	}
	return a
}
