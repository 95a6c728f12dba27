package core_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/match"
)

// resourceOf starts a provider and returns the resource of its spans.
func resourceOf(t *testing.T, spec core.Spec) (attrs map[string]string, schemaURL string) {
	t.Helper()
	spec.Enabled = true
	p, err := core.New(t.Context(), spec, core.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	_, span := p.TracerProvider().Tracer("test").Start(t.Context(), "x")
	defer span.End()
	readable, ok := span.(sdktrace.ReadOnlySpan)
	if !ok {
		t.Fatalf("a span is a %T", span)
	}
	attrs = map[string]string{}
	for _, kv := range readable.Resource().Attributes() {
		attrs[string(kv.Key)] = kv.Value.String()
	}
	return attrs, readable.Resource().SchemaURL()
}

// In an exact resource there is what it says, and what OpenTelemetry requires.
func TestExactResource(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "from=env")
	t.Setenv("OTEL_SERVICE_NAME", "from-env")
	attrs, schema := resourceOf(t, core.Spec{
		Resource:      map[string]string{"region": "eu", "both": "spec"},
		ExactResource: &core.ExactResource{Attributes: []attribute.KeyValue{attribute.Int("both", 1), attribute.Int("shards", 3)}},
	})
	sdk := 0
	for key := range attrs {
		if strings.HasPrefix(key, "telemetry.sdk.") {
			delete(attrs, key)
			sdk++
		}
	}
	if !strings.HasPrefix(attrs["service.name"], "unknown_service:") {
		t.Errorf("the service is %q", attrs["service.name"])
	}
	delete(attrs, "service.name")
	if diff := cmp.Diff(map[string]string{"region": "eu", "both": "spec", "shards": "3"}, attrs); diff != "" || schema != "" || sdk != 3 {
		t.Errorf("schema %q, %d of the SDK (-want +got):\n%s", schema, sdk, diff)
	}

	attrs, schema = resourceOf(t, core.Spec{
		ServiceName: "checkout",
		ExactResource: &core.ExactResource{
			SchemaURL: "https://example.com/1", Detectors: []string{"process", "host", "service", "container"},
			Excluded: []match.Glob{"process.runtime.*", "os.*"},
		},
	})
	for key, want := range map[string]bool{
		"process.pid": true, "process.executable.path": true, "host.name": true, "service.instance.id": true,
		"process.runtime.name": false, "os.type": false, "process.command_args": false, "from": false,
	} {
		if _, ok := attrs[key]; ok != want {
			t.Errorf("%s is there: %v", key, ok)
		}
	}
	if attrs["service.name"] != "checkout" || schema != "https://example.com/1" {
		t.Errorf("the service is %q, the schema %q", attrs["service.name"], schema)
	}
	attrs, _ = resourceOf(t, core.Spec{ExactResource: &core.ExactResource{Detectors: []string{"process", "host"}, Included: []match.Glob{"host.*"}}})
	if attrs["host.name"] == "" || attrs["process.pid"] != "" {
		t.Errorf("the resource is %v", attrs)
	}
}
