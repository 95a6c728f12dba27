package importer

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// conditions are those of a rule, of which all must hold: of one span, or each of any.
func conditions(list []any, sameSpan bool) *expr {
	var about []*expr
	rooted := false
	for _, item := range list {
		o, _ := item.(*object)
		if o == nil {
			about = append(about, isUnknown("a condition is no mapping"))
			continue
		}
		if sameSpan && len(fieldsOf(o)) == 1 && fieldsOf(o)[0] == "trace.parent_id" && strings.ToLower(o.text("Operator")) == "not-exists" {
			rooted = true
			continue
		}
		about = append(about, refineryCondition(o))
	}
	switch {
	case rooted:
		// The span is the root of the trace, which is here if nobody called.
		return allOf(trace(field{"parent", "none"}), rootOnly(allOf(about...)))
	case sameSpan:
		return anySpan(allOf(about...))
	}
	for i, e := range about {
		about[i] = anySpan(e)
	}
	return allOf(about...)
}

// rootOnly asks of the local root what e asks of a span.
func rootOnly(e *expr) *expr {
	if scopeOf(e) == oneSpan {
		return trace(field{"root", matchOf(normal(e, false))})
	}
	if len(e.of) == 0 {
		return e
	}
	parts := make([]*expr, len(e.of))
	for i, part := range e.of {
		parts[i] = rootOnly(part)
	}
	return &expr{op: e.op, of: parts}
}

// fieldsOf are the fields of a condition, of which the first that is there counts.
func fieldsOf(o *object) []string {
	if f := o.text("Field"); f != "" {
		return []string{f}
	}
	return o.texts("Fields")
}

// refineryCondition is a condition as one about a span.
func refineryCondition(o *object) *expr {
	word := strings.ToLower(o.text("Operator"))
	if word == "has-root-span" {
		if o.is("Value") {
			return isAlways() // a segment is decided when its local root has ended
		}
		return isNever()
	}
	names := fieldsOf(o)
	if len(names) == 0 {
		return isUnknown("a condition has no Field")
	}
	// A field counts if none before it is there.
	var some, before []*expr
	for _, name := range names {
		e := refineryField(name, word, o)
		if absentHolds(word, o.text("Datatype")) { // all of them may be absent
			e = allOf(append(before, e)...)
		}
		some = append(some, e)
		before = append(before, refineryField(name, "not-exists", o))
	}
	switch word {
	case "not-exists":
		return allOf(before...)
	case "exists":
		return anyOf(some...)
	}
	return anyOf(some...)
}

// absentHolds tells that a comparison holds of a field that is not there.
// Source: https://github.com/honeycombio/refinery/blob/v3.2.2/config/sampler_config.go
func absentHolds(word, datatype string) bool {
	return word == "not-in" || word == "does-not-contain" || word == "!=" && datatype == "string"
}

// refineryField is a comparison of one field.
func refineryField(name, word string, o *object) *expr {
	if inner, isRoot := strings.CutPrefix(name, "root."); isRoot {
		e := refineryField(inner, word, o)
		return rootOnly(e)
	}
	v := typed(o.get("Value"), o.text("Datatype"))
	switch name {
	case "?.NUM_DESCENDANTS", "meta.span_count":
		return counted(word, v)
	case "duration_ms":
		return lastsMilliseconds(word, v)
	case "error":
		if e := failed(word, v); e != nil {
			return e
		}
	case "name":
		return refineryName("name", word, v)
	case "library.name", "telemetry.instrumentation_library", "instrumentation_scope.name":
		return refineryName("scope", word, v)
	case "span.kind", "kind":
		return refineryEnum("kind", kinds, word, v)
	case "service_name", "service name":
		name = "service.name"
	case "trace.parent_id":
		switch word {
		case "not-exists":
			return trace(field{"parent", "none"})
		case "exists":
			return anyOf(trace(field{"spans", fields{{"min", int64(2)}}}), trace(field{"parent", "remote"}))
		}
		return isUnknown("trace.parent_id is compared by riffle with nothing: a local root has a remote parent or none")
	case "trace.trace_id", "trace.span_id", "meta.annotation_type", "meta.signal_type", "meta.event_count", "meta.span_event_count", "meta.span_link_count", "meta.refinery.reason":
		return isUnknown(name + ": riffle has no condition about it")
	}
	if strings.HasPrefix(name, "?.") {
		return isUnknown(oneLine(name) + " is no field that v3.2 of Refinery computes")
	}
	return refineryAttribute(name, word, v, o.text("Datatype"))
}

// typed is a value as its datatype has it.
func typed(v any, datatype string) any {
	switch datatype {
	case "string":
		if _, isList := v.([]any); !isList && v != nil {
			return text(v)
		}
	case "int", "float":
		if s, isText := v.(string); isText {
			if i, err := strconv.ParseInt(s, 10, 64); err == nil {
				return i
			}
			if f, err := strconv.ParseFloat(s, 64); err == nil {
				return f
			}
		}
		if f, isFloat := v.(float64); isFloat && datatype == "int" && math.Abs(f) < 1e15 {
			return int64(f)
		}
	case "bool":
		if s, isText := v.(string); isText {
			b, _ := strconv.ParseBool(s)
			return b
		}
	}
	return v
}

