package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/internal/otelenv"
)

// resource reads resource. Texts become riffle's resource, which later sources can
// override key by key; what is of another type, or detected, has no key there.
func (f *otelFile) resource() {
	exact := &core.ExactResource{}
	f.section.ExactResource = exact
	n := f.get(f.file, "resource")
	if n == nil {
		return
	}
	texts := n.section()
	if text := f.get(n, "attributes_list"); text != nil {
		pairs, err := pairsOf(text.text)
		if err != nil {
			f.fail(text, n.member("attributes_list").pos, "%w", err)
		}
		for _, p := range pairs {
			v := text.as(p.Value)
			v.quoted = true
			texts.members = append(texts.members, member{key: p.Key, pos: v.pos, value: v})
		}
	}
	if all := f.get(n, "attributes"); all != nil {
		for _, a := range all.items {
			f.attribute(a, texts, exact)
		}
	}
	if url := f.get(n, "schema_url"); url != nil {
		exact.SchemaURL = url.text
	}
	if d := f.get(n, "detection/development"); d != nil {
		f.detection(d, texts, exact)
	}
	for _, key := range []string{"service_name", "service_version", "service_namespace"} {
		name := strings.Replace(key, "_", ".", 1)
		if m := texts.member(name); m.value != nil {
			f.tree.set(member{key: key, pos: m.pos, value: m.value})
			texts = texts.without(name)
		}
	}
	f.tree.set(member{key: "resource", pos: f.file.member("resource").pos, value: texts})
}

// attribute reads one attribute of the resource.
func (f *otelFile) attribute(a, texts *node, exact *core.ExactResource) {
	name, value := f.get(a, "name"), f.get(a, "value")
	if name == nil || value == nil || f.wrong[a] || a.has("type") && f.get(a, "type") == nil {
		return
	}
	typ := "string"
	if t := f.get(a, "type"); t != nil {
		typ = t.text
	}
	pos := a.member("value").pos
	elem, isList := strings.CutSuffix(typ, "_array")
	if isList != (value.kind == list) {
		want := "a list"
		if !isList {
			want = "a scalar"
		}
		f.wantNot(value, member{pos: pos}, want+", as the type is "+typ)
		return
	}
	items := []*node{value}
	if isList {
		items = value.items
	}
	var kv attribute.KeyValue
	ok := true
	switch elem {
	case "bool":
		kv, ok = attributeOf(f, name.text, items, isList, "true or false", func(n *node) (bool, bool) {
			v, ok := yamlBool(n.text)
			return v, ok && n.isPlain()
		}, attribute.Bool, attribute.BoolSlice)
	case "int":
		kv, ok = attributeOf(f, name.text, items, isList, "a whole number", otelInt, attribute.Int64, attribute.Int64Slice)
	case "double":
		kv, ok = attributeOf(f, name.text, items, isList, "a number", func(n *node) (float64, bool) {
			v, err := strconv.ParseFloat(yamlFloat(n.text), 64)
			return v, err == nil && n.isPlain()
		}, attribute.Float64, attribute.Float64Slice)
	default:
		if !isList {
			texts.set(member{key: name.text, pos: pos, value: value})
			exact.Attributes = withoutKey(exact.Attributes, name.text)
			return
		}
		kv, _ = attributeOf(f, name.text, items, isList, "", func(n *node) (string, bool) { return n.text, true }, attribute.String, attribute.StringSlice)
	}
	if ok {
		*texts = *texts.without(name.text)
		exact.Attributes = append(withoutKey(exact.Attributes, name.text), kv)
	}
}

func withoutKey(attrs []attribute.KeyValue, key string) []attribute.KeyValue {
	return slices.DeleteFunc(attrs, func(kv attribute.KeyValue) bool { return string(kv.Key) == key })
}

// attributeOf makes an attribute of scalars.
func attributeOf[T any](f *otelFile, key string, items []*node, isList bool, want string, parse func(*node) (T, bool),
	one func(string, T) attribute.KeyValue, many func(string, []T) attribute.KeyValue,
) (kv attribute.KeyValue, ok bool) {
	values := make([]T, len(items))
	ok = true
	for i, n := range items {
		var parsed bool
		if values[i], parsed = parse(n); !parsed {
			f.wantNot(n, member{pos: n.pos}, want)
			ok = false
		}
	}
	if !ok {
		return kv, false
	}
	if isList {
		return many(key, values), true
	}
	return one(key, values[0]), true
}

