package config

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/core/component"
)

// decoder reads a tree into a value, strictly. It goes on after a mistake, so
// that all of them are found; a value with a mistake keeps what it was.
type decoder struct {
	errs []error       // of *core.FieldError
	hide func(n *node) // is told which nodes hold secrets
	only []string      // the only keys of the outermost mapping to read, or
	skip []string      // those to leave to somebody else
	// elsewhere says where an unknown key of the outermost mapping belongs; "" if
	// nowhere.
	elsewhere func(key string) string
}

func (d *decoder) decode(n *node, into any) {
	if (d.only != nil || len(d.skip) > 0) && n.kind == mapping {
		part := *n
		part.members = slices.DeleteFunc(slices.Clone(n.members), func(m member) bool {
			return slices.Contains(d.skip, m.key) || d.only != nil && !slices.Contains(d.only, m.key)
		})
		n = &part
	}
	d.value(n, reflect.ValueOf(into).Elem(), "")
}

// fail returns false.
func (d *decoder) fail(path, format string, args ...any) bool {
	if d.full() {
		return false
	}
	d.errs = append(d.errs, &component.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
	return false
}

// full tells that there are more mistakes than will be reported.
func (d *decoder) full() bool { return len(d.errs) > maxMistakes }

// value reads n into v and reports whether it could. Null leaves v as it is.
func (d *decoder) value(n *node, v reflect.Value, path string) bool {
	if into, ok := reflect.TypeAssert[**node](v.Addr()); ok {
		*into = n
		return true
	}
	if isSecret(v.Type()) {
		d.hide(n) // also of a mistake that is known already, as an unset variable
	}
	if n.kind == null || n.kind == broken {
		return n.kind == null
	}
	if n.absent && !takesAnyText(v.Type()) {
		return true // what it would be is not known
	}
	if into, ok := reflect.TypeAssert[*component.JSON](v.Addr()); ok {
		*into = component.JSON(n.appendJSON(nil))
		return true
	}
	if into, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return d.text(n, into, path)
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := v
		if v.IsNil() {
			p = reflect.New(v.Type().Elem())
		}
		if !d.value(n, p.Elem(), path) {
			return false
		}
		v.Set(p)
		return true
	case reflect.Struct:
		return d.mapping(n, v, path)
	case reflect.Map:
		return d.mapOf(n, v, path)
	case reflect.Slice:
		return d.listOf(n, v, path)
	case reflect.Interface:
		x := reflect.ValueOf(n.any())
		if !x.Type().AssignableTo(v.Type()) {
			return d.fail(path, "the configuration struct has a %s here, which nothing can be read into", v.Type())
		}
		v.Set(x)
		return true
	default:
		return d.scalar(n, v, path)
	}
}

// takesAnyText reports whether a type takes every text.
func takesAnyText(t reflect.Type) bool {
	return t == reflect.TypeFor[string]() || t == reflect.TypeFor[component.Secret]()
}

func (d *decoder) text(n *node, into encoding.TextUnmarshaler, path string) bool {
	if n.kind != scalar {
		return d.wrong(n, path, "a "+textType(into))
	}
	if err := into.UnmarshalText([]byte(n.text)); err != nil {
		d.hideWrong(n)
		return d.fail(path, "%w", err)
	}
	return true
}

// textType is what people call a type that is written as text.
func textType(v any) string {
	if s, ok := v.(component.Schemer); ok && !s.ConfigSchema().Secret {
		return s.ConfigSchema().String()
	}
	return "string"
}

func (d *decoder) mapping(n *node, v reflect.Value, path string) bool {
	if n.kind != mapping {
		if path != "" {
			d.hideHolder(n, v.Type())
		}
		return d.wrong(n, path, "a mapping")
	}
	all, fields := true, fieldsOf(v)
	for _, m := range n.members {
		at := keyPath(path, m.key)
		if f, ok := fields[m.key]; ok {
			if m.value.kind == null && isChoice(v) && f.Kind() == reflect.Pointer {
				f.Set(reflect.New(f.Type().Elem()))
			}
			all = d.value(m.value, f, at) && all
			continue
		}
		dotted := dottedOf(v)
		if dotted.IsValid() && strings.Contains(m.key, ".") {
			all = d.member(m, dotted, at) && all
			continue
		}
		if d.full() {
			return false
		}
		d.hideUnknown(m, fields)
		if m.key == "plugins" && v.Type() == reflect.TypeFor[section]() {
			all = d.fail(at, "%w", component.ErrNoPluginHost)
			continue
		}
		known := keysOf(v.Type())
		if path == "" {
			known = append(known, d.skip...)
			if d.elsewhere != nil {
				if where := d.elsewhere(m.key); where != "" {
					all = d.fail(at, "%s", where)
					continue
				}
			}
		}
		unknown := unknownKey(m.key, known)
		if dotted.IsValid() && fields["attributes"].IsValid() && nearest(m.key, known) == "" {
			unknown = fmt.Errorf("%w; an attribute without a dot stands below attributes", unknown)
		}
		all = d.fail(at, "%w", unknown)
	}
	return all
}