// refineryAttribute is a comparison of an attribute.
func refineryAttribute(name, word string, v any, datatype string) *expr {
	about := func(cond any) *expr { return attribute(name, cond) }
	exists := about(fields{{"exists", true}})
	switch word {
	case "exists":
		return exists
	case "not-exists":
		return about(fields{{"exists", false}})
	case "=", ">", ">=", "<", "<=":
		if v == nil {
			return isUnknown(oneLine(name) + " " + word + " has no Value")
		}
		return compared(about, word, scalarOr(v))
	case "!=":
		if v == nil {
			return exists
		}
		e := compared(about, word, scalarOr(v))
		if absentHolds(word, datatype) {
			return e
		}
		return allOf(exists, e)
	case "in", "not-in":
		values := scalars(v)
		if len(values) == 0 {
			return isUnknown(oneLine(name) + " " + word + " has no list of values")
		}
		e := about(values)
		if len(values) == 1 {
			e = about(values[0])
		}
		if word == "not-in" {
			return negate(e)
		}
		return e
	case "contains", "starts-with", "does-not-contain":
		s := text(v)
		if s == "" && v != "" {
			return isUnknown(oneLine(name) + " " + word + " has no text for a Value")
		}
		glob := fields{{"glob", map[bool]string{true: s + "*", false: "*" + s + "*"}[word == "starts-with"]}}
		if strings.ContainsAny(s, "*?") {
			glob = fields{{"regex", map[bool]string{true: "^", false: ""}[word == "starts-with"] + quotePattern(s)}}
		}
		if word == "does-not-contain" {
			return negate(about(glob))
		}
		return about(glob)
	case "matches":
		s := text(v)
		if err := checkPattern(s); err != nil {
			return isUnknown(err.Error())
		}
		return about(fields{{"regex", s}})
	}
	return isUnknown(fmt.Sprintf("the operator %q is none of Refinery's", oneLine(word)))
}

// scalarOr is a value that is compared; what is a list or a mapping is none.
func scalarOr(v any) any {
	switch v.(type) {
	case string, bool, int64, float64:
		return v
	}
	return notConstant{}
}

func scalars(v any) []any {
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	var out []any
	for _, x := range list {
		if _, no := scalarOr(x).(notConstant); !no {
			out = append(out, x)
		}
	}
	return out
}

// counted is a comparison of the number of spans.
func counted(word string, v any) *expr {
	n, isInt := v.(int64)
	if f, isFloat := v.(float64); isFloat && math.Abs(f) < 1e9 {
		n, isInt = int64(f), true
	}
	if !isInt || n < 0 || n > 1e9 {
		return isUnknown("the number of spans is compared with what is no number of them")
	}
	atLeast := func(n int64) *expr {
		if n <= 1 {
			return isAlways()
		}
		return trace(field{"spans", fields{{"min", n}}})
	}
	switch word {
	case ">":
		return atLeast(n + 1)
	case ">=":
		return atLeast(n)
	case "<":
		return negate(atLeast(n))
	case "<=":
		return negate(atLeast(n + 1))
	case "=":
		return allOf(atLeast(n), negate(atLeast(n+1)))
	case "!=":
		return negate(allOf(atLeast(n), negate(atLeast(n+1))))
	case "exists":
		return isAlways()
	case "not-exists":
		return isNever()
	}
	return isUnknown(fmt.Sprintf("the number of spans is not compared by %q", oneLine(word)))
}

func lastsMilliseconds(word string, v any) *expr {
	switch word {
	case "exists":
		return isAlways()
	case "not-exists":
		return isNever()
	}
	ms, isFloat := v.(float64)
	if n, isInt := v.(int64); isInt {
		ms, isFloat = float64(n), true
	}
	if !isFloat || ms < 0 || ms > 1e12 {
		return isUnknown("duration_ms is compared with what is no number of milliseconds")
	}
	return lasts(word, time.Duration(math.Round(ms*1e6)))
}

// failed is a comparison of the field error, which Honeycomb sets to true where the
// status is Error; nil if the field must be an attribute.
func failed(word string, v any) *expr {
	e := span(field{"status", "error"})
	switch {
	case word == "exists", word == "=" && text(v) == "true":
		return e
	case word == "not-exists", word == "!=" && text(v) == "true", word == "=" && text(v) == "false":
		return negate(e)
	case word == "!=" && text(v) == "false":
		return e
	}
	return nil
}

// refineryName is a comparison of what riffle takes a pattern with * for.
func refineryName(key, word string, v any) *expr {
	about := func(glob string) *expr { return span(field{key, glob}) }
	s := text(v)
	switch word {
	case "=", "!=":
		return named(about, word, scalarOr(s))
	case "exists":
		return isAlways()
	case "not-exists":
		return isNever()
	case "in", "not-in":
		var some []*expr
		for _, x := range scalars(v) {
			some = append(some, named(about, "=", text(x)))
		}
		if word == "not-in" {
			return negate(anyOf(some...))
		}
		return anyOf(some...)
	case "contains":
		return named(about, "matches", quotePattern(s))
	case "does-not-contain":
		return negate(named(about, "matches", quotePattern(s)))
	case "starts-with":
		return named(about, "matches", "^"+quotePattern(s))
	case "matches":
		return named(about, "matches", s)
	}
	return isUnknown(fmt.Sprintf("%s is not compared by %q", key, oneLine(word)))
}

func refineryEnum(key string, known map[string]string, word string, v any) *expr {
	switch word {
	case "exists":
		return isAlways()
	case "not-exists":
		return isNever()
	case "in", "not-in":
		var some []*expr
		for _, x := range scalars(v) {
			some = append(some, enumerated(key, known, "=", x))
		}
		if word == "not-in" {
			return negate(anyOf(some...))
		}
		return anyOf(some...)
	}
	return enumerated(key, known, word, v)
}
