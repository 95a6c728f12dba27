package findings

import (
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
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

// Finding is something that is wrong, in one or many traces.
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

// Config is the thresholds. The zero value is none: start with [Defaults].
type Config struct {
	NPlusOne        struct{ MinCalls int }
	SequentialCalls struct {
		MinCalls int
		MinCost  component.Duration
	}
	SlowQuery        struct{ MinDuration component.Duration }
	SlowExternalCall struct{ MinDuration component.Duration }
	Retry            struct{ Storm int }
	Gap              struct {
		MinDuration component.Duration
		MinShare    float64
	}
	FanOut         struct{ MinConcurrent int }
	Chatty         struct{ MinCalls int }
	ClockSkew      struct{ MinSkew component.Duration }
	LargeAttribute struct{ MinSize component.Size }
	Examples       int
}

// Find returns what is wrong in spans, by cost, the highest first, and then by count.
// A trace that is there in parts is one; a span that is there twice counts once.
func Find(c Config, spans []sdktrace.ReadOnlySpan) []Finding { panic("findings: to be built") }

// Trace returns what is wrong in one trace, one finding for each time that it is
// found, with all of its spans. What takes several traces to be seen is not among it.
func Trace(c Config, spans []sdktrace.ReadOnlySpan) []Finding { panic("findings: to be built") }

// Across returns what takes several traces to be seen, like Trace.
func Across(c Config, spans []sdktrace.ReadOnlySpan) []Finding { panic("findings: to be built") }

// Merge aggregates what Trace and Across have returned: Find is both of them, merged.
func Merge(c Config, found []Finding) []Finding { panic("findings: to be built") }

// Defaults returns the thresholds that the package's documentation has.
func Defaults() Config { return Config{} }
