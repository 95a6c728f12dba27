package core_test

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// TenantConfig is what users set: a type, a key and a line for each field.
type TenantConfig struct {
	_    struct{}           `doc:"keeps a share of each tenant's traces"`
	Rate map[string]float64 `yaml:"rate" doc:"share of the traces, by tenant"`
}

// Validate finds mistakes before anything starts.
func (c *TenantConfig) Validate() error {
	if len(c.Rate) == 0 {
		return &component.FieldError{Path: "rate", Err: errors.New("missing: want a share for each tenant")}
	}
	return nil
}

type tenants map[string]sampling.Answer

func (s tenants) SampleStart(p sampling.StartParameters) sampling.Answer {
	for _, kv := range p.Attributes {
		if kv.Key == "tenant" {
			return s[kv.Value.AsString()] // the zero Answer abstains
		}
	}
	return sampling.Abstain()
}

func (s tenants) Traits() sampling.Traits {
	return sampling.Traits{Description: fmt.Sprintf("%d tenants", len(s)), Keyed: true, Keys: []attribute.Key{"tenant"}}
}

var Tenant = component.NewFactory("tenant", TenantConfig{}, func(_ context.Context, _ component.Settings, c TenantConfig) (sampling.Sampler, error) {
	s := tenants{}
	for tenant, rate := range c.Rate {
		t, err := sampling.ThresholdFromProbability(rate)
		if err != nil {
			return nil, fmt.Errorf("tenant %q: %w", tenant, err)
		}
		s[tenant] = sampling.At(t).Because("tenant " + tenant)
	}
	return s, nil
})

func init() { sampling.Samplers.MustAdd(Tenant) }

// A sampler that decides by tenant. Registered, configurations can name it:
// "- type: tenant".
func ExampleNewFactory_sampler() {
	ctx := context.Background()
	provider, err := core.New(ctx, core.Spec{Enabled: true, Samplers: []core.SamplerEntry{
		core.UseSampler(Tenant, "", TenantConfig{Rate: map[string]float64{"gold": 1, "free": 0}}),
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer provider.Shutdown(ctx)
	for _, tenant := range []string{"gold", "free"} {
		_, span := provider.TracerProvider().Tracer("example").Start(ctx, "GET /", trace.WithAttributes(attribute.String("tenant", tenant)))
		fmt.Println(tenant, span.IsRecording(), span.SpanContext().TraceState())
		span.End()
	}
	// Output:
	// gold true ot=th:0
	// free false
}
