package core

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Exporter sends ended spans to a backend. Every SDK exporter is one.
type Exporter = sdktrace.SpanExporter

// Samplers and Exporters are the default registries. Packages of components
// add to them in init; every API that reads them also takes others.
var (
	Samplers  Registry[Sampler]
	Exporters Registry[Exporter]
)

// Settings is what the host gives to a component.
type Settings struct {
	// ID is the entry's name in the configuration; it is unique in its list.
	ID string
	// Logger is where the component speaks; never nil.
	Logger *slog.Logger
	// MeterProvider is for what the component measures of itself; never nil.
	MeterProvider metric.MeterProvider
	// Plugins says where programs that serve components are found.
	Plugins Plugins
}

// Factory makes the components of one type. Make one with [NewFactory].
type Factory[T any] struct {
	name   string
	fields []Field
	doc    string
	// check decodes and validates; build also builds.
	check func(Component) error
	build func(context.Context, Settings, Component) (T, error)
}

// NewFactory returns the factory of the type called name in configurations.
//
// C is the struct that users set. The yaml tag of a field is its key, the doc tag a
// line about it; the doc tag of a blank field (_ struct{}) is a line about the type.
// defaults are the values of keys that an entry leaves out. If *C has a method
// Validate() error, it is called before build; it may return [FieldError]s, joined,
// and must have no side effects.
func NewFactory[T, C any](name string, defaults C, build func(context.Context, Settings, C) (T, error)) Factory[T] {
	decode := func(c Component) (C, error) {
		into := clone(reflect.ValueOf(&defaults).Elem()).Interface().(C)
		if c.Decode != nil {
			if err := c.Decode(&into); err != nil {
				return into, err
			}
		}
		if v, ok := any(&into).(interface{ Validate() error }); ok {
			return into, v.Validate()
		}
		return into, nil
	}
	f := Factory[T]{name: name}
	f.fields, f.doc = FieldsOf(defaults)
	f.check = func(c Component) error {
		_, err := decode(c)
		return err
	}
	f.build = func(ctx context.Context, s Settings, c Component) (T, error) {
		cfg, err := decode(c)
		if err != nil {
			var zero T
			return zero, err
		}
		return build(ctx, s, cfg)
	}
	return f
}

// Name is the type that configurations name.
func (f Factory[T]) Name() string { return f.name }

// Doc is one line about the type.
func (f Factory[T]) Doc() string { return f.doc }

// Fields lists the keys of the configuration struct, in its order.
func (f Factory[T]) Fields() []Field { return slices.Clone(f.fields) }

// Component is one entry of a list, not yet built.
type Component struct {
	// Type is the name of the factory, Name the entry's own, unique in its
	// list; an empty Name means the Type.
	Type, Name string
	// Decode reads the entry into a pointer to a configuration struct that
	// holds the defaults. It is strict; its errors are [FieldError]s, joined,
	// with a path inside the entry. nil leaves the defaults.
	Decode func(into any) error
	// Host reads, likewise, the keys of the entry that belong to the host, besides
	// type and name: into a [SamplerKeys] for a sampler. nil: there are none.
	Host func(into any) error
	// Locate tells where a path inside the entry stands: "fluxbase.yaml:12:9".
	// It is nil, or returns "", when the entry was made in Go.
	Locate func(path string) string

	// factory is set by Use, so that a spec in Go needs no registry.
	factory any
}

// ID is the entry's name, or its type if it has none.
func (c Component) ID() string {
	if c.Name != "" {
		return c.Name
	}
	return c.Type
}

// Use returns an entry made in Go: a Spec without YAML. The factory need not
// be registered. An empty name means the factory's. c replaces the defaults as
// a whole.
func Use[T, C any](f Factory[T], name string, c C) Component {
	return Component{
		Type: f.name,
		Name: name,
		Decode: func(into any) error {
			p, ok := into.(*C)
			if !ok {
				return &FieldError{Err: fmt.Errorf("%q is configured by %T, not %T", f.name, reflect.ValueOf(into).Elem().Interface(), c)}
			}
			*p = clone(reflect.ValueOf(&c).Elem()).Interface().(C)
			return nil
		},
		factory: f,
	}
}

// Registry holds factories by name. The zero value is ready. It is safe for
// concurrent use.
type Registry[T any] struct {
	mu        sync.RWMutex
	factories map[string]Factory[T]
}

// Add registers a factory. A name that is taken, and a configuration struct
// with a key that belongs to the host, are errors.
func (r *Registry[T]) Add(f Factory[T]) error {
	if f.name == "" || f.build == nil {
		return errors.New("adding a factory without a name: make it with NewFactory")
	}
	for _, field := range f.fields {
		if slices.Contains(hostKeys[T](), field.Key) {
			return fmt.Errorf("adding %q: key %q of its configuration belongs to the host", f.name, field.Key)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.factories[f.name]; ok {
		return fmt.Errorf("adding %q: the name is taken", f.name)
	}
	if r.factories == nil {
		r.factories = make(map[string]Factory[T])
	}
	r.factories[f.name] = f
	return nil
}

// MustAdd is Add for init functions: it panics on an error.
func (r *Registry[T]) MustAdd(f Factory[T]) {
	if err := r.Add(f); err != nil {
		panic("riffle: " + err.Error())
	}
}

// Names lists the registered names, sorted.
func (r *Registry[T]) Names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.factories))
}

