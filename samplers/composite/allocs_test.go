//go:build !race

package composite_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// Nothing is allocated for texts, numbers and booleans.
func TestAllocations(t *testing.T) {
	const tree = `
annotating:
  attributes: {a: b}
  sampler:
    parent_based:
      root: {rule_based: {rules: [{attribute_values: {key: code, values: ["404"]}, sampler: {always_on: }}]}}
      remote_parent_sampled: {rule_based: {rules: [{attribute_values: {key: code, values: ["x"]}, sampler: {always_on: }}]}}
      remote_parent_not_sampled: {rule_based: {rules: [{attribute_patterns: {key: code, included: ["x*", "4?4*", "t*"]}, sampler: {always_on: }}]}}`
	s, err := decoded(t, tree).Build(t.Context(), component.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	start := s.(sampling.StartSampler)
	code := attribute.Key("code")
	for _, kv := range []attribute.KeyValue{code.Int(404), code.Int64(-1 << 63), code.Bool(true), code.String("404 and more")} {
		for _, below := range []bool{false, true} {
			p := sampling.StartParameters{ParentContext: context.Background(), Kind: trace.SpanKindServer, Attributes: []attribute.KeyValue{kv}, RemoteParent: below}
			if n := testing.AllocsPerRun(100, func() { start.SampleStart(p) }); n != 0 {
				t.Errorf("%v, below a parent %v: %v allocations", kv, below, n)
			}
		}
	}
}
