package route

import (
	"math"
	"strings"
)

// routed is the route of a request, as it is looked up.
//
// A route is a pattern itself, and may stand for more than a rule does. Where the path
// is known it tells that: a route that ends in a slash, or that the path is below, is
// one of a middleware or of a mux, which stands for everything below it, and no rule
// for the route alone is meant. What the path is, is then looked up as the path.
func routed(r Request) path {
	p := bounded(path{rest: r.Route, route: true, expressions: true, segments: math.MaxInt})
	if r.Path == "" {
		return p
	}
	p.below = strings.HasSuffix(r.Route, "/") || isBelow(r.Path, r.Route)
	if strings.IndexByte(p.rest, '?') >= 0 {
		p.segments = segmentsOf(first(r.Path))
	}
	return p
}

// covers tells that the path is one of those that the route stands for, or below it: a
// rule that the route meets is then met by the path as well. It is not sure to find out.
func covers(route, path string) bool {
	if isBelow(path, route) {
		return true
	}
	if len(route) > MaxPath {
		return false
	}
	for route != "" && path != "" {
		var in, of string
		of, route = cut(route[1:])
		in, path = cut(path[1:])
		switch {
		case of == "" && route == "":
			return true
		case in == of:
			continue
		case of == "" || of[0] != '{' && of[0] != ':' && of[0] != '*':
			return false
		}
		switch w := wildcardOf(of); {
		case w == everything:
			return true
		case w == optional, in == "", of == "{$}":
			return false
		}
	}
	return route == "" && path == ""
}

// isBelow is true of /a/b below /a, and not of /a/, which many routers take for it.
func isBelow(path, route string) bool {
	return len(route) <= MaxPath && len(path) > len(route)+1 && path[len(route)] == '/' && path[:len(route)] == route
}

// segmentsOf counts those that are not empty.
func segmentsOf(path string) (n int) {
	for i := 1; i < len(path); i++ {
		if path[i] != '/' && path[i-1] == '/' {
			n++
		}
	}
	return n
}

// wildcard is what a segment of a router's pattern stands for.
type wildcard uint8

const (
	one        wildcard = iota // one segment, or it is no wildcard
	optional                   // one segment, or none
	everything                 // all that follows
)

// wildcardOf reads the syntax of ServeMux, gin, echo, Fiber, chi and gorilla.
func wildcardOf(seg string) wildcard {
	switch end := seg[max(len(seg)-1, 0):]; {
	case seg == "":
		return one
	case seg[0] == '{' && strings.HasSuffix(seg, "...}"), seg == "+":
		return everything
	case seg[0] == '{' && end == "}":
		_, expression, _ := strings.Cut(seg, ":")
		switch {
		case strings.Contains(expression, ".*"), strings.Contains(expression, ".+"):
			return everything
		case strings.HasSuffix(seg, "?}") && expression == "":
			return optional
		}
		return one
	case seg[0] == ':':
		switch end {
		case "?":
			return optional
		case "*", "+":
			return everything
		}
		return one
	case strings.IndexByte(seg, '*') >= 0:
		return everything
	default:
		return one
	}
}

// cutRoute cuts as cut does, but not inside of an expression: /{id:a/b}/x. It is false
// if the braces do not match: then there are no expressions.
func cutRoute(route string) (segment, rest string, ok bool) {
	switch i := strings.IndexByte(route, '/'); {
	case i < 0:
		return route, "", true
	case strings.IndexByte(route[:i], '{') < 0:
		return route[:i], route[i:], true
	}
	depth := 0
	for i := range len(route) {
		switch route[i] {
		case '{':
			depth++
		case '}':
			depth--
		case '/':
			if depth == 0 {
				return route[:i], route[i:], true
			}
		}
	}
	if depth == 0 {
		return route, "", true
	}
	segment, rest = cut(route)
	return segment, rest, false
}

// within tells that p matches nothing that q does not match.
func (p *pattern) within(q *pattern) bool {
	if _, methods, ok := relateMethods(p.method, q.method); !ok || methods == moreGeneral {
		return false
	}
	for i, s := range p.segments {
		if i == len(q.segments) {
			return false
		}
		switch of := q.segments[i]; {
		case of.kind == rest:
			return true
		case of.kind == single && s.kind == literal:
		case s != of:
			return false
		}
	}
	return len(p.segments) == len(q.segments)
}
