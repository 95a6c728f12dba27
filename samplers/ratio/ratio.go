// Package ratio is the sampler that keeps a fixed share of the traces, chosen
// consistently: every service that uses the same rate, or a higher one, keeps
// the same traces.
package ratio

import (
	"context"
	"fmt"
	"strconv"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// Config is what users set.
type Config struct {
	_    struct{} `doc:"keeps a fixed share of the traces; the usual baseline, last in the list"`
	Rate float64  `yaml:"rate" doc:"share of the traces to keep, 0 to 1; 0 keeps none"`
}

// Validate checks the rate.
func (c *Config) Validate() error {
	if _, err := sampling.ThresholdFromProbability(c.Rate); err != nil {
		return &component.FieldError{Path: "rate", Err: fmt.Errorf("%v is not a rate: want a number from 0 to 1", c.Rate)}
	}
	return nil
}

// LeavesNothingOut implements [component.LeavesNothingOut].
func (c *Config) LeavesNothingOut() bool { return c.Rate == 1 }

// Factory makes the sampler; it is registered as "ratio".
var Factory = component.NewFactory("ratio", Config{Rate: 1}, New)

func init() { sampling.Samplers.MustAdd(Factory) }

// New builds the sampler.
func New(_ context.Context, _ component.Settings, c Config) (sampling.Sampler, error) {
	t, err := sampling.ThresholdFromProbability(c.Rate)
	if err != nil {
		return nil, err
	}
	return &sampler{
		answer:      sampling.At(t),
		description: "ratio " + strconv.FormatFloat(c.Rate*100, 'g', 6, 64) + "%",
	}, nil
}

type sampler struct {
	answer      sampling.Answer
	description string
}

func (s *sampler) SampleStart(sampling.StartParameters) sampling.Answer { return s.answer }

// Traits: the answer depends on nothing at all.
func (s *sampler) Traits() sampling.Traits {
	return sampling.Traits{Description: s.description, Keyed: true, IgnoresName: true, IgnoresKind: true, AlwaysAnswers: true}
}

// Interface guards.
var (
	_ sampling.StartSampler      = (*sampler)(nil)
	_ component.LeavesNothingOut = (*Config)(nil)
)
