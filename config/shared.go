package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core/component"
)

// A key of a component that is tagged shared:"plugins" can be set in the section
// plugins for all entries of its type. The registries tell which sections there are.

// sharedType is a type with keys that a section sets.
type sharedType struct {
	section string
	fields  []component.Field
	// check decodes an entry of the type.
	check func(component.Decode) error
}

func sharedTypes(o *options) []sharedType {
	return append(sharedTypesOf(o.samplers), sharedTypesOf(o.exporters)...)
}

func sharedTypesOf[T any](r *component.Registry[T]) []sharedType {
	var all []sharedType
	for _, f := range factories(r) {
		first := len(all)
		for _, field := range f.Fields() {
			if field.Shared == "" {
				continue
			}
			i := slices.IndexFunc(all[first:], func(t sharedType) bool { return t.section == field.Shared })
			if i < 0 {
				i = len(all) - first
				all = append(all, sharedType{section: field.Shared, check: func(d component.Decode) error { return f.Plan("", d).Err() }})
			}
			t := &all[first+i]
			t.fields = append(t.fields, field)
		}
	}
	return all
}

// sharedSections are the names of the sections, sorted.
func sharedSections(types []sharedType) []string {
	var names []string
	for _, t := range types {
		names = append(names, t.section)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// sharedFields are the keys of a section.
func sharedFields(types []sharedType, section string) []component.Field {
	var all []component.Field
	for _, t := range types {
		for _, f := range t.fields {
			if t.section == section && !slices.ContainsFunc(all, func(o component.Field) bool { return o.Key == f.Key }) {
				all = append(all, f)
			}
		}
	}
	return all
}

// withShared returns an entry with what sections set for its type and it does not.
func (r *reader) withShared(n *node, path string, fields []component.Field) *node {
	for _, f := range fields {
		if f.Shared == "" || n.has(f.Key) {
			continue
		}
		if section := r.sharedSection(f.Shared).value; section.has(f.Key) {
			n = n.with(section.member(f.Key))
			r.standsFor[component.JoinPath(path, f.Key)] = component.JoinPath(f.Shared, f.Key)
		}
	}
	return n
}

// sharedSection returns a section of the file, or of the one that OTEL_CONFIG_FILE
// names.
func (r *reader) sharedSection(name string) member {
	if m := r.file.member(name); m.value != nil {
		return m
	}
	return r.otel.member(name)
}

// checkShared finds the mistakes in the sections, whether or not there are entries
// that take keys from them.
func (r *reader) checkShared() {
	for _, name := range sharedSections(r.shared) {
		m := r.sharedSection(name)
		if m.value == nil || m.value.kind == null || m.value.kind == broken {
			continue
		}
		if m.value.kind != mapping {
			if m.value.kind == list { // of plugins, with what is theirs
				r.hide(m.value)
			}
			r.fail(m.pos, name, fmt.Errorf("want a mapping, not %s", r.wrong(m.value)))
			continue
		}
		known := keysIn(sharedFields(r.shared, name))
		for _, key := range m.value.members {
			if !slices.Contains(known, key.key) {
				if component.Nearest(key.key, known) == "" { // it may be meant for an entry
					r.hide(key.value)
				}
				(&decoder{hide: r.hide}).hideUnknown(key, nil)
				r.fail(key.pos, keyPath(name, key.key), unknownKey(key.key, known))
			}
		}
		for _, t := range r.shared {
			if t.section == name {
				r.checkSharedType(m.value, t)
			}
		}
	}
}

// checkSharedType finds the mistakes in the values of a section that one of its
// types has.
func (r *reader) checkSharedType(section *node, t sharedType) {
	p, keys := listEntry{reader: r, node: section}, keysIn(t.fields)
	err := t.check(func(into any) error { return p.read(decoder{only: keys}, into) })
	for _, e := range component.FieldErrors(err) {
		if key, _, _ := cutPath(e.Path); slices.Contains(keys, key) {
			r.fail(section.locate(e.Path), component.JoinPath(t.section, e.Path), e.Err)
		}
	}
}

func keysIn(fields []component.Field) []string {
	keys := make([]string, 0, len(fields))
	for _, f := range fields {
		keys = append(keys, f.Key)
	}
	return keys
}

// unknownKey says what there is instead of a key.
func unknownKey(key string, known []string) error {
	if near := nearest(key, known); near != "" {
		return unknownKeyError(fmt.Sprintf("unknown key (did you mean %q?)", near))
	}
	if len(known) == 0 {
		return unknownKeyError("unknown key: want none here")
	}
	return unknownKeyError("unknown key: known are " + strings.Join(slices.Sorted(slices.Values(known)), ", "))
}

// unknownKeyError is about a key, whatever its value.
type unknownKeyError string

func (e unknownKeyError) Error() string { return string(e) }

// nearest is the key that was probably meant, or "".
func nearest(key string, known []string) string {
	for _, k := range known {
		if strings.TrimSuffix(k, experimental) == strings.TrimSuffix(key, experimental) {
			return k
		}
	}
	return component.Nearest(key, known)
}
