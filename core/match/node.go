package match

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/route"
)

// node is a part of a match. It is data and not a function, so that its subject need
// not go to the heap.
type node struct {
	op op
	of who
	in []*node // what is joined, or the one that any_span is about

	kinds      kindSet
	statuses   [codes.Ok + 1]bool
	remote     bool
	bounds     bounds
	globs      []Glob
	tables     []*route.Table[struct{}]
	condition  *condition
	conditions []*condition // of an event or a link
}

type op uint8

const (
	opAll op = iota
	opAny
	opNot
	opAnySpan

	opKind
	opParent
	opScope
	opResource
	opBaggage
	opTracestate
	opSpans
	opDuration
	opStatus
	opName
	opAttribute
	opRoute
	opLinks
	opLink
	opEvent
)

// who is the span that a node is about.
type who uint8

const (
	ofRoot   who = iota
	ofSpan       // the one that is asked about
	ofEach       // each in turn, inside any_span
	ofNobody     // what is the same for all spans
)

// kindSet is indexed by kind.
type kindSet [trace.SpanKindConsumer + 1]bool

// bounds are those of a number.
type bounds struct {
	min, max       int64
	hasMin, hasMax bool
}

func (b *bounds) hold(n int64) Result {
	return yes((!b.hasMin || n >= b.min) && (!b.hasMax || n <= b.max))
}

// growing is hold for a number that still grows.
func (b *bounds) growing(n int64) Result {
	switch {
	case b.hasMax && n > b.max:
		return No
	case b.hasMax || b.hasMin && n < b.min:
		return Later
	default:
		return Yes
	}
}

func yes(b bool) Result {
	if b {
		return Yes
	}
	return No
}

// Match tells whether s matches; a nil matcher matches everything. It allocates
// nothing, unless it looks at an attribute that holds a list, at events or links, or at
// more any_spans than four.
func (m *Matcher) Match(s *Subject) Result {
	if m == nil {
		return Yes
	}
	ev := evaluation{matcher: m}
	ev.span.recorded, ev.span.isRoot = s.Span.Recorded, s.IsRoot
	if !s.IsRoot {
		ev.root.recorded, ev.root.isRoot = s.Root.Recorded, true
		ev.root.isApart, ev.root.isLater = true, s.RootOpen
	}
	return ev.match(m.node, s)
}

// evaluation is one call of Match. It points neither to the subject nor into itself, so
// that neither need go to the heap.
type evaluation struct {
	matcher *Matcher
	answers *answers // nil as long as nobody wanted them
	span    view
	root    view // if it is not the span
	each    view
}

func (ev *evaluation) match(n *node, s *Subject) Result {
	switch n.op {
	case opAll:
		result := Yes
		for _, in := range n.in {
			switch ev.match(in, s) {
			case No:
				return No
			case Later:
				result = Later
			}
		}
		return result
	case opAny:
		result := No
		for _, in := range n.in {
			switch ev.match(in, s) {
			case Yes:
				return Yes
			case Later:
				result = Later
			}
		}
		return result
	case opNot:
		switch ev.match(n.in[0], s) {
		case No:
			return Yes
		case Yes:
			return No
		default:
			return Later
		}
	case opAnySpan:
		return ev.anySpan(n, s)
	}
	if n.of == ofNobody {
		return ev.matchSegment(n, s)
	}
	return ev.matchSpan(n, ev.view(n.of, s), s)
}

func (ev *evaluation) view(of who, s *Subject) *view {
	switch {
	case of == ofEach:
		return &ev.each
	case of == ofSpan || s.IsRoot:
		return &ev.span
	default:
		return &ev.root
	}
}

// matchSegment is about what the spans of a segment have in common.
func (ev *evaluation) matchSegment(n *node, s *Subject) Result {
	switch n.op {
	case opParent:
		return yes(s.RemoteParent == n.remote)
	case opSpans:
		if s.RootOpen {
			return n.bounds.growing(int64(s.Spans))
		}
		return n.bounds.hold(int64(s.Spans))
	case opResource:
		return yes(ev.resourceMeets(n.condition, s))
	case opBaggage:
		member := s.Baggage.Member(string(n.condition.key))
		return yes(n.condition.holdsText(member.Value(), member.Key() != ""))
	default: // opTracestate
		member := s.TraceState.Get(string(n.condition.key))
		return yes(n.condition.holdsText(member, member != ""))
	}
}

func (ev *evaluation) resourceMeets(c *condition, s *Subject) bool {
	if ev.answers == nil {
		ev.answers = ev.matcher.answersOf(s.Resource)
	}
	return ev.answers.met[c.number]
}

func (ev *evaluation) matchSpan(n *node, v *view, s *Subject) Result {
	switch n.op { // what never changes
	case opKind:
		return yes(n.kinds[trace.ValidateSpanKind(v.kind(s))])
	case opScope:
		return yes(anyGlob(n.globs, v.scope(s)))
	}
	if v.isLater {
		return Later
	}
	switch n.op {
	case opName:
		return yes(anyGlob(n.globs, v.name(s)))
	case opAttribute:
		return yes(ev.attributeMeets(n.condition, v, s))
	case opRoute:
		return yes(v.hasRoute(n.tables, s))
	case opDuration:
		d, ok := v.duration(s)
		if !ok {
			return No
		}
		return n.bounds.hold(int64(d))
	case opStatus:
		code, ok := v.status()
		return yes(ok && n.statuses[code])
	case opLinks:
		return n.bounds.hold(int64(v.links(s)))
	case opLink:
		return yes(v.hasLink(n.conditions, s))
	default: // opEvent
		return yes(v.hasEvent(n))
	}
}

