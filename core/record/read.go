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

// SpanContext identifies the span. It never changes.
func (s *span) SpanContext() trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: s.segment.traceID, SpanID: s.id, TraceFlags: s.flags, TraceState: s.traceState(),
	})
}

// traceState is that of the span's context.
func (s *span) traceState() trace.TraceState {
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
func (s *span) Parent() trace.SpanContext {
	switch {
	case s.parent != nil:
		return s.parent.SpanContext()
	case s.fixed&hasParent != 0:
		return s.rare.parent
	case s == &s.segment.root && s.segment.more != nil:
		return s.segment.more.parent
	default:
		return trace.SpanContext{}
	}
}

// Name returns the span's name.
func (s *span) Name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.name
}

// SpanKind returns the span's kind.
func (s *span) SpanKind() trace.SpanKind { return trace.SpanKind(s.fixed & kindBits) }

// StartTime returns when the span started.
func (s *span) StartTime() time.Time { return s.start }

// EndTime returns when the span ended, zero if it is open.
func (s *span) EndTime() time.Time {
	if !s.state.hasEnded() {
		return time.Time{}
	}
	return s.endTime()
}

// endTime is that of a span that has ended.
func (s *span) endTime() time.Time {
	if s.rare != nil && !s.rare.end.IsZero() {
		return s.rare.end
	}
	return s.start.Add(s.duration)
}

// Attributes returns the attributes, each key once. They belong to the span.
func (s *span) Attributes() []attribute.KeyValue {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order()
	return s.attrs[:len(s.attrs):len(s.attrs)]
}

// Links returns a copy of the links.
func (s *span) Links() []sdktrace.Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rare == nil || len(s.rare.links) == 0 {
		return []sdktrace.Link{}
	}
	return slices.Clone(s.rare.links)
}

// Events returns a copy of the events.
func (s *span) Events() []sdktrace.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rare == nil || len(s.rare.events) == 0 {
		return []sdktrace.Event{}
	}
	return slices.Clone(s.rare.events)
}

// Status returns the status.
func (s *span) Status() sdktrace.Status {
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
func (s *span) InstrumentationScope() instrumentation.Scope { return s.instrumentation }

// InstrumentationLibrary returns the same.
//
// Deprecated: it is here because the SDK's interface has it.
func (s *span) InstrumentationLibrary() instrumentation.Library { //nolint:staticcheck // see above
	return s.instrumentation
}

// Resource returns the provider's resource.
func (s *span) Resource() *resource.Resource { return s.provider.resource }

// DroppedAttributes counts attributes that were invalid or over the limit.
func (s *span) DroppedAttributes() int {
	return s.dropped(func(r *rare) int { return r.droppedAttrs })
}

// DroppedLinks counts links over the limit.
func (s *span) DroppedLinks() int { return s.dropped(func(r *rare) int { return r.droppedLinks }) }

// DroppedEvents counts events over the limit.
func (s *span) DroppedEvents() int { return s.dropped(func(r *rare) int { return r.droppedEvents }) }

func (s *span) dropped(of func(*rare) int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rare == nil {
		return 0
	}
	return of(s.rare)
}

// ChildSpanCount counts the spans that were started below this one while it was
// open.
func (s *span) ChildSpanCount() int {
	return int(s.state.Load() / oneChild)
}

// view is what exporters see of a span that was handed over: the same memory, with
// the context and the attributes that the decision gives it. The span has ended and
// does not change, but for the order of its attributes.
type view span

// decision is what the spans that were handed over together have in common.
type decision struct {
	threshold sampling.Threshold
	state     trace.TraceState // of the segment, with the threshold
	// Of the two spans that say what riffle has to say, the attributes with that.
	root, first           *span
	rootAttrs, firstAttrs []attribute.KeyValue
}

// stateOf is the tracestate of a span.
func (d *decision) stateOf(s *span) trace.TraceState {
	if s.fixed&hasState != 0 {
		return sampling.WithThreshold(s.rare.state, d.threshold)
	}
	return d.state
}

func (v *view) span() *span { return (*span)(v) }

// SpanContext has the sampled flag and the threshold of the decision.
func (v *view) SpanContext() trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    v.segment.traceID,
		SpanID:     v.id,
		TraceFlags: v.flags.WithSampled(true),
		TraceState: v.kept.stateOf(v.span()),
	})
}

// Attributes has those that riffle adds, which count in no limit.
func (v *view) Attributes() []attribute.KeyValue {
	switch s := v.span(); s {
	case v.kept.root:
		return v.kept.rootAttrs
	case v.kept.first:
		return v.kept.firstAttrs
	default:
		return s.Attributes()
	}
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

func (v *view) Parent() trace.SpanContext                       { return v.span().Parent() }
func (v *view) Name() string                                    { return v.name }
func (v *view) SpanKind() trace.SpanKind                        { return trace.SpanKind(v.fixed & kindBits) }
func (v *view) StartTime() time.Time                            { return v.start }
func (v *view) EndTime() time.Time                              { return v.span().endTime() }
func (v *view) Status() sdktrace.Status                         { return v.span().Status() }
func (v *view) InstrumentationScope() instrumentation.Scope     { return v.instrumentation }
func (v *view) InstrumentationLibrary() instrumentation.Library { return v.instrumentation } //nolint:staticcheck // the SDK's interface has it
func (v *view) Resource() *resource.Resource                    { return v.provider.resource }
func (v *view) DroppedAttributes() int                          { return v.span().DroppedAttributes() }
func (v *view) DroppedLinks() int                               { return v.span().DroppedLinks() }
func (v *view) DroppedEvents() int                              { return v.span().DroppedEvents() }
func (v *view) ChildSpanCount() int                             { return v.span().ChildSpanCount() }

// Interface guard.
var _ sdktrace.ReadOnlySpan = (*view)(nil)
