package record_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// cases are histories of what the SDK does and one would not expect. Random ones
// find it all too, but do not say what it is.
var cases = []struct {
	name       string
	limits     func(*sdktrace.SpanLimits)
	operations []operation
}{
	{
		name:       "an ended span does not say what a limit of 0 has dropped, a live one does",
		limits:     func(l *sdktrace.SpanLimits) { l.EventCountLimit, l.LinkCountLimit = 0, 0 },
		operations: []operation{start{}, spanCall{0, addEvent{name: "e"}}, spanCall{0, addLink{toSpan: true}}},
	},
	{
		name:   "with a limit of 0 every attribute that is given counts as dropped",
		limits: func(l *sdktrace.SpanLimits) { l.AttributeCountLimit = 0 },
		operations: []operation{
			start{}, spanCall{0, setAttributes{{}, attribute.Int("a", 1), attribute.Int("a", 2)}}, spanCall{0, setAttributes{}},
		},
	},
	{
		name:   "at the limit known keys are overwritten, in the same call too",
		limits: func(l *sdktrace.SpanLimits) { l.AttributeCountLimit = 2 },
		operations: []operation{
			start{},
			spanCall{0, setAttributes{attribute.Int("a", 1), attribute.Int("a", 2)}},
			spanCall{0, setAttributes{attribute.Int("b", 1), attribute.Int("c", 1), attribute.Int("a", 3), attribute.Int("b", 2), {}}},
		},
	},
	{
		name:   "a depth of 0 is 64",
		limits: func(l *sdktrace.SpanLimits) { l.AttributeValueDepthLimit = 0 },
		operations: []operation{
			start{},
			spanCall{0, setAttributes{deep(63), deep(64)}},
			spanCall{0, addEvent{options: options{attributes: [][]attribute.KeyValue{{deep(63), deep(64), attribute.StringSlice("a", nil)}}}}},
		},
	},
	{
		name:   "events and links keep long strings, and keys that are empty or come twice",
		limits: func(l *sdktrace.SpanLimits) { l.AttributeValueLengthLimit, l.AttributePerEventCountLimit = 1, 3 },
		operations: []operation{
			start{links: []addLink{{attributes: []attribute.KeyValue{{}, attribute.String("a", "long"), attribute.Int("a", 1)}}}},
			spanCall{0, addEvent{options: options{attributes: [][]attribute.KeyValue{{{}, attribute.String("a", "long")}, {attribute.Int("a", 1)}}}}},
		},
	},
	{
		name:   "what an exception is stands behind the caller's attributes",
		limits: func(l *sdktrace.SpanLimits) { l.AttributePerEventCountLimit = 2 },
		operations: []operation{
			start{}, spanCall{0, recordError{errors.New("x"), options{
				attributes: [][]attribute.KeyValue{{attribute.Int("exception.type", 1)}}, stacks: []bool{true},
			}}},
		},
	},
	{
		name: "an event has no stack trace, an error has one if the last option says so",
		operations: []operation{
			start{},
			spanCall{0, addEvent{options: options{stacks: []bool{true}}}},
			spanCall{0, recordError{errors.New("x"), options{stacks: []bool{false, true}}}},
			spanCall{0, recordError{errors.New("x"), options{stacks: []bool{true, false}}}},
		},
	},
	{
		name: "a parent without trace ID is no parent, but is shown, and leaves its flags and tracestate",
		operations: []operation{
			move{to: remoteParent, remote: true, context: trace.NewSpanContext(trace.SpanContextConfig{
				SpanID: trace.SpanID{1}, TraceFlags: 0xfe, TraceState: traceStates[1],
			})},
			start{place: 1},
		},
	},
	{
		name: "a parent without span ID has its trace continued",
		operations: []operation{
			move{to: remoteParent, remote: true, context: trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{1}, TraceFlags: 1,
			})},
			start{place: 1},
		},
	},
	{
		name: "a child counts if it is a new root, and not below a copy, a wrapper, or after the end",
		operations: []operation{
			start{},
			start{place: 1, newRoot: true},
			move{place: 1, to: copied},
			start{place: 3},
			move{place: 1, to: decorated},
			start{place: 5},
			spanCall{0, endSpan{}},
			start{place: 1},
		},
	},
	{
		name: "an equal status overwrites, Unset and what is less do not",
		operations: []operation{
			start{},
			spanCall{0, setStatus{codes.Error, "a"}},
			spanCall{0, setStatus{codes.Error, "b"}},
			spanCall{0, setStatus{codes.Unset, "c"}},
			spanCall{0, read{}},
			spanCall{0, setStatus{codes.Ok, "d"}},
			spanCall{0, setStatus{codes.Error, "e"}},
		},
	},
	{
		name: "a span that the first processor ends in OnStart is still given to the second",
		operations: []operation{
			start{hooks: []call{setName("x"), endSpan{}, setName("y")}}, start{place: 1},
		},
	},
	{
		name: "the time 0 is a time, the zero time is none",
		operations: []operation{
			start{options: options{times: []time.Time{times[1]}}},
			spanCall{0, addEvent{options: options{times: []time.Time{times[1]}}}},
			spanCall{0, addEvent{options: options{times: []time.Time{times[4], {}}}}},
			spanCall{0, endSpan{options: options{times: []time.Time{times[1]}}}},
			start{options: options{times: []time.Time{times[4], {}}}},
			spanCall{1, endSpan{options: options{times: []time.Time{{}}}}},
		},
	},
	{
		name: "a panic is recorded by a deferred End, and goes on",
		operations: []operation{
			start{},
			spanCall{0, endSpan{how: panicking, value: "text", options: options{stacks: []bool{true}}}},
			spanCall{0, endSpan{how: panicking, value: "again"}},
			start{},
			spanCall{1, endSpan{how: beside, value: "text"}},
			start{},
			spanCall{2, endSpan{how: panicking}},
		},
	},
}

