package match

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/route"
)

// Warn returns what is no mistake, but hardly what was meant: [component.FieldError]s,
// joined.
func (c *Config) Warn() error {
	var w warner
	w.section(reflect.ValueOf(c).Elem(), "")
	return errors.Join(w.errs...)
}

type warner struct{ errs []error }

func (w *warner) warn(path string, err error) {
	w.errs = append(w.errs, &component.FieldError{Path: path, Err: err})
}

// section looks at a struct, and at those inside.
func (w *warner) section(v reflect.Value, path string) {
	for i := range v.NumField() {
		key, inline := component.FieldKey(v.Type().Field(i))
		f, at := v.Field(i), join(path, key)
		switch {
		case inline:
			w.dotted(f.Interface().(map[string]any), v.Type(), path)
		case key == "route":
			w.route(f.Interface(), at)
		case f.Kind() == reflect.Pointer && !f.IsNil() && f.Elem().Kind() == reflect.Struct:
			w.section(f.Elem(), at)
		case f.Kind() == reflect.Slice: // of matches
			for i := range f.Len() {
				w.section(f.Index(i), item(at, i))
			}
		}
	}
}

// dotted finds keys with a dot that look like a way into another key of their section:
// root.kind is an attribute, and root: {kind: ...} is not.
func (w *warner) dotted(all map[string]any, section reflect.Type, path string) {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		outer, inner, _ := strings.Cut(key, ".")
		if leadsInto(section, outer, inner) {
			w.warn(joinKey(path, key), fmt.Errorf("this is about an attribute %s: write %s: {%s: ...}, or, if the attribute is meant, put it below attributes", key, outer, inner))
		}
	}
}

// leadsInto reports whether a section has a key, with another one below it.
func leadsInto(section reflect.Type, outer, inner string) bool {
	for f := range section.Fields() {
		if key, _ := component.FieldKey(f); key == "" || key != outer {
			continue
		}
		switch t := f.Type; {
		case t.Kind() == reflect.Map:
			return true
		case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct:
			first, _, _ := strings.Cut(inner, ".")
			return slices.ContainsFunc(reflect.VisibleFields(t.Elem()), func(f reflect.StructField) bool {
				key, _ := component.FieldKey(f)
				return key == first && key != ""
			})
		}
	}
	return false
}

func (w *warner) route(x any, path string) {
	var cc compiler // whose mistakes are told by Compile
	for _, p := range cc.texts(x, path) {
		for _, e := range component.FieldErrors(route.Doubt(p.text)) {
			w.warn(component.JoinPath(p.path, e.Path), e.Err)
		}
	}
}
