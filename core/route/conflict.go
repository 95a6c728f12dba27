package route

import (
	"maps"
	"slices"
)

// relation is what a new pattern is to an older one with which it has requests
// in common.
type relation uint8

const (
	same         relation = 0
	moreSpecific relation = 1 // the older one matches some that the new one does not
	moreGeneral  relation = 2 // the new one matches some that the older one does not
	overlap               = moreSpecific | moreGeneral
)

// conflicts tells that neither of the two wins.
func (r relation) conflicts() bool { return r == same || r == overlap }

// relateMethods relates the methods of two patterns; common is one that both
// stand for. It is false if there is none.
func relateMethods(added, older string) (common string, r relation, ok bool) {
	switch {
	case added == older:
		return added, same, true
	case added == "", added == "GET" && older == "HEAD":
		return older, moreGeneral, true
	case older == "", added == "HEAD" && older == "GET":
		return added, moreSpecific, true
	}
	return "", same, false
}

// clash is an older pattern that a new one conflicts with.
type clash[V any] struct {
	with    *leaf[V]
	path    string // one that both match
	related relation
}

func (c *clash[V]) below(s pathSegment) *clash[V] {
	if c != nil {
		c.path = s.String() + c.path
	}
	return c
}

// clash finds a pattern below n that conflicts with segments, given the
// relation up to here.
//
// No node is visited twice, and nothing below a subtree that both patterns
// share: there, every older pattern is more specific than the new one.
func (n *node[V]) clash(segments []pathSegment, r relation) *clash[V] {
	if n == nil {
		return nil
	}
	if len(segments) == 0 {
		return n.leaf.clash(nil, r)
	}
	s, after := segments[0], segments[1:]
	if s.kind == rest {
		if c := n.rest.clash(segments, r); c != nil {
			return c
		}
		if r |= moreGeneral; r.conflicts() {
			return n.any(r)
		}
		return nil
	}
	if c := n.rest.clash(segments, r|moreSpecific); c != nil {
		return c
	}
	switch s.kind {
	case slash:
		return n.slash.clash(segments, r)
	case literal:
		if c := n.literals[s.literal].clash(after, r); c != nil {
			return c.below(s)
		}
		return n.single.clash(after, r|moreSpecific).below(s)
	default:
		if c := n.single.clash(after, r); c != nil {
			return c.below(s)
		}
		// The first by name, so that a mistake is reported the same way each time.
		var first *clash[V]
		var name string
		for text, child := range n.literals {
			if first != nil && text > name {
				continue
			}
			if c := child.clash(after, r|moreGeneral); c != nil {
				first, name = c, text
			}
		}
		return first.below(pathSegment{kind: literal, literal: name})
	}
}

// clash returns a clash with l, if there is one, on a path that ends in
// segments.
func (l *leaf[V]) clash(segments []pathSegment, r relation) *clash[V] {
	if l == nil || !r.conflicts() {
		return nil
	}
	c := &clash[V]{with: l, related: r}
	for _, s := range slices.Backward(segments) {
		c.below(s)
	}
	return c
}

// any returns a clash with the first pattern that stands deeper than n.
func (n *node[V]) any(r relation) *clash[V] {
	if n.slash != nil {
		return n.slash.clash([]pathSegment{{kind: slash}}, r)
	}
	for _, text := range slices.Sorted(maps.Keys(n.literals)) {
		if c := n.literals[text].here(r); c != nil {
			return c.below(pathSegment{kind: literal, literal: text})
		}
	}
	return n.single.here(r).below(pathSegment{kind: single})
}

// here returns a clash with the first pattern that stands at n or deeper.
func (n *node[V]) here(r relation) *clash[V] {
	switch {
	case n == nil:
		return nil
	case n.leaf != nil:
		return n.leaf.clash(nil, r)
	case n.rest != nil:
		return n.rest.clash([]pathSegment{{kind: rest}}, r)
	}
	return n.any(r)
}
