// Package route finds the rule for a request by patterns in the syntax of
// [net/http]'s ServeMux, and finds in a span what request it is about.
//
// A pattern is
//
//	[METHOD ]/path/{id}/{rest...}
//
// A wildcard {name} stands for one path segment and {name...}, at the end, for all
// that follow. A trailing slash stands for everything below it; {$} after one
// limits the pattern to the path that ends there. GET also stands for HEAD.
// The most specific pattern wins; of two that match some request in common, one
// must be more specific, else they conflict. Unlike ServeMux's, patterns have
// no host, and paths are matched as they are: nothing is cleaned or redirected.
package route

import (
	"fmt"
	"slices"
	"strings"
)

// Table finds values by pattern. The zero value is empty and ready. Lookup is
// safe for concurrent use once everything is added.
type Table[V any] struct {
	// methods are sorted; there are few, so that a walk beats a map.
	methods []method[V]
}

type method[V any] struct {
	name string // "" is any method
	root *node[V]
}

func (t *Table[V]) method(name string) *node[V] {
	for i := range t.methods {
		if t.methods[i].name == name {
			return t.methods[i].root
		}
	}
	return nil
}

// node stands for the path segments that lead to it.
type node[V any] struct {
	leaf     *leaf[V] // the pattern that ends here
	slash    *leaf[V] // ... in /{$}
	rest     *leaf[V] // ... in a slash or a {name...}
	single   *node[V]
	literals map[string]*node[V]
}

type leaf[V any] struct {
	pattern string
	value   V
}

// ConflictError tells that a pattern cannot stand beside one that was added
// before it.
type ConflictError struct {
	Pattern string
	Other   string // as it was added
	Example string // a request that both match
	same    bool
}

func (e *ConflictError) Error() string {
	if e.same {
		return fmt.Sprintf("%q matches the same requests as %q", e.Pattern, e.Other)
	}
	return fmt.Sprintf("%q conflicts with %q: both match %q and neither is more specific", e.Pattern, e.Other, e.Example)
}

// Add adds a pattern. A pattern that conflicts with an earlier one, or matches
// the same requests, is a [*ConflictError]; the table is then as before.
func (t *Table[V]) Add(text string, value V) error {
	p, err := parse(text)
	if err != nil {
		return err
	}
	for _, other := range t.methods {
		common, r, ok := relateMethods(p.method, other.name)
		if !ok {
			continue
		}
		if c := other.root.clash(p.segments, r); c != nil {
			return &ConflictError{
				Pattern: text,
				Other:   c.with.pattern,
				Example: strings.TrimLeft(common+" "+c.path, " "),
				same:    c.related == same,
			}
		}
	}
	root := t.method(p.method)
	if root == nil {
		root = new(node[V])
		t.methods = append(t.methods, method[V]{p.method, root})
		slices.SortFunc(t.methods, func(a, b method[V]) int { return strings.Compare(a.name, b.name) })
	}
	root.add(p.segments, &leaf[V]{text, value})
	return nil
}

func (n *node[V]) add(segments []pathSegment, l *leaf[V]) {
	for _, s := range segments {
		switch s.kind {
		case literal:
			next := n.literals[s.literal]
			if next == nil {
				if n.literals == nil {
					n.literals = make(map[string]*node[V])
				}
				next = new(node[V])
				n.literals[s.literal] = next
			}
			n = next
		case single:
			if n.single == nil {
				n.single = new(node[V])
			}
			n = n.single
		case slash:
			n.slash = l
			return
		case rest:
			n.rest = l
			return
		}
	}
	n.leaf = l
}

// Lookup returns the value of the most specific pattern that matches. An empty
// method, one that is not known, is matched by patterns without a method only.
// The path may be percent-encoded.
//
// The cost grows with the number of path segments. As in ServeMux, rules
// that share literals in some positions and have wildcards in others
// (/{x}/b/1, /a/{x}/2) are tried in turn. It allocates nothing, unless a
// percent-encoded path segment is longer than 64 bytes.
func (t *Table[V]) Lookup(method, path string) (value V, ok bool) {
	if t == nil || path == "" || path[0] != '/' {
		return value, false
	}
	var l *leaf[V]
	if method != "" {
		l = t.method(method).find(path)
		if l == nil && method == "HEAD" {
			l = t.method("GET").find(path)
		}
	}
	if l == nil {
		l = t.method("").find(path)
	}
	if l == nil {
		return value, false
	}
	return l.value, true
}

func (n *node[V]) find(path string) *leaf[V] {
	switch {
	case n == nil:
		return nil
	case path == "":
		return n.leaf
	case path == "/" && n.slash != nil:
		return n.slash
	case path == "/":
		return n.rest
	}
	seg, after := cut(path[1:])
	if len(n.literals) > 0 {
		if l := n.literal(seg).find(after); l != nil {
			return l
		}
	}
	if n.single != nil {
		if l := n.single.find(after); l != nil {
			return l
		}
	}
	return n.rest
}

// literal returns the child for a path segment.
func (n *node[V]) literal(seg string) *node[V] {
	if strings.IndexByte(seg, '%') >= 0 {
		var buf [64]byte
		if decoded, ok := appendDecoded(buf[:0], seg); ok {
			return n.literals[string(decoded)]
		}
	}
	return n.literals[seg]
}
