package otlp_test

import (
	"testing"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/exporters/exportertest"
	"github.com/riffletrace/riffle/exporters/internal/otlptest"
	"github.com/riffletrace/riffle/exporters/otlp"
)

func TestConformance(t *testing.T) {
	for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
		works := &otlptest.Scripted{Address: otlptest.Dead(t)}
		works.Start(t, protocol)
		for backend, address := range map[string]string{
			"works": works.Address, "is dead": otlptest.Dead(t), "is silent": otlptest.Silent(t), "hangs up": otlptest.HangsUp(t),
		} {
			t.Run(string(protocol)+"/backend "+backend, func(t *testing.T) {
				exportertest.Run(t, exportertest.Component(core.Use(otlp.Factory, "", otlp.Config{Endpoint: address, Protocol: protocol})))
			})
		}
	}
}
