package redact

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery/internal/altered"
)

// Span returns s without what the rules take out: s itself if that is nothing. s
// does not change.
func (r *Redactor) Span(s sdktrace.ReadOnlySpan) sdktrace.ReadOnlySpan {
	if r == nil {
		return s
	}
	s = r.contexts(s)
	v := altered.Of(s)
	res := r.resourceOf(v.Resource)
	inAttributes, inEvents, inLinks, inScope := r.inAttributes(v.Attributes), r.inEvents(v.Events), r.inLinks(v.Links), r.inScope(&v.Scope)
	if !inAttributes && !inEvents && !inLinks && !inScope && res == v.Resource &&
		!r.inText(v.Name, r.free) && !r.inText(v.Status.Description, r.free) {
		return s
	}
	v.Name, v.Status.Description, v.Resource = r.text(v.Name), r.text(v.Status.Description), res
	if inAttributes {
		v.Attributes = r.attributes(v.Attributes)
	}
	if inEvents {
		v.Events = slices.Clone(v.Events)
		for i := range v.Events {
			e := &v.Events[i]
			e.Name, e.Attributes = r.text(e.Name), r.attributes(e.Attributes)
		}
	}
	if inLinks {
		v.Links = slices.Clone(v.Links)
		for i := range v.Links {
			l := &v.Links[i]
			l.Attributes = r.attributes(l.Attributes)
			if ts := l.SpanContext.TraceState(); r.inTraceState(ts) {
				l.SpanContext = l.SpanContext.WithTraceState(r.traceState(ts))
			}
		}
	}
	if inScope {
		v.Scope.Name, v.Scope.Version, v.Scope.SchemaURL = r.text(v.Scope.Name), r.text(v.Scope.Version), r.text(v.Scope.SchemaURL)
		v.Scope.Attributes = attribute.NewSet(r.attributes(v.Scope.Attributes.ToSlice())...)
	}
	return altered.New(s, v)
}

// contexts returns a span without what the rules take out of its tracestate and its
// parent's.
func (r *Redactor) contexts(s sdktrace.ReadOnlySpan) sdktrace.ReadOnlySpan {
	own, parent := s.SpanContext(), s.Parent()
	inOwn, inParent := r.inTraceState(own.TraceState()), r.inTraceState(parent.TraceState())
	if !inOwn && !inParent {
		return s
	}
	return altered.WithContexts(s, own.WithTraceState(r.traceState(own.TraceState())), parent.WithTraceState(r.traceState(parent.TraceState())))
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
		if r.inAttributes(links[i].Attributes) || r.inTraceState(links[i].SpanContext.TraceState()) {
			return true
		}
	}
	return false
}

func (r *Redactor) inScope(s *instrumentation.Scope) bool {
	return r.inText(s.Name, r.free) || r.inText(s.Version, r.free) || r.inText(s.SchemaURL, r.free) ||
		s.Attributes.Len() > 0 && r.inSet(&s.Attributes)
}

// resourceOf returns a span's resource without what the rules take out. A
// process has one, so that the last is remembered.
func (r *Redactor) resourceOf(from *resource.Resource) *resource.Resource {
	if last := r.resource.Load(); last != nil && last.from == from {
		return last.to
	}
	to := from
	if from != nil && (r.inText(from.SchemaURL(), r.free) || from.Len() > 0 && r.inSet(from.Set())) {
		to = resource.NewWithAttributes(r.text(from.SchemaURL()), r.attributes(from.Attributes())...)
	}
	r.resource.Store(&redactedResource{from, to})
	return to
}
