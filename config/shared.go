package config

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core/component"
)

// A key of a component that is tagged shared:"plugins" can be set in the section
// plugins for all entries of its type. No package of components is known here: the
// registries tell which sections there are.

// sharedType is a type with keys that a section sets.
type sharedType struct {
	fields []component.Field
	// check decodes an entry of the type.
	check func(component.Decode) error
}

// sharedTypes are the types with keys of a section, by the section's key.
func (r *reader) sharedTypes() map[string][]sharedType {
	all := map[string][]sharedType{}
	for t := range concat(typesOf(r.samplers), typesOf(r.exporters)) {
		sections := map[string][]component.Field{}
		for _, f := range t.fields {
			if f.Shared != "" {
				sections[f.Shared] = append(sections[f.Shared], f)
			}
		}
		for name, fields := range sections {
			all[name] = append(all[name], sharedType{fields, t.check})
		}
	}
	return all
}

func typesOf[T any](r *component.Registry[T]) iter.Seq[sharedType] {
	return func(yield func(sharedType) bool) {
		for _, name := range r.Names() {
			f, _ := r.Lookup(name)
			if !yield(sharedType{f.Fields(), func(d component.Decode) error { return f.Plan("", d).Err() }}) {
				return
			}
		}
	}
}

func concat[T any](seqs ...iter.Seq[T]) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, seq := range seqs {
			for v := range seq {
				if !yield(v) {
					return
				}
			}
		}
	}
}

// sharedFields are the keys of a section.
func sharedFields(types []sharedType) []component.Field {
	var all []component.Field
	for _, t := range types {
		for _, f := range t.fields {
			if !slices.ContainsFunc(all, func(o component.Field) bool { return o.Key == f.Key }) {
				all = append(all, f)
			}
		}
	}
	return all
}

func (r *reader) sharedSections() []string { return slices.Sorted(maps.Keys(r.sharedTypes())) }

// withShared returns an entry with what sections set for its type and it does not.
func (r *reader) withShared(n *node, path string, fields []component.Field) *node {
	for _, f := range fields {
		if f.Shared == "" || n.has(f.Key) {
			continue
		}
		if section := r.file.member(f.Shared).value; section.has(f.Key) {
			n = n.with(section.member(f.Key))
			r.standsFor[component.JoinPath(path, f.Key)] = component.JoinPath(f.Shared, f.Key)
			r.shown[f.Shared] = true
		}
	}
	return n
}

// checkShared finds the mistakes in the sections that no entry shows.
func (r *reader) checkShared() {
	for name, types := range r.sharedTypes() {
		m := r.file.member(name)
		if m.value == nil || m.value.kind == null || m.value.kind == broken {
			continue
		}
		if m.value.kind != mapping {
			r.fail(m.pos, name, fmt.Errorf("want a mapping, not %s", m.value.what()))
			continue
		}
		var known []string
		for _, f := range sharedFields(types) {
			known = append(known, f.Key)
		}
		slices.Sort(known)
		for _, key := range m.value.members {
			switch near := component.Nearest(key.key, known); {
			case slices.Contains(known, key.key):
			case near != "":
				r.fail(key.pos, keyPath(name, key.key), fmt.Errorf("unknown key (did you mean %q?)", near))
			default:
				r.fail(key.pos, keyPath(name, key.key), fmt.Errorf("unknown key: known are %s", strings.Join(known, ", ")))
			}
		}
		if !r.shown[name] {
			r.checkValues(m.value, name, types[0], known)
		}
	}
}

// checkValues finds the mistakes in the values of a section that no entry has.
func (r *reader) checkValues(section *node, name string, t sharedType, keys []string) {
	p := listEntry{reader: r, node: section}
	err := t.check(func(into any) error { return p.read(decoder{only: keys}, into) })
	for _, e := range component.FieldErrors(err) {
		if key, _, _ := cutPath(e.Path); slices.Contains(keys, key) {
			r.fail(section.locate(e.Path), component.JoinPath(name, e.Path), e.Err)
		}
	}
}
