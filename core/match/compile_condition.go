package match

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/component"
)

var conditionKeys = []string{"equals", "exists", "glob", "ignore_case", "max", "min", "one_of", "regex"}

// condition reads a value, a list of values, or a mapping.
func (cc *compiler) condition(key string, want any, path string) *condition {
	c := &condition{key: attribute.Key(key), path: path}
	switch reflect.ValueOf(want).Kind() {
	case reflect.Map:
		parts, ok := want.(map[string]any)
		if !ok {
			cc.fail(path, "want a map[string]any, not a %T", want)
		} else {
			cc.parts(c, parts)
		}
	case reflect.Slice:
		c.tests = append(c.tests, test{among: cc.oneOf(want, path, false)})
	default:
		c.tests = append(c.tests, test{among: cc.equals(want, path, false)})
	}
	return c
}

func (cc *compiler) parts(c *condition, parts map[string]any) {
	if len(parts) == 0 {
		cc.fail(c.path, "an empty condition: want one or more of %s", strings.Join(conditionKeys, ", "))
	}
	ignoreCase := cc.ignoreCase(c, parts)
	for _, key := range slices.Sorted(maps.Keys(parts)) {
		x, at := parts[key], joinKey(c.path, key)
		switch key {
		case "equals":
			c.tests = append(c.tests, test{among: cc.equals(x, at, ignoreCase)})
		case "one_of":
			c.tests = append(c.tests, test{among: cc.oneOf(x, at, ignoreCase)})
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
			c.tests = append(c.tests, cc.glob(x, at, ignoreCase))
		case "regex":
			c.tests = append(c.tests, cc.regex(x, at, ignoreCase))
		case "ignore_case": // it was read
		case "min":
			n := cc.number(x, at)
			c.tests = append(c.tests, test{min: &n})
			if limit, ok := scalar(parts["max"]).(number); ok && n.compare(limit) > 0 {
				cc.fail(at, "%v is above max, %v", x, parts["max"])
			}
		case "max":
			n := cc.number(x, at)
			c.tests = append(c.tests, test{max: &n})
		default:
			cc.fail(at, "unknown key%s", suggest(key, conditionKeys))
		}
	}
	slices.SortStableFunc(c.tests, func(a, b test) int { return a.cost() - b.cost() })
}

func (cc *compiler) ignoreCase(c *condition, parts map[string]any) bool {
	x, ok := parts["ignore_case"]
	if !ok {
		return false
	}
	at := joinKey(c.path, "ignore_case")
	ignore, ok := x.(bool)
	if !ok {
		cc.fail(at, "want true or false, not %s", what(x))
	}
	for _, key := range []string{"equals", "one_of", "glob", "regex"} {
		if _, ok := parts[key]; ok {
			return ignore
		}
	}
	cc.fail(at, "it is about equals, one_of, glob and regex, and there is none of them")
	return ignore
}

func (cc *compiler) glob(x any, path string, ignoreCase bool) (t test) {
	s, ok := scalar(x).(string)
	if !ok {
		cc.fail(path, "want a string, not %s", what(x))
	}
	if g := Glob(s); !ignoreCase {
		return test{glob: &g}
	}
	var err error
	if t.pattern, err = compileGlob(Glob(s)); err != nil {
		cc.fail(path, "%w", err)
	}
	return t
}

func (cc *compiler) regex(x any, path string, ignoreCase bool) (t test) {
	s, ok := scalar(x).(string)
	if !ok {
		cc.fail(path, "want a string, not %s", what(x))
		return t
	}
	var err error
	if t.pattern, err = compilePattern(s, ignoreCase); err != nil {
		cc.fail(path, "%w", err)
	}
	return t
}

func (cc *compiler) equals(x any, path string, ignoreCase bool) *set {
	var s set
	cc.add(&s, x, path, ignoreCase)
	return &s
}

func (cc *compiler) oneOf(x any, path string, ignoreCase bool) *set {
	var s set
	v := reflect.ValueOf(x)
	switch {
	case v.Kind() != reflect.Slice:
		cc.fail(path, "want a list, not %s", what(x))
	case v.Len() == 0:
		cc.fail(path, "an empty list matches nothing")
	default:
		for i := range v.Len() {
			cc.add(&s, v.Index(i).Interface(), item(path, i), ignoreCase)
		}
	}
	return &s
}

func (cc *compiler) add(s *set, x any, path string, ignoreCase bool) {
	value := scalar(x)
	if value == nil {
		cc.fail(path, "want a string, a number or a boolean, not %s", what(x))
	}
	s.add(value, ignoreCase)
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

// what is a value in a message: of a type of its own, as of trace.SpanKind, that too.
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
	case scalar(x) == nil && v.Kind() != reflect.Float64: // not NaN
		return fmt.Sprintf("a %T", x)
	case v.Type().PkgPath() != "":
		return fmt.Sprintf("%v (a %T)", x, x)
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
