package match

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/route"
)

// compiler goes on after a mistake, so that all of them are found.
type compiler struct {
	keys map[attribute.Key]struct{}
	errs []error
}

func (cc *compiler) err() error { return errors.Join(cc.errs...) }

func (cc *compiler) fail(path, format string, args ...any) {
	cc.errs = append(cc.errs, &component.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
}

func (cc *compiler) config(c Config, path string) test {
	before := len(cc.errs)
	var tests []test
	if kinds := cc.texts(c.Kind, join(path, "kind")); kinds != nil {
		tests = append(tests, cc.kind(kinds))
	}
	if c.Name != "" {
		tests = append(tests, nameIs(Glob(c.Name)))
	}
	for _, key := range slices.Sorted(maps.Keys(c.Attributes)) {
		tests = append(tests, cc.attribute(key, c.Attributes[key], joinKey(join(path, "attributes"), key)))
	}
	if patterns := cc.texts(c.Route, join(path, "route")); patterns != nil {
		tests = append(tests, cc.route(patterns))
	}
	if len(c.All) > 0 {
		tests = append(tests, allOf(cc.list(c.All, join(path, "all"))))
	}
	if len(c.Any) > 0 {
		tests = append(tests, anyOf(cc.list(c.Any, join(path, "any"))))
	}
	if c.Not != nil {
		tests = append(tests, not(cc.config(*c.Not, join(path, "not"))))
	}
	if len(tests) == 0 && len(cc.errs) == before {
		cc.fail(path, "an empty match: want one or more of attributes, name, kind, route, all, any, not")
	}
	return allOf(tests)
}

func (cc *compiler) list(all []Config, path string) []test {
	tests := make([]test, len(all))
	for i, c := range all {
		tests[i] = cc.config(c, item(path, i))
	}
	return tests
}

// text is a string with its place.
type text struct{ text, path string }

// texts reads a string or a list of them; nil is none, or a mistake.
func (cc *compiler) texts(x any, path string) []text {
	if x == nil {
		return nil
	}
	if s, ok := x.(string); ok {
		return []text{{s, path}}
	}
	v := reflect.ValueOf(x)
	if v.Kind() != reflect.Slice {
		cc.fail(path, "want a string or a list of them, not %s", what(x))
		return nil
	}
	if v.Len() == 0 {
		cc.fail(path, "an empty list matches nothing")
	}
	var all []text
	for i := range v.Len() {
		s, ok := reflect.TypeAssert[string](v.Index(i))
		if !ok {
			cc.fail(item(path, i), "want a string, not %s", what(v.Index(i).Interface()))
			continue
		}
		all = append(all, text{s, item(path, i)})
	}
	return all
}

var kindNames = []string{"internal", "server", "client", "producer", "consumer"}

func (cc *compiler) kind(names []text) test {
	var kinds kindSet
	for _, name := range names {
		i := slices.Index(kindNames, name.text)
		if i < 0 {
			cc.fail(name.path, "%q is not a kind%s", name.text, suggest(name.text, kindNames))
			continue
		}
		kinds[trace.SpanKindInternal+trace.SpanKind(i)] = true
	}
	return kindIn(kinds)
}

// route spreads patterns over tables so that none conflicts with another of its
// table: which of them wins does not matter here.
func (cc *compiler) route(patterns []text) test {
	for _, k := range route.Keys() {
		cc.keys[k] = struct{}{}
	}
	var tables []*route.Table[struct{}]
	for _, p := range patterns {
		for i := 0; ; i++ {
			if i == len(tables) {
				tables = append(tables, new(route.Table[struct{}]))
			}
			err := tables[i].Add(p.text, struct{}{})
			if errors.As(err, new(*route.ConflictError)) {
				continue
			}
			if err != nil {
				cc.fail(p.path, "%w", err)
			}
			break
		}
	}
	return routeIn(tables)
}

var conditionKeys = []string{"equals", "exists", "glob", "max", "min", "one_of"}

func (cc *compiler) attribute(key string, want any, path string) test {
	c := &condition{key: attribute.Key(key)}
	cc.keys[c.key] = struct{}{}
	v := reflect.ValueOf(want)
	switch v.Kind() {
	case reflect.Map:
		parts, ok := want.(map[string]any)
		if !ok {
			cc.fail(path, "want a map[string]any, not a %T", want)
		} else {
			cc.condition(c, parts, path)
		}
	case reflect.Slice:
		c.checks = append(c.checks, cc.oneOf(want, path))
	default:
		c.checks = append(c.checks, cc.equals(want, path))
	}
	return c.test
}

func (cc *compiler) condition(c *condition, parts map[string]any, path string) {
	if len(parts) == 0 {
		cc.fail(path, "an empty condition: want one or more of %s", strings.Join(conditionKeys, ", "))
	}
	for _, key := range slices.Sorted(maps.Keys(parts)) {
		x, at := parts[key], joinKey(path, key)
		switch key {
		case "equals":
			c.checks = append(c.checks, cc.equals(x, at))
		case "one_of":
			c.checks = append(c.checks, cc.oneOf(x, at))
		case "exists":
			exists, ok := x.(bool)
			if !ok {
				cc.fail(at, "want true or false, not %s", what(x))
			}
			c.absent = ok && !exists
			if c.absent && len(parts) > 1 {
				cc.fail(at, "an attribute that does not exist meets no other condition")
			}
		case "glob":
			g, ok := x.(string)
			if !ok {
				cc.fail(at, "want a string, not %s", what(x))
			}
			c.checks = append(c.checks, matches(Glob(g)))
		case "min":
			n := cc.number(x, at)
			c.checks = append(c.checks, atLeast(n))
			if limit, ok := scalar(parts["max"]).(number); ok && n.compare(limit) > 0 {
				cc.fail(at, "%v is above max, %v", x, parts["max"])
			}
		case "max":
			c.checks = append(c.checks, atMost(cc.number(x, at)))
		default:
			cc.fail(at, "unknown key%s", suggest(key, conditionKeys))
		}
	}
}

func (cc *compiler) equals(x any, path string) check {
	var s set
	cc.add(&s, x, path)
	return s.has
}

func (cc *compiler) oneOf(x any, path string) check {
	var s set
	v := reflect.ValueOf(x)
	switch {
	case v.Kind() != reflect.Slice:
		cc.fail(path, "want a list, not %s", what(x))
	case v.Len() == 0:
		cc.fail(path, "an empty list matches nothing")
	default:
		for i := range v.Len() {
			cc.add(&s, v.Index(i).Interface(), item(path, i))
		}
	}
	return s.has
}

func (cc *compiler) add(s *set, x any, path string) {
	value := scalar(x)
	if value == nil {
		cc.fail(path, "want a string, a number or a boolean, not %s", what(x))
	}
	s.add(value)
}

func (cc *compiler) number(x any, path string) number {
	n, ok := scalar(x).(number)
	if !ok {
		cc.fail(path, "want a number, not %s", what(x))
	}
	return n
}

// scalar returns x as a string, a bool or a number, nil if it is none.
func scalar(x any) any {
	v := reflect.ValueOf(x)
	switch {
	case v.Kind() == reflect.String:
		return v.String()
	case v.Kind() == reflect.Bool:
		return v.Bool()
	case v.CanInt():
		return integer(v.Int())
	case v.CanUint() && v.Uint() <= math.MaxInt64:
		return integer(int64(v.Uint()))
	case v.CanUint():
		return number{f: float64(v.Uint())}
	case v.CanFloat() && !math.IsNaN(v.Float()):
		return number{f: v.Float()}
	default:
		return nil
	}
}

// what is a value in a message.
func what(x any) string {
	switch v := reflect.ValueOf(x); {
	case x == nil:
		return "nothing"
	case v.Kind() == reflect.Map:
		return "a mapping"
	case v.Kind() == reflect.Slice:
		return "a list"
	case v.Kind() == reflect.String:
		return strconv.Quote(v.String())
	default:
		return fmt.Sprint(x)
	}
}

// suggest ends a message about an unknown word.
func suggest(word string, known []string) string {
	if near := component.Nearest(word, known); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ": known are " + strings.Join(known, ", ")
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// joinKey quotes a key that is no identifier, as an attribute's with dots.
func joinKey(path, key string) string {
	special := func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	if key == "" || strings.ContainsFunc(key, special) {
		return path + "[" + strconv.Quote(key) + "]"
	}
	return join(path, key)
}

func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
