package component

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Exporters is the default registry of exporters. Packages of exporters add to it
// in init; every API that reads it also takes another.
var Exporters = NewExporters()

// NewExporters returns an empty registry of exporters.
func NewExporters() *Registry[sdktrace.SpanExporter] {
	return NewRegistry[sdktrace.SpanExporter]("exporter", "filter", "redact", "batch", "queue", "send")
}

// MeterProviders is the default registry of what starts a MeterProvider. Package metrics
// adds to it in init; every API that reads it also takes another.
var MeterProviders = NewMeterProviders()

// NewMeterProviders returns an empty registry of what starts a MeterProvider.
func NewMeterProviders() *Registry[MeterProvider] {
	r := NewRegistry[MeterProvider]("metrics exporter")
	r.typeKey, r.home = "exporter", `import _ "github.com/riffletrace/riffle/metrics"`
	return r
}

// Registry holds the factories of one kind of components by name. Make one with
// [NewRegistry]. It is safe for concurrent use.
type Registry[T any] struct {
	kind     string
	hostKeys []string
	typeKey  string // of an entry, that names the factory
	home     string // what to do where nothing is registered

	mu        sync.RWMutex
	factories map[string]Factory[T]
}

// entryKeys are the host's in entries of every kind.
var entryKeys = []string{"type", "name"}

// NewRegistry returns an empty registry. kind is what its components are called in
// messages: "sampler". hostKeys are the keys of an entry that the host reads,
// besides type and name; no configuration struct can have them.
func NewRegistry[T any](kind string, hostKeys ...string) *Registry[T] {
	home := fmt.Sprintf("forgotten import of %ss/standard?", kind)
	return &Registry[T]{kind: kind, hostKeys: hostKeys, typeKey: entryKeys[0], home: home, factories: make(map[string]Factory[T])}
}

// HostKeys are the keys of an entry that the host reads, besides type and name.
func (r *Registry[T]) HostKeys() []string { return slices.Clone(r.hostKeys) }

// Add registers a factory. A name that is taken, and a configuration struct
// with a key that belongs to the host, are errors.
func (r *Registry[T]) Add(f Factory[T]) error {
	if f.name == "" || f.plan == nil {
		return fmt.Errorf("adding %w", errNoFactory)
	}
	for _, field := range f.fields {
		if field.Key == r.typeKey || slices.Contains(entryKeys, field.Key) || slices.Contains(r.hostKeys, field.Key) {
			return fmt.Errorf("adding %q: key %q of its configuration belongs to the host", f.name, field.Key)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.factories[f.name]; ok {
		return fmt.Errorf("adding %q: the name is taken", f.name)
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

// Plan decodes and checks an entry, without a lock held. What is wrong with it,
// an unknown type among it, the plan's Err tells.
func (r *Registry[T]) Plan(typ, name string, decode Decode) Plan[T] {
	f, ok := r.Lookup(typ)
	if !ok {
		return Plan[T]{typ: typ, name: name, err: &FieldError{Path: r.typeKey, Err: r.unknown(typ)}}
	}
	return f.Plan(name, decode)
}

// pluginType is registered by a package that not every program imports.
const pluginType = "plugin"

// ErrNoPluginHost tells that a program cannot run plugins.
var ErrNoPluginHost = errors.New(`this program hosts no plugins: import _ "github.com/riffletrace/riffle/plugins/host"`)

// unknown says what there is instead of a type.
func (r *Registry[T]) unknown(typ string) error {
	names := r.Names()
	switch {
	case typ == pluginType && r.typeKey == entryKeys[0]:
		return ErrNoPluginHost
	case len(names) == 0 && typ == "":
		return fmt.Errorf("missing, and no %s is registered (%s)", r.kind, r.home)
	case typ == "":
		return fmt.Errorf("missing: want one of %s", strings.Join(names, ", "))
	case len(names) == 0:
		return fmt.Errorf("unknown %s %q: none is registered (%s)", r.kind, typ, r.home)
	}
	msg := fmt.Sprintf("unknown %s %q", r.kind, typ)
	if near := Nearest(typ, names); near != "" {
		msg += fmt.Sprintf(" (did you mean %q?)", near)
	}
	return fmt.Errorf("%s: known are %s (forgotten import?)", msg, strings.Join(names, ", "))
}
