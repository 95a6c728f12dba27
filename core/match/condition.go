package match

import (
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// condition is about one attribute, or about what has a key and a value likewise.
type condition struct {
	key    attribute.Key
	absent bool   // it must not be there
	tests  []test // of its value: all must hold
	number int    // among those that a resource can meet
	ended  bool   // the attribute may be one of an exception event
	path   string // within the match
}

// among reports whether the attributes meet the condition.
func (c *condition) among(attrs []attribute.KeyValue) bool {
	return c.holds(last(attrs, c.key))
}

// holds reports whether a value meets the condition, or that there is none.
func (c *condition) holds(v *attribute.Value) bool {
	switch {
	case v == nil || c.absent:
		return v == nil && c.absent
	case len(c.tests) == 0:
		return true
	}
	switch v.Type() {
	case attribute.STRING, attribute.INT64, attribute.FLOAT64, attribute.BOOL: // as most are
		return c.pass(v)
	default:
		return holdsFor(c, *v)
	}
}

// holdsText is about a member that has a text, or is not there.
func (c *condition) holdsText(text string, ok bool) bool {
	if !ok {
		return c.holds(nil)
	}
	v := attribute.StringValue(text)
	return c.holds(&v)
}

// holdsFor is about a value that is no list.
func (c *condition) holdsFor(v attribute.Value) bool { return c.pass(&v) }

func (c *condition) pass(v *attribute.Value) bool {
	for i := range c.tests {
		if !c.tests[i].holds(v) {
			return false
		}
	}
	return true
}

// test is about one value that is no list: one of its fields is set.
type test struct {
	among    *set
	glob     *Glob
	pattern  *pattern
	min, max *number
}

// cost orders tests: patterns are for what nothing else has ruled out.
func (t *test) cost() int {
	switch {
	case t.pattern != nil:
		return 2
	case t.glob != nil:
		return 1
	default:
		return 0
	}
}

// cost likewise.
func (c *condition) cost() (most int) {
	for i := range c.tests {
		most = max(most, c.tests[i].cost())
	}
	return most
}

func (t *test) holds(v *attribute.Value) bool {
	switch {
	case t.among != nil:
		return t.among.has(v)
	case t.glob != nil:
		return v.Type() == attribute.STRING && t.glob.Match(v.AsString())
	case t.pattern != nil:
		return v.Type() == attribute.STRING && t.pattern.match(v.AsString())
	}
	n, ok := numberOf(v)
	if t.min != nil {
		return ok && n.compare(*t.min) >= 0
	}
	return ok && n.compare(*t.max) <= 0
}

// set are the values that a condition asks for: strings, booleans and numbers.
type set struct {
	texts   textSet
	folded  map[uint64][]string // instead of texts, if the case is ignored
	longest int                 // of folded, as long as another case can make it
	bools   [2]bool             // false, true
	numbers []number            // sorted
	// inTexts are the numbers that texts say, sorted: those of attributes are
	// compared with them too.
	inTexts []number
}

func (s *set) add(x any, ignoreCase bool) {
	switch x := x.(type) {
	case string:
		if n, ok := parseNumber(x); ok && n.text() == x {
			s.inTexts = insert(s.inTexts, n)
		}
		if !ignoreCase {
			s.texts.add(x)
			return
		}
		if s.folded == nil {
			s.folded = map[uint64][]string{}
		}
		h := foldHash(x)
		s.folded[h] = append(s.folded[h], x)
		s.longest = max(s.longest, 3*len(x)) // K, of one byte, is also one of three
	case bool:
		s.bools[index(x)] = true
	case number:
		s.numbers = insert(s.numbers, x)
	}
}

func insert(sorted []number, n number) []number {
	i, _ := slices.BinarySearchFunc(sorted, n, number.compare)
	return slices.Insert(sorted, i, n)
}

func contains(sorted []number, n number) bool {
	if len(sorted) == 1 { // as most have
		return sorted[0].compare(n) == 0
	}
	_, ok := slices.BinarySearchFunc(sorted, n, number.compare)
	return ok
}

func (s *set) has(v *attribute.Value) bool {
	switch v.Type() {
	case attribute.STRING:
		text := v.AsString()
		if s.texts.has(text) || s.folded != nil && s.hasFolded(text) {
			return true
		}
		if len(s.numbers) == 0 {
			return false
		}
		n, ok := parseNumber(text)
		return ok && contains(s.numbers, n)
	case attribute.BOOL:
		return s.bools[index(v.AsBool())]
	}
	n, ok := numberOf(v)
	return ok && (contains(s.numbers, n) || contains(s.inTexts, n))
}

func (s *set) hasFolded(text string) bool {
	if len(text) > s.longest {
		return false
	}
	for _, t := range s.folded[foldHash(text)] {
		if strings.EqualFold(t, text) {
			return true
		}
	}
	return false
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}
