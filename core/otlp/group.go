package otlp

import (
	"iter"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// grouping is the spans of one request by resource and scope, found in time
// linear in their number. All are told by index: spans by that in the request,
// resources and scopes by that of first sight.
type grouping struct {
	resources []node[*resource.Resource]
	scopes    []node[instrumentation.Scope]

	// Linked lists: of the scopes of a resource and of the spans of a scope.
	nextScope, nextSpan []int

	resourceIndex map[resourceKey]int
	scopeIndex    map[scopeKey]int
}

// node is a resource or a scope with the ends of the list of its members.
type node[T any] struct {
	value       T
	first, last int
}

const none = -1

// Sets of attributes are found by their hash, which has no seed: who chooses values
// can make two sets with one. Hence they are compared too, and others counts those
// of that hash which were there before.
type resourceKey struct {
	attributes attribute.Distinct
	schemaURL  string
	others     int
}

type scopeKey struct {
	resource                 int
	name, version, schemaURL string
	attributes               attribute.Distinct
	others                   int
}

var groupings = sync.Pool{New: func() any {
	return &grouping{resourceIndex: map[resourceKey]int{}, scopeIndex: map[scopeKey]int{}}
}}

// group groups the spans that are not nil. Whoever calls it calls release.
func group(spans []sdktrace.ReadOnlySpan) *grouping {
	g := groupings.Get().(*grouping)
	r, sc := none, none
	var last scopeKey
	for i, s := range spans {
		g.nextSpan = append(g.nextSpan, none)
		if s == nil {
			continue
		}
		// Most spans share both with the one before, which saves the maps.
		res, scope := s.Resource(), s.InstrumentationScope()
		if r == none || res != g.resources[r].value {
			r = g.resource(res)
		}
		key := scopeKey{r, scope.Name, scope.Version, scope.SchemaURL, scope.Attributes.Equivalent(), 0}
		if sc == none || key != last || scope.Attributes != g.scopes[sc].value.Attributes {
			sc, last = g.scope(key, scope), key
		}
		g.scopes[sc].add(i, g.nextSpan)
	}
	return g
}

// release gives g back for another request. It holds on to nothing of the spans.
func (g *grouping) release() {
	clear(g.resources)
	clear(g.scopes)
	clear(g.resourceIndex)
	clear(g.scopeIndex)
	g.resources, g.scopes = g.resources[:0], g.scopes[:0]
	g.nextScope, g.nextSpan = g.nextScope[:0], g.nextSpan[:0]
	groupings.Put(g)
}

func (g *grouping) scopesOf(r int) iter.Seq[int] { return g.resources[r].members(g.nextScope) }
func (g *grouping) spansOf(sc int) iter.Seq[int] { return g.scopes[sc].members(g.nextSpan) }

func (g *grouping) resource(res *resource.Resource) int {
	key := resourceKey{res.Equivalent(), res.SchemaURL(), 0}
	for ; ; key.others++ {
		r, ok := g.resourceIndex[key]
		switch {
		case !ok:
			r = len(g.resources)
			g.resourceIndex[key] = r
			g.resources = append(g.resources, node[*resource.Resource]{res, none, none})
			return r
		case *res.Set() == *g.resources[r].value.Set():
			return r
		}
	}
}

func (g *grouping) scope(key scopeKey, scope instrumentation.Scope) int {
	for ; ; key.others++ {
		sc, ok := g.scopeIndex[key]
		switch {
		case !ok:
			sc = len(g.scopes)
			g.scopeIndex[key] = sc
			g.scopes = append(g.scopes, node[instrumentation.Scope]{scope, none, none})
			g.nextScope = append(g.nextScope, none)
			g.resources[key.resource].add(sc, g.nextScope)
			return sc
		case scope.Attributes == g.scopes[sc].value.Attributes:
			return sc
		}
	}
}

func (n *node[T]) add(i int, next []int) {
	if n.first == none {
		n.first = i
	} else {
		next[n.last] = i
	}
	n.last = i
}

func (n *node[T]) members(next []int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := n.first; i != none && yield(i); i = next[i] {
		}
	}
}
