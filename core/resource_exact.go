package core

import (
	"context"
	"errors"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/riffletrace/riffle/core/match"
)

// ExactResource describes a resource in which there is nothing but what is said here
// and in the spec, what OpenTelemetry requires of every resource, and what is detected.
// The spec wins over it, and Attributes win over what is detected.
type ExactResource struct {
	// Attributes are further ones, of any type.
	Attributes []attribute.KeyValue
	SchemaURL  string // "" is none
	// Detectors are of ResourceDetectors.
	Detectors []string
	// Included and Excluded are patterns of the keys of what is detected. Without
	// Included, all are; Excluded wins.
	Included, Excluded []match.Glob
}

// Includes reports whether a detected attribute counts.
func (e *ExactResource) Includes(key string) bool {
	matches := func(g match.Glob) bool { return g.Match(key) }
	return (len(e.Included) == 0 || slices.ContainsFunc(e.Included, matches)) && !slices.ContainsFunc(e.Excluded, matches)
}

// resourceDetectors are what the names in Detectors stand for. The process's arguments
// are left out: they may hold secrets. The name of the service is the spec's.
var resourceDetectors = map[string][]resource.Option{
	"container": {resource.WithContainer()},
	"host":      {resource.WithHost(), resource.WithHostID(), resource.WithOSType(), resource.WithOSDescription()},
	"process": {
		resource.WithProcessPID(), resource.WithProcessExecutableName(), resource.WithProcessExecutablePath(),
		resource.WithProcessOwner(), resource.WithProcessRuntimeName(), resource.WithProcessRuntimeVersion(),
		resource.WithProcessRuntimeDescription(),
	},
	"service": {resource.WithService()},
}

func (e *ExactResource) build(ctx context.Context, spec *Spec) (*resource.Resource, error) {
	attrs := []attribute.KeyValue{semconv.ServiceName(unknownService())}
	for _, name := range e.Detectors {
		// One that fails takes nothing from the others.
		r, err := resource.New(ctx, resourceDetectors[name]...)
		if r == nil {
			return nil, err
		}
		for _, kv := range r.Attributes() {
			if e.Includes(string(kv.Key)) && kv.Key != semconv.ServiceNameKey {
				attrs = append(attrs, kv)
			}
		}
	}
	sdk, err := resource.New(ctx, resource.WithTelemetrySDK())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, err
	}
	attrs = slices.Concat(attrs, sdk.Attributes(), e.Attributes, spec.resourceAttributes())
	return resource.NewWithAttributes(e.SchemaURL, attrs...), nil
}
