package record_test

import (
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// history is what an application does, whatever it sees.
type history struct {
	limits     sdktrace.SpanLimits
	processors int
	tracers    []scope
	operations []operation
}

// scope is how a tracer is asked for.
type scope struct {
	name, version, schema string
	attributes            [][]attribute.KeyValue
}

func (s scope) options() (list []trace.TracerOption) {
	if s.version != "" {
		list = append(list, trace.WithInstrumentationVersion(s.version))
	}
	if s.schema != "" {
		list = append(list, trace.WithSchemaURL(s.schema))
	}
	for _, kvs := range s.attributes {
		list = append(list, trace.WithInstrumentationAttributes(kvs...))
	}
	return list
}

func (h *history) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%+v, %d processors\n", h.limits, h.processors)
	for i, t := range h.tracers {
		fmt.Fprintf(&b, "tracer %d: %q %q %q", i, t.name, t.version, t.schema)
		for _, kvs := range t.attributes {
			fmt.Fprintf(&b, " {%s}", showAll(kvs))
		}
		b.WriteByte('\n')
	}
	for i, o := range h.operations {
		fmt.Fprintf(&b, "%3d. %s\n", i, o)
	}
	return b.String()
}

// newHistory makes a history of up to 40 operations.
func newHistory(c choices) *history {
	counts := []int{128, -1, 0, 1, 2, 3}
	h := &history{
		limits: sdktrace.SpanLimits{
			AttributeValueLengthLimit:   one(c, []int{-1, 0, 1, 5}),
			AttributeValueDepthLimit:    one(c, []int{64, -1, 1, 2}),
			AttributeCountLimit:         one(c, counts),
			EventCountLimit:             one(c, counts),
			LinkCountLimit:              one(c, counts),
			AttributePerEventCountLimit: one(c, counts),
			AttributePerLinkCountLimit:  one(c, counts),
		},
		processors: one(c, []int{1, 1, 1, 2, 2, 0}),
	}
	for range 1 + c.IntN(3) {
		s := scope{
			name:    one(c, []string{"library", "other", ""}),
			version: one(c, []string{"", "v1"}),
			schema:  one(c, []string{"", "https://example.org"}),
		}
		for range c.IntN(3) {
			s.attributes = append(s.attributes, attributes(c, 4, 3))
		}
		h.tracers = append(h.tracers, s)
	}
	h.operations = append(h.operations, newStart(c))
	for range c.IntN(40) {
		h.operations = append(h.operations, newOperation(c))
	}
	return h
}

func newOperation(c choices) operation {
	switch n := c.IntN(16); {
	case n < 4:
		return newStart(c)
	case n < 6:
		return newMove(c)
	}
	return spanCall{c.IntN(12), newCall(c)}
}

func newStart(c choices) start {
	s := start{
		tracer:     c.IntN(3),
		place:      c.IntN(20),
		nilContext: oneIn(c, 20),
		name:       one(c, names),
		newRoot:    oneIn(c, 8),
		options:    newOptions(c),
	}
	s.stacks = nil // no option of Start
	for range one(c, []int{0, 0, 0, 1, 2}) {
		s.kinds = append(s.kinds, one(c, []trace.SpanKind{0, 1, 2, 3, 4, 5, 6, -1}))
	}
	for range one(c, []int{0, 0, 0, 0, 1, 2, 4}) {
		s.links = append(s.links, newLink(c))
	}
	for range one(c, []int{0, 0, 0, 0, 0, 1, 2}) {
		s.hooks = append(s.hooks, newHook(c))
	}
	return s
}

