package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
)

// check holds a node, the value of m, against its type in the schema, and finds every
// mistake in it.
func (f *otelFile) check(n *node, m member, typ string) {
	if n.kind == broken || len(f.errs) > maxMistakes {
		f.wrong[n] = true
		return
	}
	name, nullable := otelProperty{typ: typ}.value()
	elem, isList := strings.CutPrefix(name, "[]")
	t, isType := otelTypes[name]
	if name == "secret" {
		f.hide(n)
	}
	switch {
	case name == "any", n.kind == null && (nullable || t.null):
	case isList:
		f.checkList(n, m, elem)
	case name == "value":
		f.checkValue(n, m)
	case len(t.enum) > 0:
		if n.kind != scalar || !slices.Contains(t.enum, n.text) {
			f.wantNot(n, m, "one of "+strings.Join(t.enum, ", "))
		}
	case isType:
		f.checkMapping(n, m, t)
	default:
		switch want := wantScalar(n, name); {
		case want == "":
		case n.kind == scalar && n.quoted:
			f.fail(n, m.pos, "want %s, not %s (no quotes)", want, f.reader.wrong(n))
		default:
			f.wantNot(n, m, want)
		}
	}
}

func (f *otelFile) wantNot(n *node, m member, want string) {
	f.fail(n, m.pos, "want %s, not %s", want, f.reader.wrong(n))
}

func (f *otelFile) checkList(n *node, m member, elem string) {
	switch {
	case n.kind != list:
		f.wantNot(n, m, "a list")
	case len(n.items) == 0:
		f.fail(n, m.pos, "want one item or more")
	}
	for _, item := range n.items {
		f.check(item, member{pos: item.pos}, elem)
	}
}

// checkValue checks that of an attribute; its type is checked with it.
func (f *otelFile) checkValue(n *node, m member) {
	switch n.kind {
	case scalar:
	case list:
		for _, item := range n.items {
			if item.kind != scalar {
				f.wrong[n] = true
				f.check(item, member{pos: item.pos}, "string")
			}
		}
		if len(n.items) == 0 {
			f.fail(n, m.pos, "want one item or more")
		}
	default:
		f.wantNot(n, m, "a scalar or a list")
	}
}

func (f *otelFile) checkMapping(n *node, m member, t otelType) {
	if n.kind != mapping {
		f.wantNot(n, m, "a mapping")
		return
	}
	for _, p := range t.properties {
		if p.required() && n.member(p.key).value == nil {
			f.wrong[n] = true
			f.failKey(m.pos, keyPath(n.path, p.key), "missing")
		}
	}
	if t.one && len(n.members) != 1 {
		f.fail(n, m.pos, "want one key, which says what kind it is, not %d: one of %s", len(n.members), strings.Join(f.known(t), ", "))
		return
	}
	for _, m := range n.members {
		p, ok := t.property(m.key)
		switch {
		case !ok && len(t.properties) > 0 && n == f.file:
			f.passUnknown(m, t)
		case !ok:
			f.checkOpen(m, t)
		case p.fate == refused:
			f.fail(m.value, m.pos, "not supported: %s", p.what)
		default:
			if p.fate == passed {
				f.passed = append(f.passed, shownPath(m.value.path))
			}
			f.check(m.value, m, strings.TrimSuffix(p.typ, "!"))
		}
	}
}

// passUnknown passes a key of the whole file over, which the schema allows.
func (f *otelFile) passUnknown(m member, t otelType) {
	said := shownPath(m.value.path)
	if near := nearest(m.key, t.keys()); near != "" {
		said += fmt.Sprintf(" (did you mean %s?)", near)
	}
	f.passed = append(f.passed, said)
}

