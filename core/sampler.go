package core

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Sampler is a component of the samplers list. It implements one or more of
// [StartSampler], [EndSampler] and [TraceSampler]; a built value with none of
// the three is an error. One that holds goroutines or connections also
// implements [Shutdowner].
type Sampler interface {
	// Description is one line that says what the sampler does, with its
	// settings: "ratio 1%". It is stable and safe to call concurrently.
	Description() string
}

// Shutdowner is what a component implements to release what it holds.
type Shutdowner interface {
	// Shutdown ends every goroutine of the component, bounded by ctx. It is
	// idempotent. After it, a sampler abstains.
	Shutdown(ctx context.Context) error
}

// Selective is a [Sampler] that says the same about every trace, so that only
// its entry's match can say which traces it is about.
type Selective interface {
	Sampler
	// NeedsMatch reports whether an entry without match is a mistake.
	NeedsMatch() bool
}

// StartSampler is asked once, when a local root starts.
type StartSampler interface {
	Sampler
	// SampleStart is called on the goroutine that starts the span, concurrently
	// with itself, and must return at once: no I/O, no waiting. It must neither
	// keep nor change what the parameters point to. Its answer must not depend
	// on the trace ID, which is why it is not told.
	SampleStart(p StartParameters) Answer
}

// Keyed is a [StartSampler] whose answer depends on nothing but these
// attributes, the span's name and its kind. Only such a sampler can be served
// by a plugin.
type Keyed interface {
	StartSampler
	// Keys lists the attributes the answer depends on; the same at every call.
	Keys() []attribute.Key
}

// Dropper is a [StartSampler] that declares drop rules. Only such a sampler
// is asked about a local root below a remote parent, and only a drop counts.
type Dropper interface {
	StartSampler
	// MayDrop reports whether there is any rule that can answer [Drop]; the
	// same at every call.
	MayDrop() bool
}

// Baseline is a [StartSampler] that can decide every trace, so that a list
// which ends in it leaves none undecided.
type Baseline interface {
	StartSampler
	// NeverAbstains reports whether every start gets an answer; the same at
	// every call.
	NeverAbstains() bool
}

// EndSampler is asked whenever a recorded span ends, whatever the start said
// short of drop. Its first answer that is not [Abstain] stands for the trace.
type EndSampler interface {
	Sampler
	// SampleEnd is called on the goroutine that ends the span, concurrently
	// with itself, and must return at once: no I/O, no waiting. It must not keep
	// the span. It answers [Abstain] or [At]; anything else counts as [Abstain].
	SampleEnd(p EndParameters) Answer
}

// Waiter is an [EndSampler] whose answer depends on how long a span takes.
type Waiter interface {
	EndSampler
	// LongestWait is the longest duration it waits for; the same at every call.
	// It must be below the time at which open traces are decided.
	LongestWait() time.Duration
}

// TraceSampler is asked once per complete or overdue trace, in batches, off
// the path of the spans.
type TraceSampler interface {
	Sampler
	// SampleTraces writes one answer per trace: answers has the length of
	// traces and arrives with every element [Abstain], so silence abstains.
	// [Drop] discards the trace whatever else was said. The call must return
	// when ctx is done; what it has not answered by then abstains. It is called
	// from one goroutine at a time and must not keep traces or answers.
	SampleTraces(ctx context.Context, traces []Trace, answers []Answer)
}

// StartParameters is what a [StartSampler] is told about a local root.
type StartParameters struct {
	// ParentContext is the context the span is started in; never nil. It is for
	// values such as baggage.
	ParentContext context.Context //nolint:containedctx // as in the SDK's parameters
	Name          string
	Kind          trace.SpanKind
	Attributes    []attribute.KeyValue
	Links         []trace.Link

	// traceID is for SDK samplers that stand in the list: their answers are
	// taken as of unknown probability.
	traceID trace.TraceID
}

// EndParameters is what an [EndSampler] is told about a span that ended, or,
// once, about a local root that is still open when its trace is overdue.
type EndParameters struct {
	Span sdktrace.ReadOnlySpan
	// LocalRoot tells that the span has no parent or a remote one.
	LocalRoot bool
	// Open tells that the span has not ended: its trace is overdue.
	Open bool
	// Duration is the span's duration, or its age if it is open.
	Duration time.Duration
	// Spans counts the spans of this trace that ended in this process so far,
	// this one included.
	Spans int
}

