package samplertest_test

import (
	"testing"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/samplers/ratio"
	"github.com/riffletrace/riffle/samplers/samplertest"
)

// The test of a sampler's package runs the whole suite.
func Example() {
	TestConformance := func(t *testing.T) {
		samplertest.Run(t, samplertest.Plan(component.Use(ratio.Factory, "", ratio.Config{Rate: 0.1})))
	}
	_ = TestConformance
}
