package discard_test

import (
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/discard"
	"github.com/riffletrace/riffle/samplers/samplertest"
)

func TestDiscard(t *testing.T) {
	s := samplertest.Plan(component.Use(discard.Factory, "", discard.Config{}))(t).(sampling.SegmentSampler)
	answers := make([]sampling.Answer, 3)
	root := tracetest.SpanStub{Name: "GET"}.Snapshot()
	s.SampleSegments(t.Context(), []sampling.Segment{{Root: root, Complete: true}, {}, {Root: root, Threshold: sampling.Always}}, answers)
	for i, want := range []string{"discard", "abstain", "discard"} {
		if got := answers[i].String(); got != want {
			t.Errorf("segment %d: %s, want %s", i, got, want)
		}
	}
}

func TestConformance(t *testing.T) {
	samplertest.Run(t, samplertest.Plan(component.Use(discard.Factory, "", discard.Config{})))
}