// detection reads what is to be detected.
func (f *otelFile) detection(n, texts *node, exact *core.ExactResource) {
	if d := f.get(n, "detectors"); d != nil {
		for _, item := range d.items {
			if m := f.only(item); m.key != "" && !slices.Contains(exact.Detectors, m.key) {
				exact.Detectors = append(exact.Detectors, m.key)
			}
		}
	}
	if a := f.get(n, "attributes"); a != nil {
		exact.Included = f.globs(a, "included")
		exact.Excluded = f.globs(a, "excluded")
	}
	const variable = otelenv.ServiceName
	if name := f.env[variable]; name != "" && slices.Contains(exact.Detectors, "service") && exact.Includes("service.name") && !texts.has("service.name") {
		texts.set(member{key: "service.name", pos: variable, value: &node{kind: scalar, text: name, quoted: true, pos: variable, path: n.path}})
	}
}

func (f *otelFile) globs(n *node, key string) []match.Glob {
	var all []match.Glob
	if list := f.get(n, key); list != nil {
		for _, item := range list.items {
			all = append(all, match.Glob(item.text))
		}
	}
	return all
}

// propagators reads propagator.
func (f *otelFile) propagators() {
	out := &node{kind: list, pos: f.file.pos}
	add := func(n *node, name string) {
		if name != "none" && !slices.ContainsFunc(out.items, func(o *node) bool { return o.text == name }) {
			out.items = append(out.items, n.as(name))
		}
	}
	if n := f.get(f.file, "propagator"); n != nil {
		out.pos, out.path = f.file.member("propagator").pos, n.path
		if all := f.get(n, "composite"); all != nil {
			for _, item := range all.items {
				if m := f.only(item); m.key != "" {
					add(m.value, m.key)
				}
			}
		}
		if text := f.get(n, "composite_list"); text != nil {
			f.propagatorList(text, n.member("composite_list").pos, func(name string) { add(text, name) })
		}
	}
	if len(out.items) == 0 {
		out.items = []*node{out.as("none")}
	}
	f.tree.set(member{key: "propagators", pos: out.pos, value: out})
}

func (f *otelFile) propagatorList(text *node, pos string, add func(name string)) {
	for name := range strings.SplitSeq(text.text, ",") {
		switch name = strings.TrimSpace(name); {
		case name == "":
		case slices.Contains(core.PropagatorNames(), name):
			add(name)
		case len(f.errs) > maxMistakes:
			return
		default:
			hint := ""
			if near := component.Nearest(name, core.PropagatorNames()); near != "" {
				hint = fmt.Sprintf(" (did you mean %q?)", near)
			}
			f.fail(text, pos, "unknown propagator %s%s: known are %s", component.Shown(name), hint, strings.Join(core.PropagatorNames(), ", "))
		}
	}
}

// limits reads tracer_provider.limits and attribute_limits. All are set, so that none
// is the environment's.
func (f *otelFile) limits() {
	general := f.get(f.file, "attribute_limits")
	own := f.get(f.get(f.file, "tracer_provider"), "limits")
	at := f.file.section()
	for _, n := range []*node{general, own} {
		if n != nil {
			at = n.section()
		}
	}
	for _, l := range []struct{ key, otherwise string }{
		{"attribute_count", "128"},
		{"attribute_value_length", "-1"},
		{"event_count", "128"},
		{"link_count", "128"},
		{"event_attribute_count", "128"},
		{"link_attribute_count", "128"},
	} {
		v := f.get(own, l.key+"_limit")
		if v == nil {
			v = f.get(general, l.key+"_limit") // which has the first two alone
		}
		if v == nil {
			at.put(l.key, at.as(l.otherwise))
			continue
		}
		x, _ := otelInt(v)
		at.put(l.key, v.as(strconv.FormatInt(min(x, 1<<31-1), 10)))
	}
	f.tree.put("limits", at)
}
