package record

import (
	"context"
	"fmt"
	"reflect"

	"go.opentelemetry.io/otel/trace"
)

// node is a context with a span. Contexts point to spans through it, and nothing
// else points to it: a span that is kept somewhere keeps no request alive.
type node struct {
	context.Context            //nolint:containedctx // it is a context
	span            trace.Span // *span or *unrecorded
}

// provider is the one that made the span.
func (n *node) provider() *TracerProvider {
	if s, ok := n.span.(*span); ok {
		return s.provider
	}
	return n.span.(*unrecorded).provider
}

// nearestKey asks a context for the nearest span of a provider, whatever spans of
// others lie before it.
type nearestKey struct{ provider *TracerProvider }

// spanKey is the key under which the API looks for a span in a context.
var spanKey = func() any {
	var p keyProbe
	trace.SpanFromContext(&p)
	return p.key
}()

// keyProbe is a context that remembers what it was asked for.
type keyProbe struct {
	context.Context //nolint:containedctx // never set
	key             any
}

func (p *keyProbe) Value(key any) any {
	p.key = key
	return nil
}

// Value loops over what is a node, as the standard library does over its own
// contexts: where each calls the next, a deep chain is slow.
func (n *node) Value(key any) any {
	nearest, isNearest := key.(nearestKey)
	for {
		if isNearest {
			if nearest.provider == n.provider() {
				return n.span
			}
		} else if key == spanKey {
			return n.span
		}
		next, ok := n.Context.(*node)
		if !ok {
			return n.Context.Value(key)
		}
		n = next
	}
}

// String is what the standard library would print: not the span, which changes
// while it is looked at.
func (n *node) String() string {
	parent := reflect.TypeOf(n.Context).String()
	if s, ok := n.Context.(fmt.Stringer); ok {
		parent = s.String()
	}
	return fmt.Sprintf("%s.WithValue(%T, %T)", parent, spanKey, n.span)
}
