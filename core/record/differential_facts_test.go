package record_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// facts is all that can be read of a span, as it was returned: slices are not
// copied, and are compared when the history is over, so that a recorder which
// writes to a slice that it has handed out differs from one which does not.
type facts struct {
	ended bool // it is what a processor's OnEnd was given

	name              string
	context, parent   trace.SpanContext
	kind              trace.SpanKind
	start, end        time.Time
	attributes        []attribute.KeyValue
	events            []sdktrace.Event
	links             []sdktrace.Link
	status            sdktrace.Status
	scope, library    instrumentation.Scope
	resource          *resource.Resource
	droppedAttributes int
	droppedEvents     int
	droppedLinks      int
	children          int
}

func factsOf(s sdktrace.ReadOnlySpan, ended bool) *facts {
	f := &facts{
		ended:             ended,
		name:              s.Name(),
		context:           s.SpanContext(),
		parent:            s.Parent(),
		kind:              s.SpanKind(),
		start:             s.StartTime(),
		end:               s.EndTime(),
		attributes:        s.Attributes(),
		events:            s.Events(),
		links:             s.Links(),
		status:            s.Status(),
		scope:             s.InstrumentationScope(),
		library:           s.InstrumentationLibrary(), //nolint:staticcheck // it is part of the interface
		resource:          s.Resource(),
		droppedAttributes: s.DroppedAttributes(),
		droppedEvents:     s.DroppedEvents(),
		droppedLinks:      s.DroppedLinks(),
		children:          s.ChildSpanCount(),
	}
	// Where nothing is left of them, the SDK's ended span has forgotten how many were
	// dropped, and ours has not. The live span knows in both.
	if ended && len(f.events) == 0 {
		f.droppedEvents = 0
	}
	if ended && len(f.links) == 0 {
		f.droppedLinks = 0
	}
	return f
}

func sameFacts(a, b *facts) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ended == b.ended && a.name == b.name && a.kind == b.kind && a.status == b.status &&
		a.droppedAttributes == b.droppedAttributes && a.droppedEvents == b.droppedEvents &&
		a.droppedLinks == b.droppedLinks && a.children == b.children &&
		sameContext(a.context, b.context) && sameContext(a.parent, b.parent) &&
		sameTime(a.start, b.start) && sameTime(a.end, b.end) &&
		sameScope(a.scope, b.scope) && sameScope(a.library, b.library) &&
		(a.resource == b.resource || a.resource.Equal(b.resource) && a.resource.SchemaURL() == b.resource.SchemaURL()) &&
		// Whether a live span without attributes has nil or an empty slice depends on
		// what it was offered and refused, in the SDK; nobody needs that.
		sameList(a.attributes, b.attributes, a.ended, sameAttribute) &&
		sameList(a.events, b.events, true, sameEvent) && sameList(a.links, b.links, true, sameLink)
}

func sameList[T any](a, b []T, nilCounts bool, same func(a, b T) bool) bool {
	return slices.EqualFunc(a, b, same) && (!nilCounts || (a == nil) == (b == nil))
}

// sameContext leaves out the key ot of the tracestate, which is how riffle passes
// on probabilities and the SDK does not.
func sameContext(a, b trace.SpanContext) bool {
	return a.TraceID() == b.TraceID() && a.SpanID() == b.SpanID() && a.TraceFlags() == b.TraceFlags() &&
		a.IsRemote() == b.IsRemote() && otherKeys(a.TraceState()) == otherKeys(b.TraceState())
}

func otherKeys(ts trace.TraceState) string {
	switch {
	case ts.Get("ot") == "":
		return ts.String()
	case ts.Len() == 1: // by far the most, and worth no copy
		return ""
	}
	return ts.Delete("ot").String()
}

// sameTime takes two readings of the clock for the same. Times that a history
// gives are years away from now.
func sameTime(a, b time.Time) bool { return a.Equal(b) || now(a) && now(b) }

func now(t time.Time) bool { return time.Since(t).Abs() < time.Hour }

func sameScope(a, b instrumentation.Scope) bool {
	return a.Name == b.Name && a.Version == b.Version && a.SchemaURL == b.SchemaURL && a.Attributes.Equals(&b.Attributes)
}

func sameEvent(a, b sdktrace.Event) bool {
	return a.Name == b.Name && a.DroppedAttributeCount == b.DroppedAttributeCount && sameTime(a.Time, b.Time) &&
		sameList(a.Attributes, b.Attributes, true, sameEventAttribute)
}

// sameEventAttribute takes two stack traces for the same: they name functions of
// whoever recorded them.
func sameEventAttribute(a, b attribute.KeyValue) bool {
	return sameAttribute(a, b) || isStack(a) && isStack(b)
}

func isStack(kv attribute.KeyValue) bool {
	return kv.Key == "exception.stacktrace" && strings.HasPrefix(kv.Value.AsString(), "goroutine ")
}

func sameLink(a, b sdktrace.Link) bool {
	return sameContext(a.SpanContext, b.SpanContext) && a.DroppedAttributeCount == b.DroppedAttributeCount &&
		sameList(a.Attributes, b.Attributes, true, sameAttribute)
}

