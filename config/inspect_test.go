package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/config"
)

// Who sets a key is told by the source that wins.
func TestSetBy(t *testing.T) {
	const file = "observability: {tracing: {service_name: a, sample_rate: 1}}"
	i, err := config.Inspect([]byte(file), config.File("f.yaml"), config.App("fluxbase"),
		config.Environ([]string{"FLUXBASE_OBSERVABILITY_TRACING_SAMPLE_RATE=0.5", "OTEL_SERVICE_NAME=b", "OTEL_SDK_DISABLED=true"}))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, key := range []string{"service_name", "sample_rate", "enabled", "environment"} {
		got[key] = i.SetBy(key)
	}
	want := map[string]string{
		"service_name": "f.yaml:1:27", "sample_rate": "FLUXBASE_OBSERVABILITY_TRACING_SAMPLE_RATE", "enabled": "OTEL_SDK_DISABLED", "environment": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The environment alone is inspected as it is read.
func TestInspectEnv(t *testing.T) {
	i, err := config.InspectEnv(config.App("fluxbase"), config.Environ([]string{"FLUXBASE_OBSERVABILITY_TRACING_ENABLED=yes, please"}))
	if err != nil || len(i.Mistakes) != 1 || i.Mistakes[0].Position != "FLUXBASE_OBSERVABILITY_TRACING_ENABLED" {
		t.Errorf("%v, %v", err, i)
	}
	if _, err := config.InspectEnv(config.Section("..")); err == nil {
		t.Error("no error of a section")
	}
}

// What stands beside the section is told, on all levels.
func TestBeside(t *testing.T) {
	for file, want := range map[string][]string{
		"server: 1\nobservability:\n  logging: {a: 1}\n  tracing: {service_name: x}\n  metrics: {}\n": {"server", "observability.logging", "observability.metrics"},
		"observability: {tracing: {service_name: x}}":                                                 nil,
		"observability: &o {tracing: {service_name: x}}\nother: *o\n":                                 {"other"},
		"server: 1": nil,
		"- 1":       nil,
		"":          nil,
		"a: *b":     nil,
		"file_format: '1.0'\ntracer_provider: {}\n": nil,
	} {
		i, err := config.Inspect([]byte(file), config.Environ(nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, i.Beside()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", file, diff)
		}
	}
}
