package importer

import (
	"slices"
)

// op is what an [expr] is.
type op int

const (
	leaf    op = iota
	and        // of all
	or         // of at least one
	not        // of one
	always     // true
	never      // false
	unknown    // riffle cannot say it
)

// expr is what a rule asks of a trace, or of one span.
type expr struct {
	op   op
	of   []*expr
	keys fields // of a leaf: those of a match
	// whole tells of a leaf that it is about the trace, not about a span.
	whole bool
	// slow tells of a leaf that it is about the duration of the trace.
	slow *band
	why  string // of an unknown
}

// band is a range of durations in milliseconds: above low, up to high, 0 being none.
type band struct{ low, high int64 }

func isAlways() *expr                 { return &expr{op: always} }
func isNever() *expr                  { return &expr{op: never} }
func isUnknown(why string) *expr      { return &expr{op: unknown, why: why} }
func span(keys ...field) *expr        { return &expr{keys: keys} }
func trace(keys ...field) *expr       { return &expr{keys: keys, whole: true} }
func attribute(k string, v any) *expr { return span(field{"attributes", fields{{k, v}}}) }

func negate(e *expr) *expr {
	switch e.op {
	case not:
		return e.of[0]
	case always:
		return isNever()
	case never:
		return isAlways()
	case unknown:
		return e
	default:
		return &expr{op: not, of: []*expr{e}}
	}
}

func allOf(of ...*expr) *expr { return join(and, always, never, of) }
func anyOf(of ...*expr) *expr { return join(or, never, always, of) }

// join leaves out what changes nothing.
func join(o, neutral, absorbing op, of []*expr) *expr {
	var parts []*expr
	for _, e := range of {
		switch e.op {
		case neutral:
		case absorbing:
			return e
		case o:
			parts = append(parts, e.of...)
		default:
			parts = append(parts, e)
		}
	}
	switch len(parts) {
	case 0:
		return &expr{op: neutral}
	case 1:
		return parts[0]
	default:
		return &expr{op: o, of: parts}
	}
}

// normal moves every not to the leaves.
func normal(e *expr, negated bool) *expr {
	switch e.op {
	case not:
		return normal(e.of[0], !negated)
	case and, or:
		parts := make([]*expr, len(e.of))
		for i, part := range e.of {
			parts[i] = normal(part, negated)
		}
		if (e.op == and) == negated {
			return anyOf(parts...)
		}
		return allOf(parts...)
	}
	if negated {
		return negate(e)
	}
	return e
}

// alternative is before the reason why one is left out.
const alternative = "an alternative is left out: "

// resolve takes the unknowns out of a normal expression. more says that the result may
// hold for more traces than the expression, otherwise it may hold for fewer. It returns
// an unknown if nothing is left.
func resolve(e *expr, more bool) (*expr, []string) {
	switch e.op {
	case unknown:
		return e, []string{e.why}
	case and, or:
	default:
		return e, nil
	}
	var parts []*expr
	var lost []string
	missing := false
	for _, part := range e.of {
		got, why := resolve(part, more)
		lost = append(lost, why...)
		if got.op == unknown {
			if e.op == or && len(why) > 0 {
				lost[len(lost)-1] = alternative + why[len(why)-1]
			}
			missing = true
			continue
		}
		parts = append(parts, got)
	}
	if len(parts) == 0 || missing && e.op == and && !more {
		return isUnknown("nothing of it is left"), lost
	}
	if e.op == and {
		return allOf(parts...), lost
	}
	return anyOf(parts...), lost
}

// maxTerms bounds how far an expression grows when it is taken apart.
const maxTerms = 200

// anySpan is true of a trace that has a span of which e is. What is about the trace
// in it is taken out, since riffle asks that elsewhere.
func anySpan(e *expr) *expr {
	budget := maxTerms
	return lift(normal(e, false), &budget)
}

func lift(e *expr, budget *int) *expr {
	if *budget--; *budget < 0 {
		return isUnknown("the condition is too large to be taken apart into what is about a span and what is about the trace")
	}
	switch about := scopeOf(e); {
	case e.op == always || e.op == never || e.op == unknown || about == wholeTrace:
		return e
	case about == oneSpan:
		return trace(field{"any_span", matchOf(e)})
	case e.op == or:
		parts := make([]*expr, len(e.of))
		for i, part := range e.of {
			parts[i] = lift(part, budget)
		}
		return anyOf(parts...)
	}
	// An and of both kinds, or of something that is of both.
	if i := slices.IndexFunc(e.of, func(part *expr) bool { return scopeOf(part) == mixed }); i >= 0 {
		rest := slices.Delete(slices.Clone(e.of), i, i+1)
		var parts []*expr
		if e.of[i].op == and {
			return lift(allOf(append(rest, e.of[i].of...)...), budget)
		}
		for _, part := range e.of[i].of {
			parts = append(parts, lift(allOf(append(slices.Clone(rest), part)...), budget))
		}
		return anyOf(parts...)
	}
	var wholes, spans []*expr
	for _, part := range e.of {
		if scopeOf(part) == oneSpan {
			spans = append(spans, part)
		} else {
			wholes = append(wholes, part)
		}
	}
	return allOf(append(wholes, lift(allOf(spans...), budget))...)
}

