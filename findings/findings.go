package findings

import (
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Kind is what is wrong.
type Kind string

// The kinds; the package's documentation says what each means.
const (
	NPlusOne         Kind = "n_plus_one"
	SequentialCalls  Kind = "sequential_calls"
	SlowQuery        Kind = "slow_query"
	SlowExternalCall Kind = "slow_external_call"
	ErrorOrigin      Kind = "error_origin"
	Retry            Kind = "retry"
	Gap              Kind = "gap"
	FanOut           Kind = "fan_out"
	Chatty           Kind = "chatty"
	UnendedSpan      Kind = "unended_span"
	ClockSkew        Kind = "clock_skew"
	MissingParent    Kind = "missing_parent"
	LargeAttribute   Kind = "large_attribute"
)

// Kinds returns all kinds, in the order of the documentation.
func Kinds() []Kind {
	return []Kind{
		NPlusOne, SequentialCalls, SlowQuery, SlowExternalCall, ErrorOrigin, Retry, Gap,
		FanOut, Chatty, UnendedSpan, ClockSkew, MissingParent, LargeAttribute,
	}
}

// Doc is a line about the kind.
func (k Kind) Doc() string {
	switch k {
	case NPlusOne:
		return "the same query again and again, one after another"
	case SequentialCalls:
		return "calls in a row that could run side by side"
	case SlowQuery:
		return "a query that takes long"
	case SlowExternalCall:
		return "a call that takes long, into what is not traced"
	case ErrorOrigin:
		return "where an error begins that others pass on"
	case Retry:
		return "the same call again after it failed"
	case Gap:
		return "time of a span in none of its children"
	case FanOut:
		return "many calls at once"
	case Chatty:
		return "many calls to one service in one request"
	case UnendedSpan:
		return "a span without an end"
	case ClockSkew:
		return "the clocks of two machines differ"
	case MissingParent:
		return "a span whose parent is not there"
	case LargeAttribute:
		return "a long text in an attribute"
	}
	return ""
}

// Finding is something that is wrong, in one or many traces. All of its texts are those
// of spans, or made of them: they are not to be trusted.
type Finding struct {
	Kind Kind `json:"kind"`
	// Service and Operation are where: service.name, and the name of the span, the
	// shape of the statement or the target of the call, by kind.
	Service   string `json:"service"`
	Operation string `json:"operation"`
	// Traces and Spans are examples, those of the highest cost first: at most
	// [Config.Examples] of each. Spans are those of the first trace that the finding is
	// about, in the order of their starts.
	Traces []string `json:"traces"`
	Spans  []string `json:"spans"`
	// Count is how often it was found and CostMS the time lost by it in milliseconds,
	// both with the weights of the spans.
	Count  float64 `json:"count"`
	CostMS float64 `json:"cost_ms"`
	// Advice is a sentence or two: what was seen, with figures, and what to do.
	Advice string `json:"advice"`
}

// Find returns what is wrong in spans, by cost, the highest first, and then by count.
// A trace that is there in parts is one; a span that is there twice counts once.
func Find(c Config, spans []sdktrace.ReadOnlySpan) []Finding {
	m := newMerger(c)
	a := newAnalysis(c, m.add)
	for id, all := range byTrace(spans) {
		t := a.plant(id, all)
		t.inspect()
		t.collect()
	}
	a.across()
	return m.findings()
}

// Trace returns what is wrong in one trace, one finding for each time that it is
// found, with all of its spans. What takes several traces to be seen is not among it.
func Trace(c Config, spans []sdktrace.ReadOnlySpan) []Finding {
	found := []Finding{}
	a := newAnalysis(c, func(f *Finding, _ string, fill func(*Finding)) {
		fill(f)
		found = append(found, *f)
	})
	for id, all := range byTrace(spans) {
		a.plant(id, all).inspect()
	}
	sortFindings(found)
	return found
}

// Across returns what takes several traces to be seen, like Trace.
func Across(c Config, spans []sdktrace.ReadOnlySpan) []Finding {
	found := []Finding{}
	a := newAnalysis(c, func(f *Finding, _ string, fill func(*Finding)) {
		fill(f)
		found = append(found, *f)
	})
	for id, all := range byTrace(spans) {
		a.plant(id, all).collect()
	}
	a.across()
	sortFindings(found)
	return found
}

// Merge aggregates what Trace and Across have returned: Find is both of them, merged.
func Merge(c Config, found []Finding) []Finding {
	m := newMerger(c)
	for i := range found {
		f := found[i]
		trace := ""
		if len(f.Traces) > 0 {
			trace = f.Traces[0]
		}
		m.add(&f, trace, func(*Finding) {})
	}
	return m.findings()
}

// byTrace gives the spans of each trace, in the order of the first of each.
func byTrace(spans []sdktrace.ReadOnlySpan) func(func(trace.TraceID, []sdktrace.ReadOnlySpan) bool) {
	index := map[trace.TraceID]int{}
	var ids []trace.TraceID
	var ends []int // first the number of spans of each, then where they end
	of := make([]int32, len(spans))
	for i, s := range spans {
		if s == nil {
			of[i] = -1
			continue
		}
		id := s.SpanContext().TraceID()
		at, ok := index[id]
		if !ok {
			at = len(ids)
			index[id] = at
			ids = append(ids, id)
			ends = append(ends, 0)
		}
		ends[at]++
		of[i] = int32(at)
	}
	begin, total := make([]int, len(ids)), 0
	for at, n := range ends {
		begin[at] = total
		ends[at] = total
		total += n
	}
	sorted := make([]sdktrace.ReadOnlySpan, total)
	for i, at := range of {
		if at >= 0 {
			sorted[ends[at]] = spans[i]
			ends[at]++
		}
	}
	return func(yield func(trace.TraceID, []sdktrace.ReadOnlySpan) bool) {
		for at, id := range ids {
			if !yield(id, sorted[begin[at]:ends[at]]) {
				return
			}
		}
	}
}