// Trace is what a [TraceSampler] is told about one trace of this process.
type Trace struct {
	TraceID trace.TraceID
	// Root is the first local root that ended; nil if none did.
	Root sdktrace.ReadOnlySpan
	// Spans are the spans that ended, in that order.
	Spans []sdktrace.ReadOnlySpan
	// Complete tells that no span is open; otherwise the trace is overdue.
	Complete bool
	// Threshold is the least of what others said so far.
	Threshold Threshold
}

type verdict uint8

const (
	abstain verdict = iota
	drop
	threshold
	selectedUnknown
	unselectedUnknown
)

// Answer is what a sampler says about a trace. The zero value abstains.
//
// It is as large as what the compiler keeps in registers. With one word more it
// would go through memory at each call.
type Answer struct {
	// said is the verdict, in the upper bits, and the threshold.
	said uint64

	// Reason says in a few words why, for people: "rule 3: GET /healthz". It
	// should be a string made when the sampler was built, not per span.
	Reason string

	attributes *[]attribute.KeyValue
}

const (
	thresholdBits = 60
	thresholdMask = 1<<thresholdBits - 1 // as a threshold it is Unknown
)

func say(v verdict, t Threshold) Answer {
	return Answer{said: uint64(v)<<thresholdBits | min(uint64(t), thresholdMask)}
}

func (a Answer) verdict() verdict { return verdict(a.said >> thresholdBits) }

func (a Answer) threshold() Threshold {
	if t := a.said & thresholdMask; t != thresholdMask {
		return Threshold(t)
	}
	return Unknown
}

// Abstain leaves the decision to others.
func Abstain() Answer { return Answer{} }

// Drop asks that neither the span nor anything below it be recorded (a
// [StartSampler]), or that the complete trace be discarded (a [TraceSampler]).
func Drop() Answer { return say(drop, Always) }

// At answers with a threshold: the trace is selected if its randomness
// reaches it. [Unknown] selects without a known probability.
func At(t Threshold) Answer { return say(threshold, t) }

// Selected keeps the trace with a probability that nobody knows; weighted
// figures leave it out. Only for a [StartSampler] that cannot answer [At].
func Selected() Answer { return say(selectedUnknown, Unknown) }

// Unselected does not select the trace, with a probability that nobody knows.
// Only for a [StartSampler] that cannot answer [At].
func Unselected() Answer { return say(unselectedUnknown, Unknown) }

// Because returns the answer with a reason.
func (a Answer) Because(reason string) Answer {
	a.Reason = reason
	return a
}

// WithAttributes returns the answer with attributes for the local root. Only a
// [StartSampler]'s are used. It allocates if there are any: make such answers when
// the sampler is built.
func (a Answer) WithAttributes(attrs ...attribute.KeyValue) Answer {
	a.attributes = nil
	if len(attrs) > 0 {
		kept := attrs // else the parameter would be allocated in any case
		a.attributes = &kept
	}
	return a
}

// Attributes are those for the local root.
func (a Answer) Attributes() []attribute.KeyValue {
	if a.attributes == nil {
		return nil
	}
	return *a.attributes
}

// IsAbstain reports whether the answer leaves the decision to others.
func (a Answer) IsAbstain() bool { return a.verdict() == abstain }

// IsDrop reports whether the answer is [Drop].
func (a Answer) IsDrop() bool { return a.verdict() == drop }

// Threshold returns the threshold of the answer, [Unknown] if it was given
// without one, and false if it abstains or drops.
func (a Answer) Threshold() (t Threshold, ok bool) {
	switch a.verdict() {
	case threshold, selectedUnknown, unselectedUnknown:
		return a.threshold(), true
	default:
		return Never, false
	}
}

// Selects reports whether a trace with this randomness is selected.
func (a Answer) Selects(randomness uint64) bool {
	switch a.verdict() {
	case threshold:
		return a.threshold() == Unknown || a.threshold().Selects(randomness)
	case selectedUnknown:
		return true
	default:
		return false
	}
}

// String says the answer and its reason.
func (a Answer) String() string {
	var s string
	switch a.verdict() {
	case drop:
		s = "drop"
	case threshold:
		s = "threshold " + a.threshold().String()
	case selectedUnknown:
		s = "selected, threshold unknown"
	case unselectedUnknown:
		s = "not selected, threshold unknown"
	default:
		s = "abstain"
	}
	if a.Reason != "" {
		s += ": " + a.Reason
	}
	return s
}
