package otlp_test

import (
	"testing"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/exporters/exportertest"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/internal/otlptest"
)

func TestConformance(t *testing.T) {
	t.Run("preset", func(t *testing.T) {
		c := preset("newrelic")
		c.Endpoint = "http://" + otlptest.HTTP(t, nil, "/v1/traces").Address
		exportertest.Run(t, exportertest.Plan(component.Use(otlp.Factory, "", c)))
	})
	for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
		works := &otlptest.Scripted{Address: otlptest.Dead(t)}
		works.Start(t, string(protocol))
		for backend, address := range map[string]string{
			"works": works.Address, "is dead": otlptest.Dead(t), "is silent": otlptest.Silent(t), "hangs up": otlptest.HangsUp(t),
		} {
			t.Run(string(protocol)+"/backend "+backend, func(t *testing.T) {
				exportertest.Run(t, exportertest.Plan(component.Use(otlp.Factory, "", otlp.Config{Endpoint: address, Protocol: protocol})))
			})
		}
	}
}
