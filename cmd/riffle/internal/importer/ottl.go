package importer

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// ottlPolicy is a policy ottl_condition: one of its conditions holds for a span, or for
// an event of one.
func ottlPolicy(o *object) *expr {
	var some []*expr
	for _, text := range o.texts("span") {
		some = append(some, anySpan(ottlOf(text, spanLeaf)))
	}
	for _, text := range o.texts("spanevent") {
		some = append(some, anySpan(events(ottlOf(text, eventLeaf), text)))
	}
	if len(some) == 0 {
		return isUnknown("it has no conditions")
	}
	return anyOf(some...)
}

// leafOf makes an expression of a comparison of a path with a literal.
type leafOf func(path *operand, word string, literal any) *expr

func ottlOf(text string, leaf leafOf) *expr {
	text = literal(text)
	c, err := parseCondition(text)
	if err != nil {
		return isUnknown(fmt.Sprintf("%s: %v", oneLine(text), err))
	}
	return c.expr(leaf)
}

func (c *condition) expr(leaf leafOf) *expr {
	parts := make([]*expr, len(c.of))
	for i, part := range c.of {
		parts[i] = part.expr(leaf)
	}
	switch c.word {
	case "and":
		return allOf(parts...)
	case "or":
		return anyOf(parts...)
	case "not":
		return negate(parts[0])
	case "":
		return truth(c.left, leaf)
	}
	left, word, right := c.left, c.word, c.right
	if left.is == "literal" && right.is != "literal" {
		left, right = right, left
		word = map[string]string{"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}[word]
	}
	if e := elapsed(left, word, right); e != nil {
		return e
	}
	if left.is == "function" && right.is == "literal" { // IsMatch(...) == true
		b, isBool := right.literal.(bool)
		e := truth(left, leaf)
		if !isBool || word != "==" && word != "!=" || e.op == unknown {
			return isUnknown(left.name + " is a function that riffle has nothing for")
		}
		if b == (word == "==") {
			return e
		}
		return negate(e)
	}
	if left.is != "path" {
		return isUnknown("riffle does not calculate with attributes")
	}
	return leaf(left, word, constant(right))
}

// ottlEnum stands for an enumeration's value, by its name.
type ottlEnum string

// notConstant stands for what is no literal.
type notConstant struct{}

func constant(o *operand) any {
	switch {
	case o.is == "literal":
		return o.literal
	case o.is == "path" && len(o.keys) == 0 && strings.ToUpper(o.name) == o.name:
		return ottlEnum(o.name)
	}
	return notConstant{}
}

// truth is an operand that stands alone.
func truth(o *operand, leaf leafOf) *expr {
	switch {
	case o.is == "literal":
		if o.literal == true {
			return isAlways()
		}
		return isNever()
	case o.is == "path":
		return leaf(o, "==", true)
	case o.is == "function" && o.name == "IsMatch" && len(o.args) == 2 && o.args[0].is == "path":
		pattern, isText := o.args[1].literal.(string)
		if !isText {
			return isUnknown("the pattern of IsMatch is no text")
		}
		if err := checkPattern(pattern); err != nil {
			return isUnknown(err.Error())
		}
		return leaf(o.args[0], "matches", pattern)
	case o.is == "function" && (o.name == "HasPrefix" || o.name == "HasSuffix") && len(o.args) == 2 && o.args[0].is == "path":
		fix, isText := o.args[1].literal.(string)
		if !isText {
			return isUnknown("what " + o.name + " looks for is no text")
		}
		pattern := "^" + quotePattern(fix)
		if o.name == "HasSuffix" {
			pattern = quotePattern(fix) + "$"
		}
		return leaf(o.args[0], "matches", pattern)
	case o.is == "function" && o.name == "IsRootSpan" && len(o.args) == 0:
		return trace(field{"parent", "none"})
	}
	return isUnknown(oneLine(o.name) + " is something that riffle has nothing for")
}

// elapsed is the comparison of a span's duration with a constant; nil if it is none.
func elapsed(left *operand, word string, right *operand) *expr {
	if left.is != "arithmetic" || left.name != "-" || left.args[0].is != "path" || left.args[1].is != "path" {
		return nil
	}
	path := func(o *operand) string { return strings.TrimPrefix(o.name, "span.") }
	var d time.Duration
	switch {
	case path(left.args[0]) == "end_time_unix_nano" && path(left.args[1]) == "start_time_unix_nano":
		n, ok := right.literal.(int64)
		if !ok {
			return nil
		}
		d = time.Duration(n)
	case path(left.args[0]) == "end_time" && path(left.args[1]) == "start_time" && right.is == "function" && right.name == "Duration" && len(right.args) == 1:
		text, _ := right.args[0].literal.(string)
		var err error
		if d, err = time.ParseDuration(text); err != nil {
			return nil
		}
	default:
		return nil
	}
	return lasts(word, d)
}

// lasts is a comparison of a span's duration.
func lasts(word string, d time.Duration) *expr {
	if d < 0 {
		return isUnknown("a duration below 0")
	}
	atLeast := func(d time.Duration) *expr {
		if d == 0 {
			return isAlways()
		}
		return span(field{"duration", fields{{"min", d.String()}}})
	}
	switch word {
	case ">=":
		return atLeast(d)
	case ">":
		return atLeast(d + 1)
	case "<":
		return negate(atLeast(d))
	case "<=":
		return negate(atLeast(d + 1))
	case "==", "=":
		return span(field{"duration", fields{{"min", d.String()}, {"max", d.String()}}})
	case "!=":
		return negate(lasts("==", d))
	}
	return isUnknown("a comparison of durations by " + word)
}

// spanLeaf is a comparison about a span.
func spanLeaf(path *operand, word string, v any) *expr {
	name := strings.TrimPrefix(path.name, "span.")
	if (name == "attributes" || name == "resource.attributes") && len(path.keys) == 1 {
		about := func(cond any) *expr { return attribute(path.keys[0], cond) }
		if name == "resource.attributes" {
			about = func(cond any) *expr { return trace(field{"resource", fields{{path.keys[0], cond}}}) }
		}
		return compared(about, word, v)
	}
	if len(path.keys) > 0 {
		return isUnknown(fmt.Sprintf("%s[%q]: riffle looks at attributes alone, and not into them", path.name, oneLine(path.keys[0])))
	}
	switch name {
	case "name":
		return named(func(glob string) *expr { return span(field{"name", glob}) }, word, v)
	case "scope.name", "instrumentation_scope.name":
		return named(func(glob string) *expr { return span(field{"scope", glob}) }, word, v)
	case "kind", "kind.string", "kind.deprecated_string":
		return enumerated("kind", kinds, word, v)
	case "status.code":
		return enumerated("status", statuses, word, v)
	}
	return isUnknown(fmt.Sprintf("%s: riffle has no condition about it", oneLine(path.name)))
}

var (
	kinds = map[string]string{
		"1": "internal", "2": "server", "3": "client", "4": "producer", "5": "consumer",
		"SPAN_KIND_INTERNAL": "internal", "SPAN_KIND_SERVER": "server", "SPAN_KIND_CLIENT": "client",
		"SPAN_KIND_PRODUCER": "producer", "SPAN_KIND_CONSUMER": "consumer",
		"Internal": "internal", "Server": "server", "Client": "client", "Producer": "producer", "Consumer": "consumer",
		"internal": "internal", "server": "server", "client": "client", "producer": "producer", "consumer": "consumer",
	}
	statuses = map[string]string{
		"0": "unset", "1": "ok", "2": "error",
		"STATUS_CODE_UNSET": "unset", "STATUS_CODE_OK": "ok", "STATUS_CODE_ERROR": "error",
	}
)

// enumerated is a comparison with one of a few values.
func enumerated(key string, known map[string]string, word string, v any) *expr {
	s := text(v)
	if e, ok := v.(ottlEnum); ok {
		s = string(e)
	}
	value, ok := known[s]
	if !ok {
		return isUnknown(fmt.Sprintf("%s has no value %q in riffle", key, oneLine(s)))
	}
	switch word {
	case "==", "=":
		return span(field{key, value})
	case "!=":
		return negate(span(field{key, value}))
	}
	return isUnknown(key + " is not compared by " + word)
}

// named is a comparison of what riffle takes a pattern with * for.
func named(about func(glob string) *expr, word string, v any) *expr {
	s, isText := v.(string)
	if !isText {
		return isUnknown("a name is compared with what is no text")
	}
	switch word {
	case "==", "=":
		if s == "" {
			return isUnknown("an empty name: riffle takes it for none")
		}
		if strings.ContainsAny(s, "*?") {
			return isUnknown(fmt.Sprintf("the name %q: * and ? stand for any text in riffle's", oneLine(s)))
		}
		return about(s)
	case "!=":
		return negate(named(about, "==", v))
	case "matches":
		globs, ok := globsOf(s)
		if !ok {
			return isUnknown(fmt.Sprintf("the pattern %s of a name: riffle has * and ? there", oneLine(s)))
		}
		var some []*expr
		for _, g := range globs {
			some = append(some, about(g))
		}
		return anyOf(some...)
	}
	return isUnknown("a name is not compared by " + word)
}

// compared is a comparison of an attribute.
func compared(about func(cond any) *expr, word string, v any) *expr {
	switch x := v.(type) {
	case nil:
		switch word {
		case "==", "=":
			return about(fields{{"exists", false}})
		case "!=":
			return about(fields{{"exists", true}})
		}
		return isUnknown("nil is not compared by " + word)
	case notConstant, ottlEnum:
		return isUnknown("riffle compares an attribute with a constant alone")
	case string:
		if word == "matches" {
			return about(fields{{"regex", x}})
		}
	}
	switch word {
	case "==", "=":
		return about(v)
	case "!=":
		return negate(about(v))
	}
	n, isInt := v.(int64)
	if _, isFloat := v.(float64); !isInt && !isFloat {
		return isUnknown(fmt.Sprintf("%s: riffle compares numbers alone so", word))
	}
	switch {
	case word == ">=":
		return about(fields{{"min", v}})
	case word == "<=":
		return about(fields{{"max", v}})
	case word == ">" && isInt:
		return about(fields{{"min", n + 1}})
	case word == "<" && isInt:
		return about(fields{{"max", n - 1}})
	case word == ">":
		return allOf(about(fields{{"min", v}}), negate(about(v)))
	case word == "<":
		return allOf(about(fields{{"max", v}}), negate(about(v)))
	}
	return isUnknown("a comparison by " + word)
}

// eventLeaf is a comparison about an event of a span: the keys are those within event.
func eventLeaf(path *operand, word string, v any) *expr {
	switch name := strings.TrimPrefix(path.name, "spanevent."); {
	case name == "name" && len(path.keys) == 0:
		return named(func(glob string) *expr { return span(field{"name", glob}) }, word, v)
	case name == "attributes" && len(path.keys) == 1:
		return compared(func(cond any) *expr { return attribute(path.keys[0], cond) }, word, v)
	case strings.HasPrefix(name, "span."), strings.HasPrefix(name, "resource."):
		return isUnknown(fmt.Sprintf("%s, together with an event: riffle's event has conditions about itself alone", oneLine(path.name)))
	}
	return isUnknown(fmt.Sprintf("%s of an event: riffle has no condition about it", oneLine(path.name)))
}

// events puts conditions about one event below the key event.
func events(e *expr, text string) *expr {
	switch e = normal(e, false); e.op {
	case or:
		parts := make([]*expr, len(e.of))
		for i, part := range e.of {
			parts[i] = events(part, text)
		}
		return anyOf(parts...)
	case leaf, and:
		if i := slices.IndexFunc(e.of, func(part *expr) bool { return part.op == unknown }); i >= 0 {
			return allOf(e.of[i], events(allOf(slices.Delete(slices.Clone(e.of), i, i+1)...), text))
		}
		m := matchOf(e)
		if !slices.ContainsFunc(m, func(f field) bool { return f.key != "name" && f.key != "attributes" }) {
			return span(field{"event", m})
		}
	case always, never, unknown:
		return e
	}
	return isUnknown(fmt.Sprintf("%s: riffle's event takes no not and no or", oneLine(text)))
}
