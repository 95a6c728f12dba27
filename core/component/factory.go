package component

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

// Settings is what the host gives to a component.
type Settings struct {
	// ID is the entry's name in the configuration; it is unique in its list.
	ID string
	// Logger is what the component logs to; never nil.
	Logger *slog.Logger
	// MeterProvider is for what the component measures of itself; never nil.
	MeterProvider metric.MeterProvider
	// ServiceName is the service that a sampler decides for: service.name of the
	// resource. Exporters see the resource of each span.
	ServiceName string
	// Metrics is for what starts a MeterProvider.
	Metrics MetricsSettings
}

// MetricsSettings is what the host knows of the metrics that a [MeterProvider] is for.
type MetricsSettings struct {
	// Resource describes the service; nil is the SDK's default.
	Resource *resource.Resource
	// MaxSeries is how many series riffle's own instruments have at most, each by itself,
	// without that of what does not fit; 0 is what the SDK allows.
	MaxSeries int
	// Exponential asks for exponential buckets in the histograms of spans' durations.
	Exponential bool
}

// MeterProvider is what a metrics section starts. It is safe for concurrent use.
type MeterProvider interface {
	metric.MeterProvider
	Shutdowner
	// ForceFlush exports what was measured, bounded by ctx, where it is not the receiver
	// who asks for it.
	ForceFlush(ctx context.Context) error
}

// Shutdowner is what a component implements to release what it holds.
type Shutdowner interface {
	// Shutdown ends every goroutine of the component, bounded by ctx. It is
	// idempotent. After it, a sampler abstains.
	Shutdown(ctx context.Context) error
}

// Factory makes the components of one type. Make one with [NewFactory].
type Factory[T any] struct {
	name   string
	fields []Field
	doc    string
	plan   func(decode Decode) (planned[T], error)
}

// Decode reads the keys of an entry into a pointer to a configuration struct that
// holds the defaults. It is strict; its errors are [FieldError]s, joined, with a
// path inside the entry. nil leaves the defaults.
type Decode func(into any) error

type builder[T any] func(context.Context, Settings) (T, error)

// planned is what a factory makes of an entry without mistakes.
type planned[T any] struct {
	config  any
	pointer func() any // to a copy of config
	build   builder[T]
}

// NewFactory returns the factory of the type called name in configurations.
//
// C is the struct that users set. The yaml tag of a field is its key, the doc tag a
// line about it, the enum tag the texts that it can have, with commas between; the doc
// tag of a blank field (_ struct{}) is a line about the type.
// defaults are the values of keys that an entry leaves out. If *C has a method
// Validate() error, it is called before build; it may return [FieldError]s, joined,
// and must have no side effects. What else *C can tell, [Warner], [VariableReader],
// [Connected] and [BuiltToCheck] say.
func NewFactory[T, C any](name string, defaults C, build func(context.Context, Settings, C) (T, error)) Factory[T] {
	f := Factory[T]{name: name}
	f.fields, f.doc = FieldsOf(defaults)
	f.plan = func(decode Decode) (planned[T], error) {
		c := clone(defaults)
		if decode != nil {
			if err := decode(&c); err != nil {
				return planned[T]{}, err
			}
		}
		if v, ok := any(&c).(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				return planned[T]{}, err
			}
		}
		return planned[T]{
			config:  c,
			pointer: func() any { c := clone(c); return &c },
			build:   func(ctx context.Context, s Settings) (T, error) { return build(ctx, s, clone(c)) },
		}, nil
	}
	return f
}

// Name is the type that configurations name.
func (f Factory[T]) Name() string { return f.name }

// Doc is one line about the type.
func (f Factory[T]) Doc() string { return f.doc }

// Fields lists the keys of the configuration struct, in its order.
func (f Factory[T]) Fields() []Field { return slices.Clone(f.fields) }

// errNoFactory is what the zero Factory is refused with.
var errNoFactory = errors.New("a factory without a name: make it with NewFactory")

// Plan decodes and checks an entry of this type. An empty name means the
// factory's.
func (f Factory[T]) Plan(name string, decode Decode) Plan[T] {
	if f.plan == nil {
		return Plan[T]{typ: f.name, name: name, err: &FieldError{Path: "type", Err: errNoFactory}}
	}
	p := Plan[T]{typ: f.name, name: name}
	p.made, p.err = f.plan(decode)
	return p
}
