package record_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// call is a call of a method of a span. It can be made on any, live or ended, and
// writes down what is seen.
type call interface {
	on(r *run, s trace.Span)
	String() string
}

// options are those that several methods take. Each can come several times.
type options struct {
	attributes [][]attribute.KeyValue
	times      []time.Time
	stacks     []bool
}

func (o options) start(r *run) (list []trace.SpanStartOption) {
	for _, kvs := range o.attributes {
		list = append(list, trace.WithAttributes(r.lend(kvs)...))
	}
	for _, t := range o.times {
		list = append(list, trace.WithTimestamp(t))
	}
	return list
}

func (o options) event(r *run) (list []trace.EventOption) {
	for _, kvs := range o.attributes {
		list = append(list, trace.WithAttributes(r.lend(kvs)...))
	}
	for _, t := range o.times {
		list = append(list, trace.WithTimestamp(t))
	}
	for _, b := range o.stacks {
		list = append(list, trace.WithStackTrace(b))
	}
	return list
}

func (o options) end() (list []trace.SpanEndOption) {
	for _, t := range o.times {
		list = append(list, trace.WithTimestamp(t))
	}
	for _, b := range o.stacks {
		list = append(list, trace.WithStackTrace(b))
	}
	return list
}

func (o options) String() string { return o.describe() }

// describe writes the options after what is given.
func (o options) describe(list ...string) string {
	for _, kvs := range o.attributes {
		list = append(list, "WithAttributes("+showAll(kvs)+")")
	}
	for _, t := range o.times {
		list = append(list, "WithTimestamp("+showTime(t)+")")
	}
	for _, b := range o.stacks {
		list = append(list, fmt.Sprintf("WithStackTrace(%t)", b))
	}
	return strings.Join(list, ", ")
}

type setAttributes []attribute.KeyValue

func (c setAttributes) on(r *run, s trace.Span) { s.SetAttributes(r.lend(c)...) }
func (c setAttributes) String() string          { return "SetAttributes(" + showAll(c) + ")" }

type addEvent struct {
	name string
	options
}

func (c addEvent) on(r *run, s trace.Span) { s.AddEvent(c.name, c.event(r)...) }
func (c addEvent) String() string          { return "AddEvent(" + c.describe(strconv.Quote(c.name)) + ")" }

// addLink links to a span of the history, or to a context that the history gives.
// The latter may be invalid; made from a span it would be less so for riffle, which
// has put a key into its tracestate.
type addLink struct {
	toSpan     bool
	span       int
	context    trace.SpanContext
	attributes []attribute.KeyValue
}

func (c addLink) link(r *run) trace.Link {
	l := trace.Link{SpanContext: c.context, Attributes: c.attributes}
	if s := r.span(c.span); c.toSpan && s != nil {
		l.SpanContext = s.SpanContext()
	}
	return l
}

func (c addLink) on(r *run, s trace.Span) { s.AddLink(c.link(r)) }

func (c addLink) String() string {
	to := showContext(c.context)
	if c.toSpan {
		to = fmt.Sprintf("span %d", c.span)
	}
	return fmt.Sprintf("AddLink(%s {%s})", to, showAll(c.attributes))
}

type recordError struct {
	err error
	options
}

func (c recordError) on(r *run, s trace.Span) { s.RecordError(c.err, c.event(r)...) }

func (c recordError) String() string {
	return "RecordError(" + c.describe(fmt.Sprintf("%T %q", c.err, fmt.Sprint(c.err))) + ")"
}

type setStatus struct {
	code        codes.Code
	description string
}

func (c setStatus) on(_ *run, s trace.Span) { s.SetStatus(c.code, c.description) }
func (c setStatus) String() string          { return fmt.Sprintf("SetStatus(%d, %q)", c.code, c.description) }

type setName string

func (c setName) on(_ *run, s trace.Span) { s.SetName(string(c)) }
func (c setName) String() string          { return fmt.Sprintf("SetName(%q)", string(c)) }

// read is every method that reads.
type read struct{}

func (read) on(r *run, s trace.Span) {
	r.note(entry{what: "SpanContext", yes: s.IsRecording(), context: s.SpanContext()})
	r.note(entry{what: "TracerProvider is the span's own", yes: s.TracerProvider() == r.provider})
	if rw, ok := s.(sdktrace.ReadWriteSpan); ok {
		r.note(entry{what: "read", span: factsOf(rw, false)})
	} else {
		r.note(entry{what: "read", text: "it is no ReadWriteSpan"})
	}
}

func (read) String() string { return "all that reads" }

// endSpan ends a span: plainly, or while its caller panics.
type endSpan struct {
	how   ending
	value any // of the panic
	options
	// hooks are called on the span by the processor while it has the ended one. They
	// change nothing.
	hooks []call
}

type ending int

const (
	plainly   ending = iota
	panicking        // defer span.End()
	beside           // defer func() { span.End() }(), which sees no panic
)

func (c endSpan) on(r *run, s trace.Span) {
	r.onEnd = c.hooks
	defer func() { r.onEnd = nil }()
	if c.how == plainly {
		s.End(c.end()...)
		return
	}
	v := c.panics(s)
	r.note(entry{what: "recovered", text: fmt.Sprintf("%T %v", v, v)})
}

func (c endSpan) panics(s trace.Span) (recovered any) {
	defer func() { recovered = recover() }()
	if c.how == panicking {
		defer s.End(c.end()...)
	} else {
		defer func() { s.End(c.end()...) }()
	}
	panic(c.value)
}

func (c endSpan) String() string {
	s := "End(" + c.describe() + ")"
	switch c.how {
	case panicking:
		s = fmt.Sprintf("defer %s and panic(%T)", s, c.value)
	case beside:
		s = fmt.Sprintf("defer func() { %s }() and panic(%T)", s, c.value)
	}
	for _, h := range c.hooks {
		s += fmt.Sprintf(", in OnEnd %s", h)
	}
	return s
}

// child starts a span below s and ends it: only hooks do, where a lock that a
// recorder holds while it calls a processor would show.
type child struct{}

func (child) on(r *run, s trace.Span) {
	start, end := r.onStart, r.onEnd
	r.onStart, r.onEnd = nil, nil
	defer func() { r.onStart, r.onEnd = start, end }()
	_, below := r.tracers[0].Start(trace.ContextWithSpan(context.Background(), s), "child of a hook")
	below.End()
}

func (child) String() string { return "a child is started and ended" }

// The errors and panics of a history. What is written down of their types depends
// on their names.
type (
	valueError          struct{ text string }
	pointerError        struct{ text string }
	textError           string
	genericError[T any] struct{ of T }
)

func (e valueError) Error() string { return e.text }

func (e *pointerError) Error() string {
	if e == nil {
		return "nil, but an error"
	}
	return e.text
}

func (e textError) Error() string       { return string(e) }
func (e genericError[T]) Error() string { return fmt.Sprint(e.of) }
func (genericError[T]) String() string  { return "not this one" }

var failures = []error{
	nil,
	errors.New("plain"),
	fmt.Errorf("wrapped: %w", errors.New("cause")),
	valueError{"value"},
	&valueError{""},
	&pointerError{"pointer"},
	(*pointerError)(nil),
	textError("text \xff é"),
	genericError[map[string]int]{},
	struct{ error }{errors.New("embedded")},
	errors.Join(errors.New("one"), errors.New("two")),
	context.DeadlineExceeded,
}

var thrown = []any{
	nil, "text", "", 42, 1.5, errors.New("plain"), valueError{"value"}, &pointerError{"pointer"}, []int{1}, struct{ n int }{1},
}