func newMove(c choices) move {
	m := move{place: c.IntN(20), to: movement(c.IntN(int(movements))), remote: oneIn(c, 2)}
	sc := trace.SpanContextConfig{
		TraceID:    trace.TraceID{0: 0xaa, 15: byte(1 + c.IntN(3))},
		SpanID:     trace.SpanID{0: 0xbb, 7: byte(1 + c.IntN(3))},
		TraceFlags: one(c, []trace.TraceFlags{1, 0, 2, 3}),
		TraceState: one(c, traceStates),
	}
	switch n := c.IntN(8); {
	case m.to == copied || m.to == headless: // no more than flags and tracestate count
	case n == 0 && m.to == remoteParent:
		sc.TraceID = trace.TraceID{}
	case n == 1 && m.to == remoteParent:
		sc.TraceID, sc.SpanID = trace.TraceID{}, trace.SpanID{}
	default:
		sc.TraceFlags |= trace.FlagsSampled
		if n == 2 {
			sc.SpanID = trace.SpanID{}
		}
	}
	m.context = trace.NewSpanContext(sc)
	return m
}

func newCall(c choices) call {
	switch n := c.IntN(24); {
	case n < 6:
		return setAttributes(attributes(c, 6, 4))
	case n < 9:
		return addEvent{one(c, names), newOptions(c)}
	case n < 11:
		return newLink(c)
	case n < 13:
		return recordError{one(c, failures), newOptions(c)}
	case n < 15:
		return setStatus{one(c, []codes.Code{codes.Ok, codes.Error, codes.Unset, 3}), one(c, texts)}
	case n < 16:
		return setName(one(c, names))
	case n < 19:
		return read{}
	}
	e := endSpan{options: newOptions(c)}
	e.attributes = nil // no option of End
	if oneIn(c, 4) {
		e.how, e.value = ending(1+c.IntN(2)), one(c, thrown)
	}
	for range one(c, []int{0, 0, 0, 0, 0, 1, 2}) {
		e.hooks = append(e.hooks, newHook(c))
	}
	return e
}

// newHook leaves out what needs the next hook for itself.
func newHook(c choices) call {
	if oneIn(c, 4) {
		return child{}
	}
	h := newCall(c)
	if e, ok := h.(endSpan); ok {
		e.how, e.hooks = plainly, nil
		return e
	}
	return h
}

func newLink(c choices) addLink {
	l := addLink{toSpan: oneIn(c, 2), span: c.IntN(12), attributes: attributes(c, 5, 4)}
	sc := trace.SpanContextConfig{
		TraceFlags: trace.TraceFlags(c.IntN(4)), TraceState: one(c, traceStates), Remote: oneIn(c, 2),
	}
	if n := c.IntN(4); n > 0 {
		sc.TraceID = trace.TraceID{15: byte(n)}
	}
	if n := c.IntN(4); n > 0 {
		sc.SpanID = trace.SpanID{7: byte(n)}
	}
	l.context = trace.NewSpanContext(sc)
	return l
}

func newOptions(c choices) (o options) {
	for range one(c, []int{0, 0, 1, 1, 2}) {
		o.attributes = append(o.attributes, attributes(c, 5, 4))
	}
	for range one(c, []int{0, 0, 0, 1, 2}) {
		o.times = append(o.times, one(c, times))
	}
	for range one(c, []int{0, 0, 0, 1, 2}) {
		o.stacks = append(o.stacks, oneIn(c, 2))
	}
	return o
}

var (
	names = []string{"span", "exception", "", "\xff", "GET /orders/{id}"}

	// times are years away from now. The first is none, the second has 0 as the
	// number that people make of it.
	times = []time.Time{
		{},
		time.Unix(0, 0), time.Unix(-1, 999_999_999), time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2001, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(2001, 1, 1, 0, 0, 1, 0, time.FixedZone("east", 3600)),
		time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}

	traceStates = func() (list []trace.TraceState) {
		for _, s := range []string{"", "a=b", "vendor=x,rojo=00f067aa0ba902b7", "ot=th:0", "a=1,ot=rv:0123456789abcd,b=2"} {
			ts, err := trace.ParseTraceState(s)
			if err != nil {
				panic(err)
			}
			list = append(list, ts)
		}
		return list
	}()
)
