package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// Component is what a plugin serves. Make one with [Exporter] or [Sampler].
type Component struct {
	kind      pluginpb.Kind
	name, doc string
	fields    []component.Field
	err       error // it cannot be served
	build     func(context.Context, component.Settings, component.Decode) (any, error)
}

// Exporter serves the exporters of a factory.
func Exporter(f component.Factory[sdktrace.SpanExporter]) Component {
	return newComponent(pluginpb.Kind_KIND_EXPORTER, f, component.NewExporters())
}

// Sampler serves the samplers of a factory. One can be served if it is a
// [sampling.SegmentSampler], or a [sampling.StartSampler] whose traits say Keyed. It
// may also be a [Leaser] or [Changing].
func Sampler(f component.Factory[sampling.Sampler]) Component {
	return newComponent(pluginpb.Kind_KIND_SAMPLER, f, sampling.NewSamplers())
}

// newComponent checks with an empty registry what a host would refuse.
func newComponent[T any](kind pluginpb.Kind, f component.Factory[T], registry *component.Registry[T]) Component {
	c := Component{kind: kind, name: f.Name(), doc: f.Doc(), fields: f.Fields(), err: registry.Add(f)}
	c.build = func(ctx context.Context, s component.Settings, d component.Decode) (any, error) {
		return f.Plan("", d).Build(ctx, s)
	}
	return c
}

// Leaser is a [sampling.StartSampler] that says how long its answers hold, and is
// told how many traces start.
type Leaser interface {
	// Lease answers as SampleStart does. starts counts the spans with these
	// parameters that the host started since it last asked about them. The answer
	// holds for ttl; 0 leaves it to the host. It is called concurrently.
	Lease(p sampling.StartParameters, starts uint64) (a sampling.Answer, ttl time.Duration)
}

// Changing is a [sampling.StartSampler] whose answers change before their lease is
// over.
type Changing interface {
	// Changes calls changed when answers differ from what they were: those about
	// the starts given, or all of them if none is given. It returns when ctx is
	// done. It is called once per host, maybe concurrently; changed may be called
	// concurrently and does not wait for the host.
	Changes(ctx context.Context, changed func(starts ...sampling.StartParameters))
}

// checkComponents finds what a plugin cannot serve.
func checkComponents(ctx context.Context, components []Component) error {
	if len(components) == 0 {
		return errors.New("it serves nothing: want plugins.Exporter or plugins.Sampler")
	}
	var errs []error
	for i, c := range components {
		errs = append(errs, c.check(ctx))
		if slices.ContainsFunc(components[:i], func(o Component) bool { return o.kind == c.kind && o.name == c.name }) {
			errs = append(errs, fmt.Errorf("%s %q is there twice", wire.KindName(c.kind), c.name))
		}
	}
	return errors.Join(errs...)
}

// check builds a sampler with its defaults, to see what it is. One that needs
// a configuration shows that when it gets one.
func (c Component) check(ctx context.Context) error {
	if c.build == nil {
		return errors.New("a Component that neither Exporter nor Sampler made")
	}
	if c.err != nil || c.kind != pluginpb.Kind_KIND_SAMPLER {
		return c.err
	}
	built, err := c.build(ctx, component.Settings{Logger: slog.New(slog.DiscardHandler)}, nil)
	if err != nil {
		return nil // as said above
	}
	if s, ok := built.(component.Shutdowner); ok {
		defer s.Shutdown(ctx) //nolint:errcheck // it was only looked at
	}
	s, _ := built.(sampling.Sampler)
	return unservable(c.name, s)
}

// unservable says why a sampler cannot be served.
func unservable(name string, s sampling.Sampler) error {
	_, end := s.(sampling.EndSampler)
	_, start := s.(sampling.StartSampler)
	_, segments := s.(sampling.SegmentSampler)
	switch {
	case end:
		return fmt.Errorf("sampler %q (%T) is an EndSampler: it is asked while a span ends, which cannot wait for another process; compile it into the service", name, s)
	case start && !s.Traits().Keyed:
		return fmt.Errorf("sampler %q (%T) is a StartSampler whose Traits do not say Keyed: only an answer that depends on named attributes can be given ahead of time; say so or compile it into the service", name, s)
	case !start && !segments:
		return fmt.Errorf("sampler %q (%T) is none of StartSampler and SegmentSampler", name, s)
	}
	return nil
}

// describe is what the other end is told.
func (c Component) describe(version string) *pluginpb.Component {
	schema, _ := json.Marshal(component.JSONSchema(c.fields, c.doc)) //nolint:errchkjson // what it returns can be marshaled
	return &pluginpb.Component{Kind: c.kind, Name: c.name, Version: version, Doc: c.doc, ConfigSchema: string(schema)}
}

// configure builds a component that JSON configures.
func (c Component) configure(ctx context.Context, s component.Settings, data string) (any, error) {
	decode, err := config.DecodeJSON([]byte(data))
	if err != nil {
		return nil, err
	}
	return c.build(ctx, s, decode)
}
