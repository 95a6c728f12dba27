package component

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Field describes one key of a configuration struct.
type Field struct {
	Key    string
	Schema Schema
	// Dotted tells that it stands for every key with a dot, and that Schema is that of
	// the value of each.
	Dotted  bool
	Default string // as one would write it; "" for the empty value
	Doc     string
	// Shared names the section in which the key can be set for all entries of the
	// type; "" if there is none.
	Shared string
}

// Fields are those of the section that the value is, or that the elements of its
// list are; nil otherwise.
func (f Field) Fields() []Field {
	if s := sectionOf(&f.Schema); s != nil {
		return s.Fields
	}
	return nil
}

// FieldsOf describes the configuration struct c, whose values are the
// defaults. doc is that of its blank field.
//
// A struct that holds itself is described once; the inner one has no Fields.
func FieldsOf(c any) (fields []Field, doc string) {
	v := reflect.ValueOf(c)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil, ""
	}
	return fieldsOf(v, nil)
}

func fieldsOf(v reflect.Value, outer []reflect.Type) (fields []Field, doc string) {
	outer = append(outer, v.Type())
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		if sf.Name == "_" {
			doc = sf.Tag.Get("doc")
			continue
		}
		key, inline := FieldKey(sf)
		if inline && sf.Type.Kind() == reflect.Map {
			fields = append(fields, Field{Key: DottedKey, Dotted: true, Doc: sf.Tag.Get("doc"), Schema: schemaOf(sf.Type.Elem())})
			continue
		}
		if inline {
			more, _ := fieldsOf(v.Field(i), outer)
			fields = append(fields, more...)
			continue
		}
		if key == "" {
			continue
		}
		f := Field{Key: key, Doc: sf.Tag.Get("doc"), Schema: schemaOf(sf.Type), Shared: sf.Tag.Get("shared")}
		f.Schema.limit(sf.Tag.Get("enum"))
		if section := sectionOf(&f.Schema); section != nil {
			section.describe(v.Field(i), outer)
		} else if fv := v.Field(i); !fv.IsZero() || fv.Kind() == reflect.Bool {
			f.Default = defaultText(fv)
		}
		fields = append(fields, f)
	}
	return fields, doc
}

// sectionOf finds the section in a schema: itself, or the elements of its list.
func sectionOf(s *Schema) *Schema {
	for s.Kind == List {
		s = s.Elem
	}
	if s.Kind == Section {
		return s
	}
	return nil
}

// describe adds the fields of a section, with the values that v has.
func (s *Schema) describe(v reflect.Value, outer []reflect.Type) {
	elem := v.Type()
	for elem.Kind() == reflect.Slice || elem.Kind() == reflect.Pointer {
		elem = elem.Elem()
	}
	if slices.Contains(outer, elem) {
		return
	}
	if elem != v.Type() {
		v = reflect.New(elem).Elem()
	}
	s.Fields, _ = fieldsOf(v, outer)
}

// limit sets the only texts that there are, or that a list has as elements: for one
// key, where [Schemer] is for a type.
func (s *Schema) limit(enum string) {
	for s.Kind == List {
		s = s.Elem
	}
	if enum != "" {
		s.Enum = strings.Split(enum, ",")
	}
}

// DottedKey is the Key of a field that is Dotted.
const DottedKey = "*.*"

// FieldKey is the configuration key of a struct field: its yaml tag. inline
// tells that the field's own fields stand in its place, or, of a map, that all keys
// with a dot do. Fields without a tag are not keys.
func FieldKey(sf reflect.StructField) (key string, inline bool) {
	if !sf.IsExported() {
		return "", false
	}
	key, opts, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
	if key == "-" {
		return "", false
	}
	return key, key == "" && opts == "inline"
}

func defaultText(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		return defaultText(v.Elem())
	}
	if m, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok {
		if b, err := m.MarshalText(); err == nil {
			return string(b)
		}
	}
	if v.Kind() == reflect.Slice {
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = defaultText(v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v.Interface())
}