// deep is a map in a map, n of them.
func deep(n int) attribute.KeyValue {
	kv := attribute.String("k", "leaf")
	for range n {
		kv = attribute.Map("k", kv)
	}
	return kv
}

func TestDifferentialCases(t *testing.T) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			h := &history{
				limits: sdktrace.SpanLimits{
					AttributeValueLengthLimit: -1, AttributeValueDepthLimit: 64, AttributeCountLimit: 128, EventCountLimit: 128,
					LinkCountLimit: 128, AttributePerEventCountLimit: 128, AttributePerLinkCountLimit: 128,
				},
				processors: 2, tracers: []scope{{}}, operations: tt.operations,
			}
			if tt.limits != nil {
				tt.limits(&h.limits)
			}
			if text, op := compare(h, newSDK, newOurs); text != "" {
				t.Errorf("%sin operation %d, - the SDK, + the recorder, %s", h, op, text)
			}
		})
	}
}

// A goroutine that exits runs its deferred calls without a panic.
func TestGoexit(t *testing.T) {
	for name, provider := range recorders {
		c := &collector{}
		_, span := provider(unlimited(-1), &counter{}, origin, c).Tracer("test").Start(context.Background(), "span")
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer span.End()
			runtime.Goexit()
		}()
		<-done
		if len(c.ended) != 1 || len(c.ended[0].Events()) != 0 {
			t.Errorf("%s: %d ended spans, want one without an event", name, len(c.ended))
		}
	}
}

// The stack trace is that of the caller: what is left out of comparisons.
func TestStackTraces(t *testing.T) {
	for name, provider := range recorders {
		c := &collector{}
		tracer := provider(unlimited(-1), &counter{}, origin, c).Tracer("test")
		_, span := tracer.Start(context.Background(), "span")
		span.RecordError(errors.New("x"), trace.WithStackTrace(true))
		endSpan{value: "text", how: panicking, options: options{stacks: []bool{true}}}.panics(span)
		events := c.ended[0].Events()
		if len(events) != 2 {
			t.Fatalf("%s: %d events", name, len(events))
		}
		for i, want := range []string{"TestStackTraces", "panics"} {
			kvs := events[i].Attributes
			stack := kvs[len(kvs)-1]
			if !isStack(stack) || !strings.Contains(stack.Value.AsString(), want) {
				t.Errorf("%s: event %d has %s, want a stack trace with %s", name, i, stack, want)
			}
		}
	}
}
