package sampling

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
)

// Samplers is the default registry of samplers. Packages of samplers add to it in
// init; every API that reads it also takes another.
var Samplers = NewSamplers()

// NewSamplers returns an empty registry of samplers.
func NewSamplers() *component.Registry[Sampler] {
	return component.NewRegistry[Sampler]("sampler", "match", "limit", "sample")
}

// Sampler is a component of the samplers list. It implements one or more of
// [StartSampler], [EndSampler] and [SegmentSampler]; a built value with none of
// the three is an error. One that holds goroutines or connections also
// implements [component.Shutdowner].
type Sampler interface {
	// Traits says what the host must know of the sampler. It is safe to call
	// concurrently and says the same at every call.
	Traits() Traits
}

// Traits is what the host must know of a [Sampler]. The zero value promises
// nothing, and is right for a sampler that needs nothing but to be asked.
type Traits struct {
	// Description is one line that says what the sampler does, with its settings:
	// "ratio 1%".
	Description string

	// NeedsMatch tells that the sampler says the same about every trace, so that
	// an entry without match is a mistake.
	NeedsMatch bool
	// NeedsSample tells that the sampler says no share of its own, so that an entry
	// without sample is a mistake. One that answers at the start answers [At] with
	// [Always] then, and the host makes of it what sample says: a share, or [Drop].
	NeedsSample bool

	// IgnoresSample tells that there is no share in what the sampler does, so that an
	// entry with sample is a mistake.
	IgnoresSample bool

	// Keyed tells that the answer of a [StartSampler] depends on nothing but the
	// attributes in Keys, the span's name and its kind: not on whether there is a
	// remote parent. Only such a sampler can be served by a plugin. Where the answer does not depend on the name, or the
	// kind, IgnoresName or IgnoresKind makes for fewer leases.
	Keyed       bool
	Keys        []attribute.Key
	IgnoresName bool
	IgnoresKind bool
	// MayDrop tells that a [StartSampler] has drop rules: it can answer [Drop]. Under
	// remote_parent: watch, only such a sampler is asked about a local root below a
	// remote parent, and only a drop counts.
	MayDrop bool
	// AlwaysAnswers tells that a [StartSampler] never abstains, or an [EndSampler] not
	// about a local root, so that a list that ends in it leaves no trace undecided.
	AlwaysAnswers bool
	// SeesCancellation tells that an [EndSampler] looks at [EndParameters.Canceled], for
	// which the context of each local root is kept until that ends.
	SeesCancellation bool

	// LongestWait is the longest duration of a span that an [EndSampler] waits for
	// before it answers; 0 if its answer does not depend on durations. It must be
	// below the time at which open segments are decided. LongestWaitPath is the key
	// of the entry that set it: "threshold", "routes[2].threshold".
	LongestWait     time.Duration
	LongestWaitPath string

	// RootOnly tells that a [SegmentSampler] needs nothing of a segment but its
	// root: name, kind, status, duration, and the attributes in RootKeys. One that
	// a plugin serves then gets segments without Spans.
	RootOnly bool
	RootKeys []attribute.Key
	// NeverRaises tells that a [SegmentSampler] never answers [AtMost], so that a
	// segment of which somebody said threshold 0 need not wait for it.
	NeverRaises bool
}

// StartSampler is asked once, when a local root starts.
type StartSampler interface {
	Sampler
	// SampleStart is called on the goroutine that starts the span, concurrently
	// with itself, and must return at once: no I/O, no waiting. It must neither
	// keep nor change what the parameters point to. Its answer must not depend
	// on the trace ID, which is why it is not told.
	//
	// The host times a sample of the calls. A sampler that panics, or of which three
	// timed calls within two seconds, and a quarter of them, take over 1 ms, abstains
	// for 30 s without being asked; that is logged and counted. [AtMost] counts as
	// [Abstain], and so does [ByParent] where the parameters tell of no remote parent.
	SampleStart(p StartParameters) Answer
}

// Preparer is for a [StartSampler] whose SampleStart knows only what was asked
// before, in the background. It is for tools that explain; never called for a span.
type Preparer interface {
	// Prepare asks what SampleStart needs to know about such a start, and returns
	// when it is known. It may wait, at most until ctx is done, and is called
	// concurrently with everything else; after Shutdown it returns an error. It must
	// not keep what the parameters point to.
	Prepare(ctx context.Context, p StartParameters) error
}

