package atmost_test

import (
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	atmost "github.com/riffletrace/riffle/samplers/at_most"
	"github.com/riffletrace/riffle/samplers/samplertest"
)

func TestAtMost(t *testing.T) {
	s := samplertest.Plan(component.Use(atmost.Factory, "", atmost.Config{}))(t).(sampling.SegmentSampler)
	root := tracetest.SpanStub{Name: "GET"}.Snapshot()
	segments := []sampling.Segment{
		{Root: root, Complete: true, Threshold: sampling.Always},
		{},
		{Root: root, Threshold: sampling.Never}, // overdue, but the local root has ended
	}
	answers := make([]sampling.Answer, len(segments))
	s.SampleSegments(t.Context(), segments, answers)
	for i, want := range []string{"at most threshold fd70a", "abstain", "at most threshold fd70a"} {
		// The host makes of it what the entry's sample says.
		if got := answers[i].Scaled(0.01).String(); got != want {
			t.Errorf("segment %d: %s, want %s", i, got, want)
		}
	}
	if traits := s.Traits(); !traits.NeedsMatch || !traits.NeedsSample || traits.NeverRaises {
		t.Errorf("traits %+v", traits)
	}
}

func TestConformance(t *testing.T) {
	samplertest.Run(t, samplertest.Plan(component.Use(atmost.Factory, "", atmost.Config{})))
}
