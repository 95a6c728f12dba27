package core

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// deploymentEnvironment is the attribute that deployment.environment.name
// replaced; many backends still look for it.
const deploymentEnvironment = attribute.Key("deployment.environment")

// newResource describes the service. What the spec says wins over
// OTEL_RESOURCE_ATTRIBUTES, and that over what is detected. The process's
// arguments are left out: they may hold secrets.
func newResource(ctx context.Context, spec *plan) (*resource.Resource, error) {
	if spec.ExactResource != nil {
		r, err := spec.ExactResource.build(ctx, spec.Spec)
		if err != nil {
			return nil, fmt.Errorf("building the resource: %w", err)
		}
		return r, nil
	}
	attrs, key := spec.resourceAttributes(), string(semconv.ServiceVersionKey)
	if version := buildVersion(); version != "" && spec.ServiceVersion == "" && spec.Resource[key] == "" && spec.attributes[key] == "" {
		attrs = append(attrs, semconv.ServiceVersion(version))
	}
	r, err := resource.New(ctx,
		resource.WithSchemaURL(semconv.SchemaURL),
		resource.WithHost(),
		resource.WithOSType(),
		resource.WithProcessPID(),
		resource.WithProcessExecutableName(),
		resource.WithProcessRuntimeName(),
		resource.WithProcessRuntimeVersion(),
		resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName(unknownService())),
		resource.WithAttributes(attributesOf(spec.attributes)...),
		resource.WithAttributes(attrs...),
	)
	if errors.Is(err, resource.ErrPartialResource) || errors.Is(err, resource.ErrSchemaURLConflict) {
		err = nil // what could be detected is better than no tracing
	}
	if err != nil {
		return nil, fmt.Errorf("building the resource: %w", err)
	}
	return r, nil
}

func attributesOf(texts map[string]string) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, 0, len(texts))
	for _, k := range slices.Sorted(maps.Keys(texts)) {
		attrs = append(attrs, attribute.String(k, texts[k]))
	}
	return attrs
}

// resourceAttributes are those of the resource that the spec says.
func (s *Spec) resourceAttributes() []attribute.KeyValue {
	attrs := attributesOf(s.Resource)
	add := func(value string, keys ...attribute.Key) {
		if value == "" {
			return
		}
		for _, k := range keys {
			attrs = append(attrs, k.String(value))
		}
	}
	add(s.ServiceName, semconv.ServiceNameKey)
	add(s.ServiceVersion, semconv.ServiceVersionKey)
	add(s.ServiceNamespace, semconv.ServiceNamespaceKey)
	add(s.Environment, deploymentEnvironment, semconv.DeploymentEnvironmentNameKey)
	return attrs
}

// serviceName is that of a resource.
func serviceName(r *resource.Resource) string {
	name, _ := r.Set().Value(semconv.ServiceNameKey)
	return name.AsString()
}

// unknownService is the name of a service that nobody named, as OpenTelemetry
// wants it.
func unknownService() string {
	exe, err := os.Executable()
	if err != nil {
		return "unknown_service:go"
	}
	return "unknown_service:" + filepath.Base(exe)
}

// buildVersion is the version of the main module, "" if it has none.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "(devel)" {
		return ""
	}
	return info.Main.Version
}
