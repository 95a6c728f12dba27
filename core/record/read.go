package record

import (
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// What follows reads a span, open or not. Each call sees the state of its moment.
// Processors are given it when the span has ended.

// SpanContext identifies the span. It never changes.
func (s *recorded) SpanContext() trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: s.segment.traceID, SpanID: s.id, TraceFlags: s.flags, TraceState: s.traceState(),
	})
}

// traceState is that of the span's context.
func (s *recorded) traceState() trace.TraceState {
	switch {
	case s.fixed&hasState != 0:
		return s.rare.state
	case s.fixed&saysAlways != 0:
		return s.segment.more.always
	default:
		return s.segment.state
	}
}

// Parent identifies the parent.
func (s *recorded) Parent() trace.SpanContext {
	switch {
	case s.fixed&hasParent == 0 && s.parent == nil:
		return trace.SpanContext{}
	case s.fixed&hasParent == 0:
		return s.parent.SpanContext()
	case s.isRoot():
		return s.segment.more.parent
	default:
		return s.rare.parent
	}
}

// Name returns the span's name.
func (s *recorded) Name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.name
}

// SpanKind returns the span's kind.
func (s *recorded) SpanKind() trace.SpanKind { return trace.SpanKind(s.fixed & kindBits) }

// StartTime returns when the span started.
func (s *recorded) StartTime() time.Time { return s.start }

// EndTime returns when the span ended, zero if it is open.
func (s *recorded) EndTime() time.Time {
	if !s.state.hasEnded() {
		return time.Time{}
	}
	return s.endTime()
}

// endTime is that of a span that has ended.
func (s *recorded) endTime() time.Time {
	if s.rare != nil && !s.rare.end.IsZero() {
		return s.rare.end
	}
	return s.start.Add(s.duration)
}

// Attributes returns the attributes, each key once. They belong to the span.
func (s *recorded) Attributes() []attribute.KeyValue {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order()
	if len(s.attrs) == 0 {
		return nil
	}
	return slices.Clip(s.attrs)
}

// Links returns a copy of the links.
func (s *recorded) Links() []sdktrace.Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rare == nil {
		return nil
	}
	return slices.Clone(s.rare.links)
}

// Events returns a copy of the events.
func (s *recorded) Events() []sdktrace.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rare == nil {
		return nil
	}
	return slices.Clone(s.rare.events)
}

// Status returns the status.
func (s *recorded) Status() sdktrace.Status {
	short := s.state.Load() & statusBits >> statusShift
	if short == uint32(codes.Unset) || short == uint32(codes.Ok) {
		return sdktrace.Status{Code: codes.Code(short)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rare == nil || s.rare.status.Code != s.code() {
		return sdktrace.Status{Code: s.code()}
	}
	return s.rare.status
}

// InstrumentationScope returns the scope of the tracer that started the span.
func (s *recorded) InstrumentationScope() instrumentation.Scope { return s.instrumentation }

// InstrumentationLibrary returns the same.
//
// Deprecated: it is here because the SDK's interface has it.
func (s *recorded) InstrumentationLibrary() instrumentation.Library {
	return s.instrumentation
}

// Resource returns the provider's resource.
func (s *recorded) Resource() *resource.Resource { return s.segment.rules().resource }

// DroppedAttributes counts attributes that were invalid or over the limit.
func (s *recorded) DroppedAttributes() int {
	return s.dropped(func(r *rare) int { return r.droppedAttrs })
}

// DroppedLinks counts links over the limit.
func (s *recorded) DroppedLinks() int { return s.dropped(func(r *rare) int { return r.droppedLinks }) }

// DroppedEvents counts events over the limit.
func (s *recorded) DroppedEvents() int {
	return s.dropped(func(r *rare) int { return r.droppedEvents })
}

func (s *recorded) dropped(of func(*rare) int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rare == nil {
		return 0
	}
	return of(s.rare)
}

// ChildSpanCount counts the spans that were started below this one while it was
// open.
func (s *recorded) ChildSpanCount() int {
	return int(s.state.Load() / oneChild)
}

// view is what exporters see of a span that was handed over: the same memory, with
// the context and the attributes that the decision gives it. The span has ended and
// does not change, but for the order of its attributes.
type view recorded

// decision is what spans that were handed over have in common.
type decision struct {
	threshold sampling.Threshold
	state     trace.TraceState // of the segment, with the threshold
	sampler   string
	rule      *string // of the sampler; nil if it has none
	resource  *resource.Resource
	lost      int32
	partial   bool // the segment was not complete, or spans of it were lost
	missing   bool // the local root's parent is nowhere
	// The two spans that say so, nil if that is none; a local root says it first. What
	// they say is made when somebody wants it, guarded by the span.
	root, first           *recorded
	rootWords, firstWords []attribute.KeyValue
}

// stateOf is the tracestate of a span.
func (d *decision) stateOf(s *recorded) trace.TraceState {
	if s.fixed&hasState != 0 {
		return sampling.WithThreshold(s.rare.state, d.threshold)
	}
	return d.state
}

func (v *view) recorded() *recorded { return (*recorded)(v) }

// SpanContext has the sampled flag and the threshold of the decision.
func (v *view) SpanContext() trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    v.segment.traceID,
		SpanID:     v.id,
		TraceFlags: v.flags.WithSampled(true),
		TraceState: v.kept.stateOf(v.recorded()),
	})
}

