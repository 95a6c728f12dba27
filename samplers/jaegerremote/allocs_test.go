//go:build !race

package jaegerremote

import (
	"testing"

	"github.com/riffletrace/riffle/core/sampling"
)

func TestAnAnswerAllocatesNothing(t *testing.T) {
	ops := map[string]float64{"GET /users/{id}": 0.5}
	for name, s := range map[string]strategy{
		"a probability":     {probability: 0.1},
		"operations":        {operations: ops},
		"a guaranteed rate": {operations: ops, atLeast: 1},
		"a limit":           {limited: true, perSecond: 1},
	} {
		sampler := newSampler("nowhere", Config{}, &poller{})
		sampler.rules.Store(newRules(&s, nil))
		p := sampling.StartParameters{Name: "GET /users/{id}"}
		sampler.SampleStart(p)
		if n := testing.AllocsPerRun(1000, func() { sampler.SampleStart(p) }); n != 0 {
			t.Errorf("%s: %v allocations a decision, want 0", name, n)
		}
		sampler.end()
	}
}
