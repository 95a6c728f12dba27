package otlp

import (
	"cmp"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// place says where a span belongs in a request. Resources and scopes are
// numbered in the order in which they were first seen.
type place struct {
	resource, scope, span int32
}

type resourceKey struct {
	attributes attribute.Distinct
	schemaURL  string
}

type scopeKey struct {
	resource int32
	scope    instrumentation.Scope
}

// grouping holds what AppendRequest needs to bring spans into order.
type grouping struct {
	places    []place
	resources map[resourceKey]int32
	scopes    map[scopeKey]int32
}

var groupings = sync.Pool{New: func() any {
	return &grouping{resources: map[resourceKey]int32{}, scopes: map[scopeKey]int32{}}
}}

// release gives g back for another use. It holds on to nothing of the spans.
func (g *grouping) release() {
	g.places = g.places[:0]
	clear(g.resources)
	clear(g.scopes)
	groupings.Put(g)
}

// place returns the places of the spans that are not nil, those of one resource
// and one scope next to each other. They are valid until release.
func (g *grouping) place(spans []sdktrace.ReadOnlySpan) []place {
	var (
		lastResource *resource.Resource
		last         scopeKey
		at           place
	)
	for i, s := range spans {
		if s == nil {
			continue
		}
		// Most spans have the resource and scope of the one before.
		first := len(g.places) == 0
		if res := s.Resource(); first || res != lastResource {
			lastResource = res
			at.resource = number(g.resources, resourceKey{res.Equivalent(), res.SchemaURL()})
		}
		if key := (scopeKey{at.resource, s.InstrumentationScope()}); first || key != last {
			last = key
			at.scope = number(g.scopes, key)
		}
		at.span = int32(i) //nolint:gosec // no slice of spans is that long
		g.places = append(g.places, at)
	}
	slices.SortFunc(g.places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.resource, b.resource), cmp.Compare(a.scope, b.scope), cmp.Compare(a.span, b.span))
	})
	return g.places
}

// number returns the number of k, giving it the next one if it is new.
func number[K comparable](m map[K]int32, k K) int32 {
	n, ok := m[k]
	if !ok {
		n = int32(len(m)) //nolint:gosec // no more than there are spans
		m[k] = n
	}
	return n
}

// cut splits places after the last one that agrees with the first.
func cut(places []place, group func(place) int32) (same, rest []place) {
	n := 1
	for n < len(places) && group(places[n]) == group(places[0]) {
		n++
	}
	return places[:n], places[n:]
}