// show writes facts for people, with what compares equal written alike: a name and
// a value at a time.
func (f *facts) show() [][2]string {
	if f == nil {
		return nil
	}
	list := [][2]string{
		{"name", strconv.Quote(f.name)},
		{"context", showContext(f.context)},
		{"parent", showContext(f.parent)},
		{"kind", strconv.Itoa(int(f.kind))},
		{"start", showTime(f.start)},
		{"end", showTime(f.end)},
		{"status", fmt.Sprintf("%d %q", f.status.Code, f.status.Description)},
		{"scope", showScope(f.scope)},
		{"library", showScope(f.library)},
		{"resource", fmt.Sprintf("%s (%s)", f.resource, f.resource.SchemaURL())},
		{"dropped attributes", strconv.Itoa(f.droppedAttributes)},
		{"dropped events", strconv.Itoa(f.droppedEvents)},
		{"dropped links", strconv.Itoa(f.droppedLinks)},
		{"children", strconv.Itoa(f.children)},
		{"nothing is", fmt.Sprintf("nil attributes %t, events %t, links %t", f.ended && f.attributes == nil, f.events == nil, f.links == nil)},
	}
	for i, kv := range f.attributes {
		list = append(list, [2]string{fmt.Sprintf("attribute %d", i), showAll([]attribute.KeyValue{kv})})
	}
	for i, e := range f.events {
		list = append(list, [2]string{
			fmt.Sprintf("event %d", i),
			fmt.Sprintf("%q %s %s, %d dropped", e.Name, showTime(e.Time), showEventAttributes(e.Attributes), e.DroppedAttributeCount),
		})
	}
	for i, l := range f.links {
		list = append(list, [2]string{
			fmt.Sprintf("link %d", i),
			fmt.Sprintf("%s %s, %d dropped", showContext(l.SpanContext), showEventAttributes(l.Attributes), l.DroppedAttributeCount),
		})
	}
	return list
}

func showContext(sc trace.SpanContext) string {
	s := fmt.Sprintf("%s-%s-%s", sc.TraceID(), sc.SpanID(), sc.TraceFlags())
	if keys := otherKeys(sc.TraceState()); keys != "" {
		s += " " + keys
	}
	if sc.IsRemote() {
		s += " remote"
	}
	return s
}

func showTime(t time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case now(t):
		return "now"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func showScope(s instrumentation.Scope) string {
	return fmt.Sprintf("%q %q %q {%s}", s.Name, s.Version, s.SchemaURL, showAll(s.Attributes.ToSlice()))
}

func showEventAttributes(kvs []attribute.KeyValue) string {
	if kvs == nil {
		return "nil"
	}
	kvs = slices.Clone(kvs)
	for i, kv := range kvs {
		if isStack(kv) {
			kvs[i].Value = attribute.StringValue("a stack trace")
		}
	}
	return "{" + showAll(kvs) + "}"
}

// entry is something that was seen while a history ran.
type entry struct {
	op      int // which operation was running
	what    string
	yes     bool
	text    string
	context trace.SpanContext
	span    *facts
}

func sameEntry(a, b entry) bool {
	return a.yes == b.yes && a.text == b.text &&
		sameContext(a.context, b.context) && sameFacts(a.span, b.span)
}

func (e entry) show() [][2]string {
	return append([][2]string{
		{"is so", strconv.FormatBool(e.yes)},
		{"text", strconv.Quote(e.text)},
		{"its context", showContext(e.context)},
	}, e.span.show()...)
}

// difference returns the first one of two logs, and the index of its operation.
func difference(want, got []entry) (text string, op int) {
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			return "- " + want[i].what, want[i].op
		case i >= len(want):
			return "+ " + got[i].what, got[i].op
		case want[i].what != got[i].what || want[i].op != got[i].op:
			return fmt.Sprintf("- %s\n+ %s in operation %d\n", want[i].what, got[i].what, got[i].op), want[i].op
		case !sameEntry(want[i], got[i]):
			return want[i].what + ":\n" + lines(want[i].show(), got[i].show()), want[i].op
		}
	}
	return "", 0
}

// lines is what differs in two lists of names and values.
func lines(want, got [][2]string) string {
	var b strings.Builder
	value := func(list [][2]string, name string) string {
		for _, v := range list {
			if v[0] == name {
				return v[1]
			}
		}
		return "none"
	}
	names := want
	for _, v := range got {
		if !slices.ContainsFunc(names, func(w [2]string) bool { return w[0] == v[0] }) {
			names = append(names, v)
		}
	}
	for _, v := range names {
		if w, g := value(want, v[0]), value(got, v[0]); w != g {
			fmt.Fprintf(&b, "%s:\n\t- %s\n\t+ %s\n", v[0], w, g)
		}
	}
	return b.String()
}

// contradiction says what one log alone shows to be wrong: times that a history
// does not give are compared with nothing else.
func contradiction(log []entry) string {
	seen := map[trace.SpanID]*facts{}
	var res *resource.Resource
	for _, e := range log {
		f := e.span
		if f == nil {
			continue
		}
		if res == nil {
			res = f.resource
		}
		before := seen[f.context.SpanID()]
		switch {
		case f.resource != res:
			return fmt.Sprintf("%s: the spans of a provider have several resources", e.what)
		case now(f.start) && now(f.end) && f.end.Before(f.start):
			return fmt.Sprintf("%s: a span ends at %s, before its start at %s", e.what, f.end, f.start)
		case before != nil && !f.start.Equal(before.start):
			return fmt.Sprintf("%s: a span started at %s, and before at %s", e.what, f.start, before.start)
		case before != nil && !before.end.IsZero() && !f.end.Equal(before.end):
			return fmt.Sprintf("%s: a span ended at %s, and before at %s", e.what, f.end, before.end)
		}
		seen[f.context.SpanID()] = f
	}
	return ""
}