// Attributes has those that riffle adds, which count in no limit.
func (v *view) Attributes() []attribute.KeyValue {
	s := v.recorded()
	s.mu.Lock()
	defer s.mu.Unlock()
	return v.merged()
}

func (v *view) merged() []attribute.KeyValue {
	all := v.recorded().orderWith(v.words())
	if len(all) == 0 {
		return nil
	}
	return slices.Clip(all)
}

// AttributePieces returns the same attributes as the span holds them, each key in one of
// the slices: for who reads them once, it is not worth to make one slice of them.
func (v *view) AttributePieces() (pieces [3][]attribute.KeyValue) {
	s := v.recorded()
	s.mu.Lock()
	defer s.mu.Unlock()
	words := v.words()
	if !s.keysAreOnce() || holdAnyOf(s.attrs, words) || holdAnyOf(s.late, words) {
		pieces[0] = v.merged()
		return pieces
	}
	return [3][]attribute.KeyValue{s.attrs, s.late, words}
}

// words are the attributes that riffle adds to the span.
func (v *view) words() []attribute.KeyValue {
	s, d := v.recorded(), v.kept
	var made *[]attribute.KeyValue
	switch s {
	case d.root:
		made = &d.rootWords
	case d.first:
		made = &d.firstWords
	default:
		return nil
	}
	if *made == nil {
		*made = d.attributes(s == d.root)
	}
	return *made
}

// attributes are what riffle has to say on a local root, or on the first span.
func (d *decision) attributes(root bool) []attribute.KeyValue {
	var attrs [5]attribute.KeyValue
	n := 0
	add := func(kv attribute.KeyValue) {
		attrs[n] = kv
		n++
	}
	if d.partial {
		add(sampling.PartialKey.Bool(true))
		if d.lost > 0 {
			add(sampling.SpansForgottenKey.Int(int(d.lost)))
		}
	}
	if root && d.sampler != "" {
		add(sampling.SamplerKey.String(d.sampler))
		if d.rule != nil {
			add(sampling.RuleKey.String(*d.rule))
		}
	}
	if root && d.missing {
		add(sampling.ParentMissingKey.Bool(true))
	}
	return append(make([]attribute.KeyValue, 0, n), attrs[:n]...)
}

// Links returns the links, nil if there are none.
func (v *view) Links() []sdktrace.Link {
	if v.rare == nil {
		return nil
	}
	return v.rare.links
}

// Events returns the events, nil if there are none.
func (v *view) Events() []sdktrace.Event {
	if v.rare == nil {
		return nil
	}
	return v.rare.events
}

// The rest reads what does not change any more, without a lock.

func (v *view) Parent() trace.SpanContext                       { return v.recorded().Parent() }
func (v *view) Name() string                                    { return v.name }
func (v *view) SpanKind() trace.SpanKind                        { return trace.SpanKind(v.fixed & kindBits) }
func (v *view) StartTime() time.Time                            { return v.start }
func (v *view) EndTime() time.Time                              { return v.recorded().endTime() }
func (v *view) Status() sdktrace.Status                         { return v.recorded().Status() }
func (v *view) InstrumentationScope() instrumentation.Scope     { return v.instrumentation }
func (v *view) InstrumentationLibrary() instrumentation.Library { return v.instrumentation } //nolint:staticcheck // the SDK's interface has it
func (v *view) Resource() *resource.Resource                    { return v.kept.resource }
func (v *view) DroppedAttributes() int                          { return v.recorded().DroppedAttributes() }

func (v *view) DroppedLinks() int { return v.recorded().DroppedLinks() }

func (v *view) DroppedEvents() int { return v.recorded().DroppedEvents() }

// MemorySize is how many bytes the span holds.
func (v *view) MemorySize() int64 { return v.recorded().size() }

func (v *view) ChildSpanCount() int { return v.recorded().ChildSpanCount() }

// The application's span has the methods of both.

// SpanContext identifies the span. It never changes.
func (s *span) SpanContext() trace.SpanContext { return s.recorded.SpanContext() }

// Links returns a copy of the links, empty if there are none.
func (s *span) Links() []sdktrace.Link { return append([]sdktrace.Link{}, s.recorded.Links()...) }

// Events returns a copy of the events, empty if there are none.
func (s *span) Events() []sdktrace.Event { return append([]sdktrace.Event{}, s.recorded.Events()...) }

// Interface guards.
var (
	_ sdktrace.ReadOnlySpan = (*recorded)(nil)
	_ sdktrace.ReadOnlySpan = (*view)(nil)
)