type scope int

const (
	oneSpan scope = 1 << iota
	wholeTrace
	mixed = oneSpan | wholeTrace
)

// scopeOf tells what the leaves of e are about. An unknown is no part of a match.
func scopeOf(e *expr) scope {
	switch e.op {
	case leaf:
		if e.whole {
			return wholeTrace
		}
		return oneSpan
	case unknown, always, never:
		return wholeTrace
	}
	var s scope
	for _, part := range e.of {
		s |= scopeOf(part)
	}
	return s
}

// matchOf is the match for an expression without constants and unknowns.
func matchOf(e *expr) fields {
	switch e.op {
	case leaf:
		return e.keys
	case not:
		return fields{{"not", matchOf(e.of[0])}}
	case or:
		if m := oneOf(e.of); m != nil {
			return m
		}
		return fields{{"any", matches(e.of)}}
	case and:
	default:
		return fields{}
	}
	var out fields
	var rest []*expr
	for _, part := range e.of {
		m := matchOf(part)
		if merged, ok := merge(out, m); ok {
			out = merged
		} else {
			rest = append(rest, part)
		}
	}
	if len(rest) > 0 { // two say something of the same key
		return fields{{"all", matches(e.of)}}
	}
	return out
}

func matches(of []*expr) []any {
	list := make([]any, len(of))
	for i, part := range of {
		list[i] = matchOf(part)
	}
	return list
}

// merge adds the keys of b to a; ok tells that none is in both, but attributes.
func merge(a, b fields) (_ fields, ok bool) {
	out := slices.Clone(a)
	for _, f := range b {
		i := slices.IndexFunc(out, func(x field) bool { return x.key == f.key })
		switch {
		case i < 0 && f.key != "all":
			out = append(out, f)
		case i >= 0 && (f.key == "attributes" || f.key == "resource" || f.key == "tracestate"):
			inner, ok := merge(out[i].value.(fields), f.value.(fields))
			if !ok {
				return a, false
			}
			out[i].value = inner
		default:
			return a, false
		}
	}
	return out, true
}

// oneOf is a match with a list for alternatives that are values of one attribute.
func oneOf(of []*expr) fields {
	var at, key string
	var values []any
	for _, part := range of {
		if part.op != leaf || len(part.keys) != 1 {
			return nil
		}
		inner, ok := part.keys[0].value.(fields)
		if !ok || len(inner) != 1 || at != "" && (part.keys[0].key != at || inner[0].key != key) {
			return nil
		}
		at, key = part.keys[0].key, inner[0].key
		if at != "attributes" && at != "resource" {
			return nil
		}
		switch v := inner[0].value.(type) {
		case string, bool, int64, float64, variable:
			values = append(values, v)
		case []any:
			values = append(values, v...)
		default:
			return nil
		}
	}
	return fields{{at, fields{{key, values}}}}
}

// endMatch is the match for an end sampler, which is asked about each span that ends:
// the attributes of the span can stand there directly.
func endMatch(e *expr) fields {
	if m, ok := bare(e); ok {
		return m
	}
	return matchOf(e)
}

func bare(e *expr) (fields, bool) {
	switch e.op {
	case leaf:
		if len(e.keys) == 1 && e.keys[0].key == "any_span" {
			m, _ := e.keys[0].value.(fields)
			return m, spanOnly(m)
		}
	case or:
		parts := make([]*expr, len(e.of))
		for i, part := range e.of {
			m, ok := bare(part)
			if !ok {
				return nil, false
			}
			parts[i] = span(m...)
		}
		return matchOf(anyOf(parts...)), true
	}
	return nil, false
}

// spanOnly reports whether all the keys of a match mean the same at its top, where
// some are about the local root.
func spanOnly(m fields) bool {
	for _, f := range m {
		switch f.key {
		case "attributes", "name", "scope", "event", "link", "links":
		case "not":
			if inner, ok := f.value.(fields); !ok || !spanOnly(inner) {
				return false
			}
		case "all", "any":
			list, _ := f.value.([]any)
			for _, x := range list {
				if inner, ok := x.(fields); !ok || !spanOnly(inner) {
					return false
				}
			}
		default:
			return false
		}
	}
	return true
}
