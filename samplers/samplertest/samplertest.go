// Package samplertest is the conformance suite for samplers. An author runs it
// from a test of the sampler's package, under -race too:
//
//	func TestConformance(t *testing.T) {
//		samplertest.Run(t, samplertest.Plan(component.Use(ratio.Factory, "", ratio.Config{Rate: 0.1})))
//	}
//
// Each failure names the rule that was broken and why there is such a rule. A
// sampler may be a start, an end and a segment sampler at once; what it is not
// is left out.
package samplertest

import (
	"context"
	"iter"
	"testing"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// Run checks the samplers that newSampler makes, a new one at each call, with the
// same settings. The starts are further parameters, that the sampler reacts to, for
// those that the suite would not think of: the suite asks with names, kinds and
// attributes as HTTP and messaging instrumentation have them, and with values
// of the keys that its traits name.
func Run(t *testing.T, newSampler func(testing.TB) sampling.Sampler, starts ...sampling.StartParameters) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, newSampler, starts)
		})
	}
}

// Cases are the parts of [Run] by name, for those who run them one by one, or
// with a [testing.TB] of their own.
func Cases() iter.Seq2[string, func(testing.TB, func(testing.TB) sampling.Sampler)] {
	return func(yield func(string, func(testing.TB, func(testing.TB) sampling.Sampler)) bool) {
		for _, c := range cases {
			if !yield(c.name, func(tb testing.TB, newSampler func(testing.TB) sampling.Sampler) { c.run(tb, newSampler, nil) }) {
				return
			}
		}
	}
}

// Plan makes the samplers of [Run] from a plan: component.Use(Factory, "",
// Config{...}).
func Plan(p component.Plan[sampling.Sampler]) func(testing.TB) sampling.Sampler {
	return func(tb testing.TB) sampling.Sampler {
		tb.Helper()
		s, err := p.Build(tb.Context(), component.Settings{})
		if err != nil {
			tb.Fatalf("building sampler %q: %v", p.ID(), err)
		}
		return s
	}
}

// testCase checks one rule.
type testCase struct {
	name string
	rule string
	// check reports what breaks the rule.
	check func(*suite)
}

func (c testCase) run(tb testing.TB, newSampler func(testing.TB) sampling.Sampler, starts []sampling.StartParameters) {
	tb.Helper()
	c.check(&suite{TB: tb, rule: c.rule, newSampler: newSampler, starts: starts})
}

// suite is what a case works with.
type suite struct {
	testing.TB
	rule       string
	newSampler func(testing.TB) sampling.Sampler
	starts     []sampling.StartParameters
}

// sampler makes a sampler that is shut down when the case is over.
func (s *suite) sampler() sampling.Sampler {
	s.Helper()
	sampler := s.newSampler(s.TB)
	if sampler == nil {
		s.Fatalf("newSampler returned nil")
	}
	s.Cleanup(func() {
		if sd, ok := sampler.(component.Shutdowner); ok {
			if err := sd.Shutdown(context.Background()); err != nil {
				s.Errorf("Shutdown: %v", err)
			}
		}
	})
	return sampler
}

// violated fails the case and says why there is such a rule.
func (s *suite) violated(format string, args ...any) {
	s.Helper()
	s.Errorf(format+"\nrule: %s", append(args, s.rule)...)
}