// isChoice reports whether a key of the struct without a value is set.
func isChoice(v reflect.Value) bool {
	_, ok := reflect.TypeAssert[component.Choice](v.Addr())
	return ok
}

// wrong says that another value is wanted, and returns false.
func (d *decoder) wrong(n *node, path, want string) bool {
	d.hideWrong(n)
	return d.fail(path, "want %s, not %s", want, n.what())
}

// hideWrong hides a value where it is the wrong one, if it looks like a secret.
func (d *decoder) hideWrong(n *node) {
	n.each(func(n *node) {
		switch {
		case strings.HasPrefix(n.shown(), `"`):
		case n.substituted: // it is not in the line
			n.hidden = true
		default:
			d.hide(n)
		}
	})
}

// hideHolder hides a value where the right one may have secrets in it.
func (d *decoder) hideHolder(n *node, t reflect.Type) {
	if holdsSecret(t, nil) {
		d.hide(n)
	}
}

// hideUnknown hides the value of an unknown key, which may be a misspelled one for a
// secret, another name for one, or with secrets inside.
func (d *decoder) hideUnknown(m member, fields map[string]reflect.Value) {
	meant, known := fields[component.Nearest(m.key, slices.Sorted(maps.Keys(fields)))]
	switch {
	case m.value.kind != scalar, known && holdsSecret(meant.Type(), nil), !known && haveSecret(fields), !isPlain(m.value.text):
		d.hide(m.value)
	case !known:
		d.hideWrong(m.value)
	}
}

// haveSecret reports whether one of the fields is a secret.
func haveSecret(fields map[string]reflect.Value) bool {
	for _, f := range fields {
		if isSecret(f.Type()) {
			return true
		}
	}
	return false
}

func (d *decoder) mapOf(n *node, v reflect.Value, path string) bool {
	if n.kind != mapping {
		d.hideHolder(n, v.Type())
		return d.wrong(n, path, "a mapping")
	}
	all, out := true, reflect.New(v.Type()).Elem()
	out.Set(reflect.MakeMapWithSize(v.Type(), len(n.members)))
	for it := v.MapRange(); it.Next(); { // what is there already stays, key by key
		out.SetMapIndex(it.Key(), it.Value())
	}
	for _, m := range n.members {
		all = d.member(m, out, keyPath(path, m.key)) && all
	}
	if all {
		v.Set(out)
	}
	return all
}

// member reads a member into a map.
func (d *decoder) member(m member, v reflect.Value, path string) bool {
	if m.value.kind == null {
		return d.fail(path, "has no value")
	}
	key := reflect.New(v.Type().Key()).Elem()
	elem := reflect.New(v.Type().Elem()).Elem()
	if !d.value(&node{kind: scalar, text: m.key}, key, path) || !d.value(m.value, elem, path) {
		return false
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	v.SetMapIndex(key, elem)
	return true
}

func (d *decoder) listOf(n *node, v reflect.Value, path string) bool {
	if n.kind != list {
		d.hideHolder(n, v.Type())
		return d.wrong(n, path, "a list")
	}
	all, out := true, reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		at := indexPath(path, i)
		if item.kind == null && v.Type().Elem() != reflect.TypeFor[*node]() {
			all = d.fail(at, "an item without a value")
			continue
		}
		all = d.value(item, out.Index(i), at) && all
	}
	if all {
		v.Set(out)
	}
	return all
}

