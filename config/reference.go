package config

import (
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/sampling"
)

// Reference is all that users can set, for documentation and tools.
type Reference struct {
	// Section are the keys of the section, with their defaults.
	Section []component.Field
	// Entry are the keys that every entry of samplers and exporters has,
	// SamplerKeys and ExporterKeys those that each of a list has besides.
	Entry, SamplerKeys, ExporterKeys []component.Field
	// MetricsKeys are those of the metrics section, whatever it starts.
	MetricsKeys []component.Field
	// Samplers, Exporters and MeterProviders are the registered types.
	Samplers       []component.Factory[sampling.Sampler]
	Exporters      []component.Factory[sdktrace.SpanExporter]
	MeterProviders []component.Factory[component.MeterProvider]
	// Variables are the application's; none without [App].
	Variables []Variable
	// OTelVariables are OpenTelemetry's own.
	OTelVariables []Variable
	// MetricsVariables are those of them that are read for the metrics section alone.
	MetricsVariables []Variable
	// OpenTelemetry are the types of OpenTelemetry's own configuration files, from the
	// top, as far as they are about traces.
	OpenTelemetry []OpenTelemetryType
}

// OpenTelemetryType is a type of OpenTelemetry's configuration schema.
type OpenTelemetryType struct {
	Name string
	// Kind is mapping, "one key", or the values of a text. With ? behind it, there may
	// be none.
	Kind string
	// Open tells that it can have other keys: names of components.
	Open       bool
	Properties []OpenTelemetryProperty
}

// OpenTelemetryProperty is a property of such a type, with what is done with it.
type OpenTelemetryProperty struct {
	Key string
	// Type is the name of a type, or boolean, natural, positive, ratio, string, value or
	// any. [] before it is a list; behind it stand ? where it can be null, and ! where it
	// is required.
	Type string
	Fate string // done, refused or passed over
	Doc  string // what is done, the error, or why it is not read
}

// Variable is one of the environment.
type Variable struct {
	Name string
	Key  string // that it sets; "" if it is an exporter or the SDK that reads it
	Doc  string
}

// Describe returns what can be set with these options.
func Describe(opts ...Option) Reference {
	o := newOptions(opts)
	r := Reference{
		Section:        fields(defaults(o.app)),
		Entry:          fields(entry{}),
		SamplerKeys:    fields(core.SamplerKeys{}),
		ExporterKeys:   fields(delivery.Defaults()),
		Samplers:       factories(o.samplers),
		Exporters:      factories(o.exporters),
		MetricsKeys:    fields(metricsHead{}),
		MeterProviders: factories(o.meterProviders),
	}
	shared := sharedTypes(o)
	for _, name := range sharedSections(shared) {
		r.Section = append(r.Section, component.Field{
			Key: name, Schema: component.Schema{Kind: component.Section, Fields: sharedFields(shared, name)},
			Doc: "keys of all entries of a type, which an entry can have of its own",
		})
	}
	if o.app != "" {
		for _, key := range variables() {
			r.Variables = append(r.Variables, Variable{Name: o.prefix() + strings.ToUpper(key), Key: key})
		}
	}
	for _, v := range otelVariables {
		r.OTelVariables = append(r.OTelVariables, Variable{Name: v.name, Key: v.sets, Doc: v.doc})
	}
	for _, v := range metricsVariables {
		r.MetricsVariables = append(r.MetricsVariables, Variable{Name: v.name, Doc: v.doc})
	}
	r.OpenTelemetry = describeOTel()
	return r
}

// describeOTel lists the types as they are met from the top.
func describeOTel() []OpenTelemetryType {
	var all []OpenTelemetryType
	seen := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		t, ok := otelTypes[name]
		if !ok || seen[name] {
			return
		}
		seen[name] = true
		described := OpenTelemetryType{Name: name, Kind: "mapping", Open: t.open != closed}
		switch {
		case len(t.enum) > 0:
			described.Kind = strings.Join(t.enum, "|")
		case t.one:
			described.Kind = "one key"
		}
		if t.null {
			described.Kind += "?"
		}
		for _, p := range t.properties {
			described.Properties = append(described.Properties, OpenTelemetryProperty{
				Key: p.key, Type: strings.Replace(p.typ, "secret", "string", 1), Fate: string(p.fate), Doc: p.what,
			})
		}
		all = append(all, described)
		for _, p := range t.properties {
			typ, _ := p.value()
			add(strings.TrimPrefix(typ, "[]"))
		}
	}
	add(otelRoot)
	return all
}

func fields(c any) []component.Field {
	all, _ := component.FieldsOf(c)
	return all
}

func factories[T any](r *component.Registry[T]) []component.Factory[T] {
	var all []component.Factory[T]
	for _, name := range r.Names() {
		f, _ := r.Lookup(name)
		all = append(all, f)
	}
	return all
}
