//go:build !race

package route_test

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"
)

func TestAllocations(t *testing.T) {
	s := newSampler(t, manyRules(10_000))
	p := request("GET", "/api/v1/resource5000/7")
	if !s.SampleStart(p).IsDrop() {
		t.Fatal("does not match")
	}
	for _, pattern := range []string{"", "/", "/api/v1/resource5000/:id", "/elsewhere/{id:[0-9]+}"} {
		if pattern != "" {
			p.Attributes = append(p.Attributes[:2:2], attribute.String("http.route", pattern))
		}
		if n := testing.AllocsPerRun(100, func() { s.SampleStart(p) }); n != 0 {
			t.Errorf("http.route %q: %v allocations", pattern, n)
		}
	}
}
