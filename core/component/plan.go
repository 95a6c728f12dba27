package component

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"reflect"

	"go.opentelemetry.io/otel/metric/noop"
)

// Plan is an entry of a list that is decoded and checked: what a component is built
// from. [Registry.Plan] and [Use] make it. The zero value is an entry without a type.
type Plan[T any] struct {
	typ, name string
	made      planned[T] // not embedded: encoders would look inside
	err       error
}

// Type is the name of the factory.
func (p Plan[T]) Type() string { return p.typ }

// ID is the entry's name, or its type if it has none.
func (p Plan[T]) ID() string { return cmp.Or(p.name, p.typ) }

// String names the entry. It does not show the configuration, which may hold
// secrets in fields that fmt prints without asking them.
func (p Plan[T]) String() string { return fmt.Sprintf("%s %q", p.typ, p.ID()) }

// GoString is String, for %#v.
func (p Plan[T]) GoString() string { return p.String() }

// Same reports whether the other plan builds the same: it has the same type, name and
// configuration. Plans with an error are the same as none.
func (p Plan[T]) Same(other Plan[T]) bool {
	return p.Err() == nil && other.Err() == nil && p.typ == other.typ && p.ID() == other.ID() && reflect.DeepEqual(p.made.config, other.made.config)
}

// Config is the decoded configuration struct, nil if there is an error. Its slices
// and maps must not be changed.
func (p Plan[T]) Config() any { return p.made.config }

// Err tells what is wrong with the entry: [FieldError]s, joined, with paths inside
// the entry.
func (p Plan[T]) Err() error {
	if p.err == nil && p.made.build == nil {
		return errNoType
	}
	return p.err
}

var errNoType = &FieldError{Path: "type", Err: fmt.Errorf("missing")}

// Build builds the component, a new one at each call. An empty ID of the settings
// is the plan's, a nil logger discards, a nil meter provider measures nothing. A
// plan with an error returns that.
func (p Plan[T]) Build(ctx context.Context, s Settings) (T, error) {
	if err := p.Err(); err != nil {
		var zero T
		return zero, err
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	if s.MeterProvider == nil {
		s.MeterProvider = noop.NewMeterProvider()
	}
	s.ID = cmp.Or(s.ID, p.ID())
	return p.made.build(ctx, s)
}

// Use plans a component in Go. The factory need not be registered. An empty name
// means the factory's. c replaces the defaults as a whole.
func Use[T, C any](f Factory[T], name string, c C) Plan[T] {
	return f.Plan(name, func(into any) error {
		p, ok := into.(*C)
		if !ok {
			return &FieldError{Err: fmt.Errorf("%q is configured by %T, not %T", f.name, reflect.ValueOf(into).Elem().Interface(), c)}
		}
		*p = clone(c)
		return nil
	})
}

// clone copies a configuration deeply enough that decoding into the copy leaves
// the original alone.
func clone[C any](c C) C { return cloneValue(reflect.ValueOf(&c).Elem()).Interface().(C) }

// cloneValue copies v, which is addressable or a copy already.
func cloneValue(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			p := reflect.New(v.Type().Elem())
			p.Elem().Set(cloneValue(v.Elem()))
			out.Set(p)
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				out.Index(i).Set(cloneValue(v.Index(i)))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
			for it := v.MapRange(); it.Next(); {
				out.SetMapIndex(it.Key(), cloneValue(it.Value()))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(cloneValue(v.Field(i)))
			}
		}
	}
	return out
}