// EndSampler is asked whenever a recorded span ends, whatever the start said
// short of drop. Its first answer that is not [Abstain] stands for the segment.
type EndSampler interface {
	Sampler
	// SampleEnd is called on the goroutine that ends the span, concurrently
	// with itself, and must return at once: no I/O, no waiting. It must not keep
	// the spans. It answers [Abstain] or [At]; anything else counts as [Abstain].
	//
	// About a local root that is still open it is called on the host's goroutine,
	// while the application may change the span: its methods are safe for that,
	// and each call sees the state of its moment.
	//
	// One that panics or is slow is treated as a [StartSampler] is.
	SampleEnd(p EndParameters) Answer
}

// RuleUser is for a [Sampler] with rules: it tells which of them meet requests, so that
// one that never does is seen.
type RuleUser interface {
	// RulesUsed calls use with every rule, named as in [Answer.WithRule], and whether it
	// has met a request since the last call. It is called by one goroutine at a time,
	// concurrently with everything else.
	RulesUsed(use func(rule string, used bool))
}

// SegmentSampler is asked once per complete or overdue segment, in batches, off
// the path of the spans.
type SegmentSampler interface {
	Sampler
	// SampleSegments writes one answer per segment: answers has the length of
	// segments and arrives with every element [Abstain], so silence abstains. It
	// answers [Abstain], [At] or [AtMost]; anything else counts as [Abstain]. The
	// call must return when ctx is done; what it has not answered by then abstains.
	// It is called from one goroutine at a time and must not keep segments or
	// answers.
	//
	// A batch has at most 128 segments, maybe several of one trace, and ctx ends
	// after 1 s. A sampler that has not returned 100 ms later, or that panics,
	// abstains for 30 s, logged and counted, and is not asked again before that
	// call has returned. Spans of a segment that is not complete may be those of
	// goroutines that still run, but each of them has ended and does not change.
	SampleSegments(ctx context.Context, segments []Segment, answers []Answer)
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
	// RemoteParent tells that the local root is below a remote parent whose decision
	// counts, so that [ByParent] is an answer. It is so only under remote_parent: ask.
	// What that decision is depends on the randomness of the trace: it is not told.
	RemoteParent bool

	// traceID is for SDK samplers that stand in the list: their answers are
	// taken as of unknown probability.
	traceID trace.TraceID
}

// NewStartParameters is for hosts: what a start sampler is told about the local
// root that the SDK describes.
func NewStartParameters(p *sdktrace.SamplingParameters) StartParameters {
	return StartParameters{
		ParentContext: p.ParentContext,
		Name:          p.Name,
		Kind:          p.Kind,
		Attributes:    p.Attributes,
		Links:         p.Links,
		traceID:       p.TraceID,
	}
}

// EndParameters is what an [EndSampler] is told about a span that ended, or,
// once, about a local root that is still open when its segment is overdue.
type EndParameters struct {
	Span sdktrace.ReadOnlySpan
	// Root is the local root of the span's segment, the span itself if it is one.
	// It may be open and change: its methods are safe for that.
	Root sdktrace.ReadOnlySpan
	// Resource is what the spans' resource is; never nil.
	Resource *resource.Resource
	// LocalRoot tells that the span is the local root.
	LocalRoot bool
	// Open tells that the span has not ended: its segment is overdue.
	Open bool
	// Panicked tells that a panic ended the span.
	Panicked bool
	// Canceled tells that the context in which the local root started, that of the
	// request, was canceled when the span ended, or that the last error which the span
	// has recorded wraps [context.Canceled]. Only for who says [Traits.SeesCancellation].
	Canceled bool
	// Duration is the span's duration, or its age if it is open.
	Duration time.Duration
	// Spans counts the spans of the segment that ended so far, this one included.
	Spans int
}

// Segment is what a [SegmentSampler] is told about one segment: a local root and
// what is below it in this process. A trace has one here, or several.
type Segment struct {
	TraceID trace.TraceID
	// Root is the local root; nil if it has not ended.
	Root sdktrace.ReadOnlySpan
	// Spans are the spans that ended, in that order.
	Spans []sdktrace.ReadOnlySpan
	// Complete tells that no span is open; otherwise the segment is overdue.
	Complete bool
	// Threshold is the least of what others said so far, whether or not it selects
	// the segment: [Never] if nobody said any, [Unknown] if somebody selects without.
	Threshold Threshold
}
