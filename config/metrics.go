package config

import (
	"errors"
	"reflect"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
)

// metricsHead are the keys of the metrics section that are not of what it starts.
type metricsHead struct {
	Exporter string `yaml:"exporter" doc:"how metrics leave the process"`
}

var metricsHeadKeys = keysOf(reflect.TypeFor[metricsHead]())

// metricsPlan decodes the metrics section; nil without one.
func (r *reader) metricsPlan() *core.MetricsEntry {
	n := r.section.Metrics
	if n == nil || n.kind == null || n.kind == broken {
		return nil
	}
	if n.kind != mapping {
		r.fail(n.pos, "metrics", errors.New("want a mapping that begins with \"exporter:\", not "+r.wrong(n)))
		return nil
	}
	p := listEntry{reader: r, node: n}
	var head metricsHead
	for _, e := range component.FieldErrors(p.read(decoder{only: metricsHeadKeys}, &head)) {
		path := component.JoinPath("metrics", e.Path)
		r.fail(n.locate(e.Path), path, e.Err)
		r.unusable[path] = true
	}
	e := &core.MetricsEntry{Plan: r.meterProviders.Plan(head.Exporter, "", func(into any) error {
		if c, ok := into.(component.EnvironmentIgnorer); ok && r.otelFile != nil {
			c.IgnoreEnvironment()
		}
		return p.read(decoder{skip: metricsHeadKeys}, into)
	})}
	r.metricsReads = e.ReadsVariables()
	r.warnAll(e.IgnoredVariables())
	return e
}

// addMetrics says what the metrics section is: the keys of what its exporter key names.
func addMetrics(defs, section map[string]any, head []component.Field, types []component.Factory[component.MeterProvider]) {
	names, branches := []string{}, []any{}
	for _, f := range types {
		def := component.JSONSchema(f.Fields(), f.Doc())
		properties(def)["exporter"] = map[string]any{"$ref": "#/$defs/metrics/properties/exporter"}
		name := "metrics." + f.Name()
		defs[name] = def
		names = append(names, f.Name())
		branches = append(branches, branch("exporter", f.Name(), name))
	}
	entry := component.JSONSchema(head, "")
	entry["type"], entry["pattern"] = []string{"object", "string", "null"}, substitution
	properties(entry)["exporter"] = nameOf("how metrics leave the process", names)
	entry["required"], entry["allOf"] = []string{"exporter"}, branches
	delete(entry, "additionalProperties") // each branch has its own
	defs["metrics"] = entry
	all := properties(section)
	all["metrics"] = map[string]any{"$ref": "#/$defs/metrics", "description": all["metrics"].(map[string]any)["description"]}
}
