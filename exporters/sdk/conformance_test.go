package sdk_test

import (
	"testing"

	"github.com/riffletrace/riffle/exporters/exportertest"
	"github.com/riffletrace/riffle/internal/otlptest"
)

func TestConformance(t *testing.T) {
	for _, protocol := range []string{"grpc", "http"} {
		for backend, address := range map[string]string{"works": receiver(t, protocol, nil).Address, "is dead": otlptest.Dead(t)} {
			t.Run(protocol+"/backend "+backend, func(t *testing.T) {
				exportertest.Run(t, exportertest.Plan(entry(protocol, settings{endpoint: address})))
			})
		}
	}
}
