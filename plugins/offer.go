package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// Offer is a component that a plugin serves. Make one with [Exporter] or
// [Sampler].
type Offer struct {
	kind      pluginpb.Kind
	name, doc string
	fields    []core.Field
	err       error // it cannot be served
	build     func(context.Context, core.Settings, core.Component) (any, error)
}

// Exporter offers the exporters of a factory.
func Exporter(f core.Factory[core.Exporter]) Offer {
	return offer(pluginpb.Kind_KIND_EXPORTER, f)
}

// Sampler offers the samplers of a factory. One can be served if it is a
// [core.TraceSampler], or a [core.StartSampler] that is [core.Keyed]. It may also
// be a [Leaser], [Changing], [Coarse] or [Rooted].
func Sampler(f core.Factory[core.Sampler]) Offer {
	return offer(pluginpb.Kind_KIND_SAMPLER, f)
}

func offer[T any](kind pluginpb.Kind, f core.Factory[T]) Offer {
	registry := new(core.Registry[T])
	o := Offer{kind: kind, name: f.Name(), doc: f.Doc(), fields: f.Fields(), err: registry.Add(f)}
	o.build = func(ctx context.Context, s core.Settings, c core.Component) (any, error) {
		return registry.Build(ctx, s, c)
	}
	return o
}

// Leaser is a sampler that says how long its answers hold, and is told how many
// traces start.
type Leaser interface {
	core.Keyed
	// Lease answers as SampleStart does. starts counts the spans with these
	// parameters that the host started since it last asked about them. The answer
	// holds for ttl; 0 leaves it to the host. It is called concurrently.
	Lease(p core.StartParameters, starts uint64) (a core.Answer, ttl time.Duration)
}

// Changing is a sampler whose answers change before their lease is over.
type Changing interface {
	core.Keyed
	// Changes calls changed when answers differ from what they were: those about
	// the starts given, or all of them if none is given. It returns when ctx is
	// done. It is called once per host, maybe concurrently; changed may be called
	// concurrently and does not wait for the host.
	Changes(ctx context.Context, changed func(starts ...core.StartParameters))
}

// Coarse is a sampler that does not look at all there is in a key, which makes
// for fewer leases.
type Coarse interface {
	core.Keyed
	// Ignores tells whether answers depend neither on the span's name, nor on its
	// kind; the same at every call.
	Ignores() (name, kind bool)
}

// Rooted is a trace sampler that needs nothing of a trace but its root. It gets
// traces with a Root that has these attributes, its name, kind, status and
// duration, and without Spans.
type Rooted interface {
	core.TraceSampler
	// RootAttributes lists the attributes; the same at every call.
	RootAttributes() []attribute.Key
}

// checkOffers finds what a plugin cannot serve.
func checkOffers(ctx context.Context, offers []Offer) error {
	if len(offers) == 0 {
		return errors.New("it offers nothing: want plugins.Exporter or plugins.Sampler")
	}
	var errs []error
	for i, o := range offers {
		errs = append(errs, o.check(ctx))
		if slices.ContainsFunc(offers[:i], func(p Offer) bool { return p.kind == o.kind && p.name == o.name }) {
			errs = append(errs, fmt.Errorf("%s %q is offered twice", kindName(o.kind), o.name))
		}
	}
	return errors.Join(errs...)
}

// check builds a sampler with its defaults, to see what it is. One that needs
// a configuration shows that when it gets one.
func (o Offer) check(ctx context.Context) error {
	if o.err != nil || o.kind != pluginpb.Kind_KIND_SAMPLER {
		return o.err
	}
	built, err := o.build(ctx, core.Settings{Logger: slog.New(slog.DiscardHandler)}, core.Component{Type: o.name})
	if err != nil {
		return nil // as said above
	}
	if s, ok := built.(core.Shutdowner); ok {
		defer s.Shutdown(ctx) //nolint:errcheck // it was only looked at
	}
	s, _ := built.(core.Sampler)
	return refusal(o.name, s)
}

// refusal says why a sampler cannot be served.
func refusal(name string, s core.Sampler) error {
	_, end := s.(core.EndSampler)
	_, start := s.(core.StartSampler)
	_, keyed := s.(core.Keyed)
	_, traces := s.(core.TraceSampler)
	switch {
	case end:
		return fmt.Errorf("sampler %q (%T) is an EndSampler: it is asked while a span ends, which cannot wait for another process; compile it into the service", name, s)
	case start && !keyed:
		return fmt.Errorf("sampler %q (%T) is a StartSampler without Keys(): only an answer that depends on named attributes can be given ahead of time; add Keys() or compile it into the service", name, s)
	case !start && !traces:
		return fmt.Errorf("sampler %q (%T) is none of StartSampler and TraceSampler", name, s)
	}
	return nil
}

func kindName(k pluginpb.Kind) string {
	if k == pluginpb.Kind_KIND_EXPORTER {
		return "exporter"
	}
	return "sampler"
}

// component is the entry that JSON configures.
func (o Offer) component(id, data string) (core.Component, error) {
	return config.Component(o.name, id, []byte(data))
}

// describe is what the other end is told.
func (o Offer) describe(version string) *pluginpb.Component {
	schema, _ := json.Marshal(objectSchema(o.fields, o.doc)) //nolint:errchkjson // strings and maps
	return &pluginpb.Component{Kind: o.kind, Name: o.name, Version: version, Doc: o.doc, ConfigSchema: string(schema)}
}

// objectSchema is the JSON Schema of a configuration struct. Values can be
// text for everything that a configuration file can write as text.
func objectSchema(fields []core.Field, doc string) map[string]any {
	properties := map[string]any{}
	for _, f := range fields {
		properties[f.Key] = fieldSchema(f)
	}
	s := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if doc != "" {
		s["description"] = doc
	}
	return s
}

func fieldSchema(f core.Field) map[string]any {
	s := typeSchema(f.Type, f.Fields)
	if f.Doc != "" {
		s["description"] = f.Doc
	}
	if f.Default != "" {
		s["default"] = f.Default
	}
	return s
}

func typeSchema(name string, fields []core.Field) map[string]any {
	if elem, ok := strings.CutPrefix(name, "list of "); ok {
		return map[string]any{"type": "array", "items": typeSchema(elem, fields)}
	}
	if elem, ok := strings.CutPrefix(name, "map of "); ok {
		return map[string]any{"type": "object", "additionalProperties": typeSchema(elem, fields)}
	}
	switch name {
	case "section":
		if len(fields) == 0 { // one that holds itself
			return map[string]any{"type": "object"}
		}
		return objectSchema(fields, "")
	case "boolean":
		return map[string]any{"type": "boolean"}
	case "whole number":
		return map[string]any{"type": "integer"}
	case "number":
		return map[string]any{"type": "number"}
	case "anything":
		return map[string]any{}
	default:
		return map[string]any{"type": []string{"string", "number"}}
	}
}