// checkOpen checks a key that is no property: it may be a component's name.
func (f *otelFile) checkOpen(m member, t otelType) {
	known := f.known(t)
	if t.open == openAny {
		return // what is whose is known to those who read it
	}
	if isComponent := t.open != closed && slices.Contains(known, m.key); isComponent {
		if m.value.kind != mapping && m.value.kind != null && m.value.kind != broken {
			f.hide(m.value)
			f.fail(m.value, m.pos, "want a mapping of what %q is configured with, not %s", m.key, f.reader.wrong(m.value))
		}
		return
	}
	f.hideUnknown(m, t)
	if t.open == openIDGenerator && nearest(m.key, known) == "" && (m.value.kind == mapping || m.value.kind == null) {
		f.warn(m.pos, "ID generator %s is set in Go, with core.IDGenerator: without it, IDs are at random", component.Shown(m.key))
		return
	}
	f.fail(m.value, m.pos, "%w", unknownIn(m.key, t, known))
}

// hideUnknown hides the value of an unknown key, which may be a misspelled one for
// secrets, or hold some.
func (f *otelFile) hideUnknown(m member, t otelType) {
	if p, _ := t.property(component.Nearest(m.key, t.keys())); strings.HasPrefix(p.key, "headers") {
		f.hide(m.value)
		return
	}
	(&decoder{hide: f.hide}).hideUnknown(m, nil)
}

// known are the keys that a type can have.
func (f *otelFile) known(t otelType) []string {
	keys := t.keys()
	switch t.open {
	case openExporter:
		keys = append(keys, f.exporters.Names()...)
	case openSampler:
		keys = append(keys, f.samplers.Names()...)
	case openPropagator:
		keys = append(keys, slices.DeleteFunc(core.PropagatorNames(), func(name string) bool {
			return name == "none" || slices.Contains(keys, name)
		})...)
	default:
	}
	return keys
}

func unknownIn(key string, t otelType, known []string) error {
	var what string
	switch t.open {
	case openExporter:
		what = "exporter"
	case openSampler:
		what = "sampler"
	case openPropagator:
		what = "propagator"
	case openProcessor:
		what = "span processor"
	case openIDGenerator:
		what = "ID generator"
	case openDetector:
		what = "resource detector"
	default:
		return unknownKey(key, known)
	}
	if key == "plugin" {
		return component.ErrNoPluginHost
	}
	said := "unknown " + what
	if near := nearest(key, known); near != "" {
		said += fmt.Sprintf(" (did you mean %q?)", near)
	}
	said += ": known are " + strings.Join(known, ", ")
	switch t.open {
	case openExporter, openSampler:
		said += " (forgotten import?)"
	case openProcessor:
		said += "; one of your own is added in Go, with core.SpanProcessor"
	default:
	}
	return errors.New(said)
}

// wantScalar returns what is wanted if a node is not it; else "".
func wantScalar(n *node, typ string) string {
	switch typ {
	case "string", "secret":
		if n.kind == scalar {
			return ""
		}
		return "a string"
	case "boolean":
		if _, ok := yamlBool(n.text); n.isPlain() && ok {
			return ""
		}
		return "true or false"
	case "ratio":
		if x, err := strconv.ParseFloat(yamlFloat(n.text), 64); n.isPlain() && err == nil && x >= 0 && x <= 1 {
			return ""
		}
		return "a number from 0 to 1"
	}
	least, want := int64(0), "a whole number, 0 or more"
	if typ == "positive" {
		least, want = 1, "a whole number above 0"
	}
	if x, ok := otelInt(n); ok && x >= least {
		return ""
	}
	return want
}

// otelInt reads a whole number in the forms of YAML 1.2, and one that is written with
// a point.
func otelInt(n *node) (int64, bool) {
	if !n.isPlain() || strings.Contains(n.text, "_") {
		return 0, false
	}
	if x, err := strconv.ParseInt(n.text, 10, 64); err == nil {
		return x, true
	}
	if strings.HasPrefix(n.text, "0x") || strings.HasPrefix(n.text, "0o") {
		x, err := strconv.ParseInt(n.text, 0, 64)
		return x, err == nil
	}
	x, err := strconv.ParseFloat(n.text, 64)
	return int64(x), err == nil && x == math.Trunc(x) && math.Abs(x) < 1<<53
}