func anyGlob(globs []Glob, text string) bool {
	for _, g := range globs {
		if g.Match(text) {
			return true
		}
	}
	return false
}

// attributeMeets looks at the span, then at its exceptions, then at the resource.
func (ev *evaluation) attributeMeets(c *condition, v *view, s *Subject) bool {
	if value := last(v.attributes(s), c.key); value != nil {
		return c.holds(value)
	}
	if c.ended {
		if met, found := v.exceptionMeets(c); found {
			return met
		}
	}
	return ev.resourceMeets(c, s)
}

// anySpan is the same for each span of a segment, so that it is looked for once.
func (ev *evaluation) anySpan(n *node, s *Subject) Result {
	if s.RootOpen {
		return Later
	}
	if known, ok := s.result(n); ok {
		return known
	}
	result := yes(ev.findSpan(n.in[0], s))
	s.remember(n, result)
	return result
}

func (ev *evaluation) findSpan(n *node, s *Subject) bool {
	root := ev.view(ofRoot, s)
	if r := root.recorded; r != nil && r.EndTime().IsZero() { // not among those that have ended
		ev.each = view{recorded: r, isRoot: true}
		if ev.match(n, s) == Yes {
			return true
		}
	}
	for _, r := range s.Ended {
		ev.each = view{recorded: r}
		if ev.match(n, s) == Yes {
			return true
		}
	}
	return false
}

// view reads a span as far as it is wanted.
type view struct {
	recorded sdktrace.ReadOnlySpan // nil if it is of what starts
	isRoot   bool
	isApart  bool // it is not the span that is asked about
	isLater  bool // what can change is not known yet

	hasAttributes, hasRequest, isRequest bool

	attrs   []attribute.KeyValue
	request route.Request
}

// starts is what is known of a span that starts.
func (v *view) starts(s *Subject) *Span {
	if v.isApart {
		return &s.Root
	}
	return &s.Span
}

func (v *view) kind(s *Subject) trace.SpanKind {
	if r := v.recorded; r != nil {
		return r.SpanKind()
	}
	return v.starts(s).Kind
}

func (v *view) scope(s *Subject) string {
	if r := v.recorded; r != nil {
		return r.InstrumentationScope().Name
	}
	return v.starts(s).Scope
}

func (v *view) name(s *Subject) string {
	if r := v.recorded; r != nil {
		return r.Name()
	}
	return v.starts(s).Name
}

func (v *view) attributes(s *Subject) []attribute.KeyValue {
	r := v.recorded
	switch {
	case r == nil:
		return v.starts(s).Attributes
	case !v.hasAttributes:
		v.attrs, v.hasAttributes = r.Attributes(), true
	}
	return v.attrs
}

func (v *view) hasRoute(tables []*route.Table[struct{}], s *Subject) bool {
	if !v.hasRequest {
		v.request, v.isRequest = route.RequestOf(v.name(s), v.attributes(s))
		v.hasRequest = true
	}
	if !v.isRequest {
		return false
	}
	for _, t := range tables {
		if t.Has(v.request) {
			return true
		}
	}
	return false
}

func (v *view) status() (code codes.Code, ok bool) {
	r := v.recorded
	if r == nil {
		return 0, false
	}
	code = r.Status().Code
	return code, code <= codes.Ok
}

// links counts them.
func (v *view) links(s *Subject) int {
	if r := v.recorded; r != nil {
		return len(r.Links())
	}
	return len(v.starts(s).Links)
}

func (v *view) hasLink(all []*condition, s *Subject) bool {
	if r := v.recorded; r != nil {
		for _, l := range r.Links() {
			if meetAll(all, l.Attributes) {
				return true
			}
		}
		return false
	}
	for i := range v.starts(s).Links {
		if meetAll(all, v.starts(s).Links[i].Attributes) {
			return true
		}
	}
	return false
}

func meetAll(all []*condition, attrs []attribute.KeyValue) bool {
	for _, c := range all {
		if !c.among(attrs) {
			return false
		}
	}
	return true
}

func (v *view) events() []sdktrace.Event {
	if r := v.recorded; r != nil {
		return r.Events()
	}
	return nil
}

func (v *view) hasEvent(n *node) bool {
	for _, e := range v.events() {
		if anyGlob(n.globs, e.Name) && meetAll(n.conditions, e.Attributes) {
			return true
		}
	}
	return false
}

// exceptionMeets looks at the exception events. Not found means that none has the
// attribute.
func (v *view) exceptionMeets(c *condition) (met, found bool) {
	for _, e := range v.events() {
		if e.Name != "exception" {
			continue
		}
		if value := last(e.Attributes, c.key); value != nil {
			if found = true; c.holds(value) {
				return true, true
			}
		}
	}
	return false, found
}

// duration is that of the span, or the age of an open local root.
func (v *view) duration(s *Subject) (d time.Duration, ok bool) {
	r := v.recorded
	if r == nil {
		return 0, false
	}
	if end := r.EndTime(); !end.IsZero() {
		return end.Sub(r.StartTime()), true
	}
	return s.RootDuration, v.isRoot
}