func (d *decoder) scalar(n *node, v reflect.Value, path string) bool {
	var want string
	var err error
	switch v.Kind() {
	case reflect.String:
		if want = "a string"; n.kind == scalar {
			v.SetString(n.text)
			return true
		}
	case reflect.Bool:
		want = "true or false"
		if x, ok := yamlBool(n.text); n.isPlain() && ok {
			v.SetBool(x)
			return true
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var x int64
		want = "a whole number"
		if x, err = strconv.ParseInt(n.text, 10, v.Type().Bits()); n.isPlain() && err == nil {
			v.SetInt(x)
			return true
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var x uint64
		want = "a whole number, 0 or more"
		if x, err = strconv.ParseUint(n.text, 10, v.Type().Bits()); n.isPlain() && err == nil {
			v.SetUint(x)
			return true
		}
	case reflect.Float32, reflect.Float64:
		var x float64
		want = "a number"
		if x, err = strconv.ParseFloat(yamlFloat(n.text), v.Type().Bits()); n.isPlain() && err == nil {
			v.SetFloat(x)
			return true
		}
	default:
		return d.fail(path, "the configuration struct has a %s here, which nothing can be read into", v.Type())
	}
	switch {
	case n.isPlain() && errors.Is(err, strconv.ErrRange):
		d.hideWrong(n)
		return d.fail(path, "%s is out of range", strings.Trim(n.shown(), `"`))
	case n.kind == scalar && n.quoted:
		d.hideWrong(n)
		return d.fail(path, "want %s, not %s (no quotes)", want, n.what())
	default:
		return d.wrong(n, path, want)
	}
}

func (n *node) isPlain() bool { return n.kind == scalar && !n.quoted }

// yamlFloat turns the forms of YAML into those of [strconv.ParseFloat].
func yamlFloat(s string) string {
	switch strings.ToLower(s) {
	case ".nan":
		return "nan"
	case ".inf", "+.inf":
		return "inf"
	case "-.inf":
		return "-inf"
	}
	return s
}

// isNumberInGo reports whether a text is a number to [strconv.ParseFloat] and a word in
// YAML: nan, Infinity.
func isNumberInGo(s string) bool {
	return !strings.HasPrefix(strings.TrimLeft(s, "+-"), ".") && !strings.ContainsAny(s, "0123456789")
}

// yamlBool reads the forms of YAML 1.2.
func yamlBool(s string) (value, ok bool) {
	switch s {
	case "true", "True", "TRUE":
		return true, true
	case "false", "False", "FALSE":
		return false, true
	}
	return false, false
}

// any returns the value that YAML's own types make of n.
func (n *node) any() any {
	switch {
	case n.kind == list:
		out := make([]any, len(n.items))
		for i, item := range n.items {
			out[i] = item.any()
		}
		return out
	case n.kind == mapping:
		out := make(map[string]any, len(n.members))
		for _, m := range n.members {
			out[m.key] = m.value.any()
		}
		return out
	case !n.isPlain():
		if n.kind == scalar {
			return n.text
		}
		return nil
	}
	if b, ok := yamlBool(n.text); ok {
		return b
	}
	if i, err := strconv.Atoi(n.text); err == nil {
		return i
	}
	if f, err := strconv.ParseFloat(yamlFloat(n.text), 64); err == nil && !isNumberInGo(n.text) {
		return f
	}
	return n.text
}

// fieldsOf returns the fields of a struct by key.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		switch key, inline := component.FieldKey(v.Type().Field(i)); {
		case inline && v.Field(i).Kind() == reflect.Map:
		case inline:
			maps.Copy(fields, fieldsOf(v.Field(i)))
		case key != "":
			fields[key] = v.Field(i)
		}
	}
	return fields
}

// dottedOf returns the map of a struct that has its keys with a dot; not valid if there
// is none.
func dottedOf(v reflect.Value) (dotted reflect.Value) {
	for i := range v.NumField() {
		if _, inline := component.FieldKey(v.Type().Field(i)); inline && v.Field(i).Kind() == reflect.Map {
			return v.Field(i)
		}
	}
	return dotted
}

// keysOf returns the keys of a struct in its order.
func keysOf(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		switch key, inline := component.FieldKey(f); {
		case inline && f.Type.Kind() == reflect.Map:
		case inline:
			keys = append(keys, keysOf(f.Type)...)
		case key != "":
			keys = append(keys, key)
		}
	}
	return keys
}
