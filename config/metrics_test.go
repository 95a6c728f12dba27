package config_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
)

// pushed is what starts a MeterProvider in a test, and reads variables.
type pushed struct {
	Endpoint string `yaml:"endpoint" doc:"where to"`
	NoEnv    bool   `yaml:"-"`
}

func (c *pushed) IgnoreEnvironment() { c.NoEnv = true }

func (*pushed) IgnoredVariables() []*component.FieldError { return nil }

func (*pushed) TakenVariables() []component.TakenVariable { return nil }

func meterProviders(t *testing.T) config.Option {
	t.Helper()
	r := component.NewMeterProviders()
	r.MustAdd(component.NewFactory("pushed", pushed{}, func(context.Context, component.Settings, pushed) (component.MeterProvider, error) {
		return metric.NewMeterProvider(), nil
	}))
	return config.MeterProviders(r)
}

const metricsOff, metricsOn = "enabled: true\nservice_name: a\n", "enabled: true\nservice_name: a\nmetrics: {exporter: pushed, endpoint: b}\n"

func parseMetrics(t *testing.T, text string, opts ...config.Option) (core.Spec, error) {
	t.Helper()
	all := append(registries(t), config.Section(""), config.File("a.yaml"), config.Environ(nil))
	return config.Parse([]byte(text), append(all, opts...)...)
}

// The section is decoded into what its exporter key names. A program that imports nothing
// that starts a MeterProvider is told what to import.
func TestMetricsSection(t *testing.T) {
	spec, err := parseMetrics(t, metricsOn, meterProviders(t))
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := spec.Metrics.Config().(pushed); !ok || c.Endpoint != "b" || c.NoEnv {
		t.Errorf("%+v", spec.Metrics.Config())
	}
	if spec, err = parseMetrics(t, metricsOff, meterProviders(t)); err != nil || spec.Metrics != nil {
		t.Errorf("without a section: %v, %v", spec.Metrics, err)
	}
	_, err = parseMetrics(t, metricsOn, config.MeterProviders(component.NewMeterProviders()))
	const want = `a.yaml:3:11: metrics.exporter: unknown metrics exporter "pushed": none is registered (import _ "github.com/riffletrace/riffle/metrics")`
	var found core.ConfigErrors
	if !errors.As(err, &found) || len(found) != 1 || !strings.HasPrefix(found[0].Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// The variables of metrics are read where something reads them.
func TestMetricsVariables(t *testing.T) {
	env := config.Environ([]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://a", "OTEL_METRICS_EXPORTER=otlp"})
	for text, want := range map[string]string{
		metricsOff: "variables that riffle does not read: OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, OTEL_METRICS_EXPORTER",
		metricsOn:  "variables that riffle does not read: OTEL_METRICS_EXPORTER",
	} {
		spec, err := parseMetrics(t, text, meterProviders(t), env)
		if err != nil {
			t.Fatal(err)
		}
		if got := spec.Source.Warnings(); len(got) != 1 || got[0].Err.Error() != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

// A schema tells the keys of each exporter of metrics.
func TestMetricsSchema(t *testing.T) {
	text, err := config.Schema(append(registries(t), config.Section(""), meterProviders(t))...)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Defs map[string]struct {
			Properties map[string]struct {
				Ref   string `json:"$ref"`
				AnyOf []struct{ Enum []string }
			}
			AdditionalProperties *bool
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	if ref := schema.Defs["section"].Properties["metrics"].Ref; ref != "#/$defs/metrics" {
		t.Errorf("the section is %q", ref)
	}
	if names := schema.Defs["metrics"].Properties["exporter"].AnyOf; len(names) != 2 || len(names[0].Enum) != 1 || names[0].Enum[0] != "pushed" {
		t.Errorf("exporter can be %v", names)
	}
	def := schema.Defs["metrics.pushed"]
	if _, ok := def.Properties["endpoint"]; !ok || def.AdditionalProperties == nil || *def.AdditionalProperties {
		t.Errorf("its keys are %+v", def)
	}
}
