package discard_test

import (
	"testing"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/samplers/discard"
	"github.com/riffletrace/riffle/samplers/samplertest"
)

func TestDiscard(t *testing.T) {
	s := samplertest.Component(core.Use(discard.Factory, "", discard.Config{}))(t).(core.TraceSampler)
	answers := make([]core.Answer, 3)
	s.SampleTraces(t.Context(), []core.Trace{{Complete: true}, {}, {Complete: true, Threshold: core.Never}}, answers)
	for i, want := range []string{"drop: discarded", "abstain", "drop: discarded"} {
		if got := answers[i].String(); got != want {
			t.Errorf("trace %d: %s, want %s", i, got, want)
		}
	}
}

func TestConformance(t *testing.T) {
	samplertest.Run(t, samplertest.Component(core.Use(discard.Factory, "", discard.Config{})))
}
