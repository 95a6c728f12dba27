//go:build !race

package adaptive_test

import (
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/adaptive"
)

func TestKnownKeyAllocatesNothing(t *testing.T) {
	for _, key := range [][]string{{"route", "name"}, {"http.route", "name"}} {
		s, p := newSampler(t, adaptive.Config{TargetPerSecond: 10, Key: key}), route("/users/{id}")
		s.SampleStart(p)
		if n := testing.AllocsPerRun(1000, func() { s.SampleStart(p) }); n != 0 {
			t.Errorf("%v: %v allocations a decision, want 0", key, n)
		}
	}
	s := build(t, adaptive.Config{TargetPerSecond: 10, Key: []string{"route", "name", "status", "error.type"}, At: adaptive.End}).(sampling.EndSampler)
	span := tracetest.SpanStub{Name: "GET /users/7", Attributes: route("/").Attributes}.Snapshot()
	p := sampling.EndParameters{Span: span, LocalRoot: true}
	s.SampleEnd(p)
	if n := testing.AllocsPerRun(1000, func() { s.SampleEnd(p) }); n != 0 {
		t.Errorf("at the end: %v allocations a decision, want 0", n)
	}
}