// Lookup returns the factory with this name.
func (r *Registry[T]) Lookup(name string) (Factory[T], bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	f, ok := r.factories[name]
	return f, ok
}

// Check decodes and validates an entry without building it. Its errors are
// [FieldError]s, joined.
func (r *Registry[T]) Check(c Component) error {
	f, err := r.factoryOf(c)
	if err != nil {
		return err
	}
	return f.check(c)
}

// Build builds an entry. The factory runs without a lock held.
func (r *Registry[T]) Build(ctx context.Context, s Settings, c Component) (T, error) {
	f, err := r.factoryOf(c)
	if err != nil {
		var zero T
		return zero, err
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	if s.ID == "" {
		s.ID = c.ID()
	}
	if s.MeterProvider == nil {
		s.MeterProvider = noop.NewMeterProvider()
	}
	return f.build(ctx, s, c)
}

func (r *Registry[T]) factoryOf(c Component) (Factory[T], error) {
	if f, ok := c.factory.(Factory[T]); ok {
		return f, nil
	}
	f, ok := r.Lookup(c.Type)
	if ok {
		return f, nil
	}
	what := kindOf[T]()
	if c.Type == "" {
		return f, &FieldError{Path: "type", Err: fmt.Errorf("missing: want one of %s", strings.Join(r.Names(), ", "))}
	}
	names := r.Names()
	if len(names) == 0 {
		return f, &FieldError{Path: "type", Err: fmt.Errorf("unknown %s %q: none is registered (forgotten import of %ss/standard?)", what, c.Type, what)}
	}
	msg := fmt.Sprintf("unknown %s %q", what, c.Type)
	if near := Nearest(c.Type, names); near != "" {
		msg += fmt.Sprintf(" (did you mean %q?)", near)
	}
	return f, &FieldError{Path: "type", Err: fmt.Errorf("%s: known are %s (forgotten import?)", msg, strings.Join(names, ", "))}
}

// kindOf is what a registry's components are called in messages.
func kindOf[T any]() string {
	if reflect.TypeFor[T]() == reflect.TypeFor[Sampler]() {
		return "sampler"
	}
	return "exporter"
}

// hostKeys are the keys of an entry that belong to the host.
func hostKeys[T any]() []string {
	if reflect.TypeFor[T]() == reflect.TypeFor[Sampler]() {
		return []string{"type", "name", "match", "limit"}
	}
	return []string{"type", "name", "filter", "redact", "batch", "queue", "send"}
}

// Field describes one key of a configuration struct.
type Field struct {
	Key     string
	Type    string // "string", "number", "boolean", "duration", "size", "list of string", "map of string", "section"
	Default string // as one would write it; "" for the empty value
	Doc     string
	Fields  []Field // of a section, or of a list's sections; none if they are those of the struct it stands in
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
		if inline {
			more, _ := fieldsOf(v.Field(i), outer)
			fields = append(fields, more...)
			continue
		}
		if key == "" {
			continue
		}
		f := Field{Key: key, Doc: sf.Tag.Get("doc"), Type: typeName(sf.Type)}
		elem := sf.Type
		for elem.Kind() == reflect.Slice || elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		if elem.Kind() == reflect.Struct && !isText(elem) && elem != v.Type() {
			section := reflect.New(elem).Elem()
			if elem == sf.Type {
				section = v.Field(i)
			}
			if !slices.Contains(outer, elem) {
				f.Fields, _ = fieldsOf(section, outer)
			}
		} else if fv := v.Field(i); !fv.IsZero() || fv.Kind() == reflect.Bool {
			f.Default = defaultText(fv)
		}
		fields = append(fields, f)
	}
	return fields, doc
}

// FieldKey is the configuration key of a struct field: its yaml tag. inline
// tells that the field's own fields stand in its place. Fields without a tag
// are not keys.
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

func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func typeName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		return typeName(t.Elem())
	}
	if n, ok := reflect.TypeAssert[interface{ ConfigType() string }](reflect.Zero(t)); ok {
		return n.ConfigType()
	}
	switch {
	case t == reflect.TypeFor[Duration]():
		return "duration"
	case isText(t):
		return "string"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "whole number"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list of " + typeName(t.Elem())
	case reflect.Map:
		return "map of " + typeName(t.Elem())
	case reflect.Struct:
		return "section"
	case reflect.Interface:
		return "anything"
	default:
		return "string"
	}
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

// clone copies a configuration value deeply enough that decoding into the
// copy leaves the original alone. v is addressable or a copy already.
func clone(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			p := reflect.New(v.Type().Elem())
			p.Elem().Set(clone(v.Elem()))
			out.Set(p)
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				out.Index(i).Set(clone(v.Index(i)))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
			for it := v.MapRange(); it.Next(); {
				out.SetMapIndex(it.Key(), clone(it.Value()))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(clone(v.Field(i)))
			}
		}
	}
	return out
}
