package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core/component"
)

// samplerEntries returns the list with the ratio sampler that sample_rate
// stands for.
func (r *reader) samplerEntries() []*node {
	list := r.file.entries("samplers")
	ratios := ofType(list, "ratio")
	switch rated := r.file.has("sample_rate") || r.app.has("sample_rate"); {
	case list == nil && (r.otelFile != nil || !rated): // of variables, a rate takes the place
		list = r.otel.entries("samplers")
	case r.file.has("sample_rate") && len(ratios) > 0:
		r.fail(r.file.locate("sample_rate"), "sample_rate",
			fmt.Errorf("%s is a ratio sampler already: keep one of them", listed("samplers", list, ratios[:1])))
		return list
	}
	var rate member
	switch {
	case r.app.has("sample_rate"):
		rate = r.app.member("sample_rate")
	case r.file.has("sample_rate"):
		rate = r.file.member("sample_rate")
	case r.otel.has("sample_rate") && r.file.entries("samplers") == nil:
		rate = r.otel.member("sample_rate")
	default:
		return list
	}
	ratios = ofType(list, "ratio")
	rate.key, rate.from = "rate", rate.key
	switch len(ratios) {
	case 0:
		r.standIn("samplers", len(list), []member{rate})
		return append(list, newEntry("ratio", rate))
	case 1:
		list[ratios[0]] = list[ratios[0]].with(rate)
	default:
		r.fail(rate.pos, "sample_rate", fmt.Errorf("which of %s? set their rates in the file", listed("samplers", list, ratios)))
	}
	return list
}

// exporterEntries returns the list with what endpoint and insecure stand for,
// and one otlp exporter if nothing says where traces go.
func (r *reader) exporterEntries(enabled bool) []*node {
	var short []member
	take := func(key string, app, file bool) {
		switch {
		case file && r.file.entries("exporters") != nil:
			r.fail(r.file.locate(key), key, errors.New("belongs to an entry of exporters when there is such a list: move it there"))
		case app:
			short = append(short, r.app.member(key))
		case file:
			short = append(short, r.file.member(key))
		}
	}
	take("endpoint", r.app.has("endpoint"), r.file.has("endpoint"))
	take("insecure", r.app.has("insecure"), r.file.has("insecure"))
	list := r.file.entries("exporters")
	if list == nil {
		if !enabled && len(short) == 0 {
			return nil
		}
		if r.otel.entries("exporters") == nil || r.file.has("endpoint") || r.app.has("endpoint") {
			r.standIn("exporters", 0, short)
			return []*node{newEntry("otlp", short...)}
		}
		list = r.otel.entries("exporters")
	}
	otlp := ofType(list, "otlp")
	switch {
	case len(short) == 0:
	case len(otlp) == 1:
		list[otlp[0]] = list[otlp[0]].with(short...)
	case len(otlp) > 1:
		r.fail(short[0].pos, short[0].key, fmt.Errorf("which of %s? set it in the file", listed("exporters", list, otlp)))
	case short[0].key == "endpoint":
		r.standIn("exporters", len(list), short)
		list = append(list, newEntry("otlp", short...))
	default:
		r.fail(short[0].pos, short[0].key, errors.New("there is no otlp exporter that it could be about"))
	}
	return list
}

// standIn remembers that an entry was made from keys of the short form.
func (r *reader) standIn(list string, i int, short []member) {
	entry := indexPath(list, i)
	for _, m := range slices.Backward(short) {
		from := cmp.Or(m.from, m.key)
		r.standsFor[component.JoinPath(entry, m.key)] = from
		r.standsFor[entry] = from
	}
}

// newEntry makes a list entry in code.
func newEntry(typ string, members ...member) *node {
	n := &node{kind: mapping}
	if len(members) > 0 {
		n.pos = members[0].pos
	}
	n.members = append([]member{{key: "type", pos: n.pos, value: &node{kind: scalar, text: typ, pos: n.pos}}}, members...)
	return n
}

// ofType returns the indexes of the entries of a type.
func ofType(list []*node, typ string) []int {
	var at []int
	for i, n := range list {
		if n.kind == mapping && n.has("type") && n.member("type").value.text == typ {
			at = append(at, i)
		}
	}
	return at
}

// listed names entries for people: samplers[1] ("base") and samplers[2].
func listed(list string, entries []*node, at []int) string {
	names := make([]string, len(at))
	for i, j := range at {
		names[i] = fmt.Sprintf("%s[%d]", list, j)
		if n := entries[j]; n.has("name") {
			names[i] += fmt.Sprintf(" (%q)", n.member("name").value.text)
		}
	}
	return strings.Join(names, " and ")
}
