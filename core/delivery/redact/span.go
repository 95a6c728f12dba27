package redact

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"
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
	v := altered.Of(s)
	res := r.resourceOf(v.Resource)
	inAttributes, inEvents, inLinks := r.inAttributes(v.Attributes), r.inEvents(v.Events), r.inLinks(v.Links)
	inScope := v.Scope.Attributes.Len() > 0 && r.inSet(&v.Scope.Attributes)
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
			v.Links[i].Attributes = r.attributes(v.Links[i].Attributes)
		}
	}
	if inScope {
		v.Scope.Attributes = attribute.NewSet(r.attributes(v.Scope.Attributes.ToSlice())...)
	}
	return altered.New(s, v)
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
