package command

import (
	"encoding/json"
	"errors"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/component"
)

// ErrNoOTLP tells that a program cannot send OTLP itself.
var ErrNoOTLP = errors.New(`this program has no exporter "otlp" (forgotten import of exporters/otlp?)`)

// OTLP plans the exporter "otlp" of a registry, with the keys of an entry.
func OTLP(r *component.Registry[sdktrace.SpanExporter], name string, keys map[string]any) (component.Plan[sdktrace.SpanExporter], error) {
	f, ok := r.Lookup("otlp")
	if !ok {
		return component.Plan[sdktrace.SpanExporter]{}, ErrNoOTLP
	}
	data, err := json.Marshal(keys)
	if err != nil {
		return component.Plan[sdktrace.SpanExporter]{}, err
	}
	decode, err := config.DecodeJSON(data)
	if err != nil {
		return component.Plan[sdktrace.SpanExporter]{}, err
	}
	plan := f.Plan(name, decode)
	return plan, plan.Err()
}
