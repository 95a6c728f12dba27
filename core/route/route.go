// Package route finds the rule for a request by patterns in the syntax of
// [net/http]'s ServeMux, and finds in a span what request it is about.
//
// A request has a route, as its router tells it, and a path. Both are looked up, so
// that a rule is found where the router has its route too late, or none, and where the
// path was rewritten before it was routed. A route may be in the syntax of ServeMux,
// gin, echo, Fiber, chi or gorilla: a wildcard in it is met by a wildcard of a pattern,
// and one for all that follows by no other than such a one.
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
//
// A path is decoded once, a segment at a time, as ServeMux does it: /%2573tatic is
// /%73tatic, and not /static. Whether there is anything to decode depends on where
// a span has it from. url.full and http.target are what the client sent, and
// http.route is a pattern: those are percent-encoded. url.path is what
// instrumentation for Go takes from [net/url]'s URL.Path, and the name of a span
// what the application made of it: those are decoded already. There, a slash that
// was encoded is a slash like others.
//
// What a client sends costs a bounded time: nothing is decoded that is longer than
// the literals it could be, and of a path only the first [MaxPath] bytes are
// looked at.
package route

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Table finds values by pattern. The zero value is empty and ready. Lookup is
// safe for concurrent use once everything is added.
type Table[V any] struct {
	// methods are sorted; there are few, so that a walk beats a map.
	methods []method[V]
	foreign bool // a pattern has a literal that looks like the wildcard of a router
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
	longest  int // of literals, in bytes

	// only is the literal if there is no other: most nodes have one, and need no hashing.
	onlyText string
	only     *node[V]
}

type leaf[V any] struct {
	*pattern
	value V
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
		return refused(text, err)
	}
	for _, other := range t.methods {
		common, r, ok := relateMethods(p.method, other.name)
		if !ok {
			continue
		}
		if c := other.root.clash(p.segments, r); c != nil {
			return &ConflictError{
				Pattern: text,
				Other:   c.with.text,
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
	root.add(p.segments, &leaf[V]{p, value})
	t.foreign = t.foreign || slices.ContainsFunc(p.segments, func(s pathSegment) bool {
		return strings.HasPrefix(s.literal, ":") || strings.Contains(s.literal, "*")
	})
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
				if n.onlyText, n.only = s.literal, next; len(n.literals) > 1 {
					n.onlyText, n.only = "", nil
				}
				n.longest = max(n.longest, len(s.literal))
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

// MaxPath is how much of a path is looked at, in bytes: less than 16 KiB, at which
// the recorder cuts values, so that no path that was cut passes for a whole one.
const MaxPath = 16<<10 - 1

// Lookup returns the value of the most specific pattern that matches the route or the
// path. Of two that have no request in common, as where a path was rewritten before it
// was routed, the route's counts.
//
// The cost grows with the number of path segments that the patterns have. As in
// ServeMux, rules that share literals in some positions and have wildcards in
// others (/{x}/b/1, /a/{x}/2) are tried in turn. It allocates nothing, unless a
// literal of over 64 bytes could stand percent-encoded in the path.
//
// What a path has after its first [MaxPath] bytes is not known here: the segment
// that is cut is matched by patterns for all that follows, {name...} or a trailing
// slash, and by no others.
func (t *Table[V]) Lookup(r Request) (value V, ok bool) {
	if t == nil {
		return value, false
	}
	var byRoute, byPath *leaf[V]
	switch {
	case isPath(r.Path):
		byPath = t.find(r.Method, bounded(path{rest: r.Path, decoded: r.Decoded}))
	case r.Procedure != "":
		byPath = t.find(r.Method, bounded(path{rest: r.Procedure, bare: true}))
	}
	if isPath(r.Route) && (byPath == nil || t.foreign || !covers(r.Route, r.Path)) {
		byRoute = t.find(r.Method, routed(r))
	}
	switch {
	case byRoute == nil && byPath == nil:
		return value, false
	case byRoute == nil, byPath != nil && byPath != byRoute && byPath.within(byRoute.pattern):
		return byPath.value, true
	default:
		return byRoute.value, true
	}
}

// Has reports whether [Table.Lookup] finds a value. It costs less where the route has one.
func (t *Table[V]) Has(r Request) bool {
	if t == nil {
		return false
	}
	if isPath(r.Route) && t.find(r.Method, routed(r)) != nil {
		return true
	}
	switch {
	case isPath(r.Path):
		return t.find(r.Method, bounded(path{rest: r.Path, decoded: r.Decoded})) != nil
	case r.Procedure != "":
		return t.find(r.Method, bounded(path{rest: r.Procedure, bare: true})) != nil
	default:
		return false
	}
}

func (t *Table[V]) find(method string, p path) *leaf[V] {
	var l *leaf[V]
	if method != "" {
		l = t.method(method).find(p)
		if l == nil && method == http.MethodHead {
			l = t.method(http.MethodGet).find(p)
		}
	}
	if l == nil {
		l = t.method("").find(p)
	}
	return l
}

// path is what is left of a path, or of a route, to match.
type path struct {
	rest    string
	decoded bool // there is nothing to decode
	cut     bool // there is more of it than rest
	bare    bool // the slash before rest is left out
	route   bool // it is a pattern of a router

	// Of a route:
	below       bool // it stands for more than itself: for what is below it
	expressions bool // it may have some, with slashes in them
	segments    int  // how many the path still has: beyond, an optional one is not there
}

func bounded(p path) path {
	if len(p.rest) > MaxPath {
		p.rest, p.cut = p.rest[:MaxPath], true
	}
	return p
}

func (n *node[V]) find(p path) *leaf[V] {
	switch {
	case n == nil:
		return nil
	case p.rest == "" && p.below:
		return n.rest
	case p.rest == "":
		return n.leaf
	case p.rest == "/" && n.slash != nil && !p.cut && !p.below, p.rest == "/{$}" && n.slash != nil && p.route:
		return n.slash
	case p.rest == "/", p.rest == "/{$}" && p.route:
		return n.rest
	}
	seg := p.next()
	if p.cut && p.rest == "" {
		return n.rest
	}
	if p.route {
		switch wildcardOf(seg) {
		case everything:
			// A pattern in the router's own syntax matches nothing but itself.
			if l := n.literal(seg, true); l != nil && l.leaf != nil && p.rest == "" {
				return l.leaf
			}
			return n.rest
		case optional:
			if p.segments <= 0 {
				return n.find(p)
			}
		}
		p.segments--
	}
	if len(n.literals) > 0 {
		if l := n.literal(seg, p.decoded).find(p); l != nil {
			return l
		}
	}
	if n.single != nil {
		if l := n.single.find(p); l != nil {
			return l
		}
	}
	return n.rest
}

// next cuts off the first segment.
func (p *path) next() (segment string) {
	from := p.rest
	if !p.bare {
		from = from[1:]
	}
	p.bare = false
	if p.expressions {
		segment, p.rest, p.expressions = cutRoute(from)
	} else {
		segment, p.rest = cut(from)
	}
	return segment
}

// literal returns the child for a path segment. What is longer than its literals,
// as it is and decoded, is none of them.
func (n *node[V]) literal(seg string, decoded bool) *node[V] {
	if !decoded && len(seg) <= len("%XX")*n.longest && strings.IndexByte(seg, '%') >= 0 {
		var buf [64]byte
		if text, ok := appendDecoded(buf[:0], seg); ok {
			return n.literals[string(text)]
		}
	}
	switch {
	case len(seg) > n.longest:
		return nil
	case n.only == nil:
		return n.literals[seg]
	case seg == n.onlyText:
		return n.only
	default:
		return nil
	}
}
