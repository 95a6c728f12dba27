package core_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/delivery/redact"
)

// What a limit cuts is redacted as if it went on, by the rules for all and by those
// of an exporter.
func TestRedactionOfCutValues(t *testing.T) {
	limit := 24
	line := delivery.Defaults()
	line.Redact = &redact.Config{Rules: []redact.Rule{{Presets: []string{"url_credentials"}}}}
	exporter := &tracetest.InMemoryExporter{}
	entry := useExporter("e", exporter)
	entry.Delivery = &line
	p, err := core.New(t.Context(), core.Spec{
		Enabled: true, ServiceName: "shop", Limits: core.SpanLimits{AttributeValueLength: &limit},
		Redact:    &redact.Config{Rules: []redact.Rule{{Presets: []string{"emails"}}}},
		Exporters: []core.ExporterEntry{entry},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.TracerProvider().Tracer("test").Start(t.Context(), "a")
	span.SetAttributes(
		attribute.String("db", "postgres://admin:hunter2secretpassword@db/shop"),
		attribute.String("both", "b@x.org, redis://admin:hunter2@db"),
		attribute.StringSlice("list", []string{"postgres://admin:hunter2secretpassword@db/shop"}),
		attribute.String("mail", "from somebody called alice@example.com"),
	)
	span.End()
	if err := p.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := exporter.GetSpans()
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(spans) != 1 {
		t.Fatalf("%d spans", len(spans))
	}
	for _, kv := range spans[0].Attributes {
		if text := kv.Value.String(); strings.Contains(text, "admin") || strings.Contains(text, "ali") || !strings.Contains(text, "***") {
			t.Errorf("%s is %s", kv.Key, text)
		}
	}
}

// The rules for all and those of an exporter count together.
func TestTooManyRules(t *testing.T) {
	rules := func(n int) *redact.Config {
		c := &redact.Config{}
		for range n {
			c.Rules = append(c.Rules, redact.Rule{Value: "x"})
		}
		return c
	}
	line := delivery.Defaults()
	line.Redact = rules(40)
	entry := useExporter("e", &tracetest.InMemoryExporter{})
	entry.Delivery = &line
	spec := core.Spec{Enabled: true, Redact: rules(40), Exporters: []core.ExporterEntry{entry}}
	want := "exporters[0].redact.rules: 80 rules, where each preset counts, are more than 64: write some as one"
	if _, err := core.New(t.Context(), spec); err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}
