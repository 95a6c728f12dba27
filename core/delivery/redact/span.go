package redact

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// span is a span without what was taken out of it.
type span struct {
	sdktrace.ReadOnlySpan
	name       string
	attributes []attribute.KeyValue
	events     []sdktrace.Event
	links      []sdktrace.Link
	status     sdktrace.Status
	resource   *resource.Resource
	scope      instrumentation.Scope
}

func (s *span) Name() string                                { return s.name }
func (s *span) Attributes() []attribute.KeyValue            { return s.attributes }
func (s *span) Events() []sdktrace.Event                    { return s.events }
func (s *span) Links() []sdktrace.Link                      { return s.links }
func (s *span) Status() sdktrace.Status                     { return s.status }
func (s *span) Resource() *resource.Resource                { return s.resource }
func (s *span) InstrumentationScope() instrumentation.Scope { return s.scope }

// InstrumentationLibrary is the old name of InstrumentationScope.
func (s *span) InstrumentationLibrary() instrumentation.Library { //nolint:staticcheck // deprecated, but a part of the interface
	return s.scope
}

// Span returns s without what the rules take out: s itself if that is nothing. s
// does not change.
func (r *Redactor) Span(s sdktrace.ReadOnlySpan) sdktrace.ReadOnlySpan {
	if r == nil {
		return s
	}
	attrs, events, links := s.Attributes(), s.Events(), s.Links()
	from, scope, status := s.Resource(), s.InstrumentationScope(), s.Status()
	res := r.resourceOf(from)
	inAttributes, inEvents, inLinks := r.inAttributes(attrs), r.inEvents(events), r.inLinks(links)
	inScope := scope.Attributes.Len() > 0 && r.inSet(&scope.Attributes)
	if !inAttributes && !inEvents && !inLinks && !inScope && res == from &&
		!r.inText(s.Name(), r.free) && !r.inText(status.Description, r.free) {
		return s
	}
	status.Description = r.text(status.Description)
	left := &span{s, r.text(s.Name()), attrs, events, links, status, res, scope}
	if inAttributes {
		left.attributes = r.attributes(attrs)
	}
	if inEvents {
		left.events = slices.Clone(events)
		for i := range left.events {
			e := &left.events[i]
			e.Name, e.Attributes = r.text(e.Name), r.attributes(e.Attributes)
		}
	}
	if inLinks {
		left.links = slices.Clone(links)
		for i := range left.links {
			left.links[i].Attributes = r.attributes(left.links[i].Attributes)
		}
	}
	if inScope {
		left.scope.Attributes = attribute.NewSet(r.attributes(scope.Attributes.ToSlice())...)
	}
	return left
}

func (r *Redactor) inEvents(events []sdktrace.Event) bool {
	for i := range events {
		if r.inText(events[i].Name, r.free) || r.inAttributes(events[i].Attributes) {
			return true
		}
	}
	return false
}

func (r *Redactor) inLinks(links []sdktrace.Link) bool {
	for i := range links {
		if r.inAttributes(links[i].Attributes) {
			return true
		}
	}
	return false
}

func (r *Redactor) inSet(set *attribute.Set) bool {
	for it := set.Iter(); it.Next(); {
		if kv := it.Attribute(); r.inValue(&kv.Value, r.about(kv.Key)) {
			return true
		}
	}
	return false
}

// resourceOf returns a span's resource without what the rules take out. A
// process has one, so that the last is remembered.
func (r *Redactor) resourceOf(from *resource.Resource) *resource.Resource {
	if last := r.resource.Load(); last != nil && last.from == from {
		return last.to
	}
	to := from
	if from.Len() > 0 && r.inSet(from.Set()) {
		to = resource.NewWithAttributes(from.SchemaURL(), r.attributes(from.Attributes())...)
	}
	r.resource.Store(&redactedResource{from, to})
	return to
}
