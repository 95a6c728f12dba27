package component

import (
	"encoding"
	"reflect"
)

// Kind is the shape of a value in a configuration.
type Kind uint8

// The kinds.
const (
	Text    Kind = iota // a string, or what is written as one
	Boolean             // true or false
	Integer             // a whole number
	Number              // any number
	List                // of values of one schema
	Map                 // of values of one schema, by keys that the user chooses
	Section             // of keys that the schema names
	Any                 // whatever somebody else reads
)

// Unit is what a [Text] with a unit measures.
type Unit uint8

// The units.
const (
	NoUnit Unit = iota
	Time        // "250ms", "1s", "5m"
	Bytes       // "512KiB", "64MiB"
)

// Schema is the type of a value in a configuration.
type Schema struct {
	Kind Kind
	Unit Unit    // of a Text
	Elem *Schema // of a List or Map
	// Fields are those of a Section; none if they are those of the struct that it
	// stands in.
	Fields []Field
	// Enum lists the only texts that there are, or for a Number those that can
	// stand in its place.
	Enum []string
	// Secret values are never printed.
	Secret bool
	// Name is what documentation calls a Text that is more than a string: "status
	// codes"; "" if it has no name of its own.
	Name string
}

// Schemer is a type of values that says itself what it is, for one that is written
// as text. Other types tell by their Go kind.
type Schemer interface {
	// ConfigSchema is the schema of the type, the same for every value.
	ConfigSchema() Schema
}

// Enum is the schema of a string that has only these values.
func Enum[S ~string](values ...S) Schema {
	s := Schema{}
	for _, v := range values {
		s.Enum = append(s.Enum, string(v))
	}
	return s
}

// String is the name of the type in documentation: "list of duration".
func (s Schema) String() string {
	switch s.Kind {
	case Boolean:
		return "boolean"
	case Integer:
		return "whole number"
	case Number:
		if len(s.Enum) > 0 {
			return s.Enum[0] + " or number"
		}
		return "number"
	case List:
		return "list of " + s.Elem.String()
	case Map:
		return "map of " + s.Elem.String()
	case Section:
		return "section"
	case Any:
		return "anything"
	}
	switch {
	case s.Name != "":
		return s.Name
	case s.Secret:
		return "secret"
	case s.Unit == Time:
		return "duration"
	case s.Unit == Bytes:
		return "size"
	default:
		return "string"
	}
}

// schemaOf returns the schema of a type; a section of it has no fields yet.
func schemaOf(t reflect.Type) Schema {
	if t.Kind() == reflect.Pointer {
		return schemaOf(t.Elem())
	}
	if s, ok := reflect.TypeAssert[Schemer](reflect.Zero(t)); ok {
		return s.ConfigSchema()
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return Schema{Kind: Text}
	}
	switch t.Kind() {
	case reflect.Bool:
		return Schema{Kind: Boolean}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return Schema{Kind: Integer}
	case reflect.Float32, reflect.Float64:
		return Schema{Kind: Number}
	case reflect.Slice:
		elem := schemaOf(t.Elem())
		return Schema{Kind: List, Elem: &elem}
	case reflect.Map:
		elem := schemaOf(t.Elem())
		return Schema{Kind: Map, Elem: &elem}
	case reflect.Struct:
		return Schema{Kind: Section}
	case reflect.Interface:
		return Schema{Kind: Any}
	default:
		return Schema{Kind: Text}
	}
}
