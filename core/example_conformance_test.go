package core_test

import (
	"testing"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/samplers/samplertest"
)

func TestConformance(t *testing.T) {
	samplertest.Run(t, samplertest.Plan(component.Use(Tenant, "", TenantConfig{Rate: map[string]float64{"gold": 1}})))
}
