// Package ratio is the sampler that keeps a fixed share of the traces, chosen
// consistently: every service that uses the same rate, or a higher one, keeps
// the same traces.
package ratio

import (
	"context"
	"fmt"
	"strconv"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core"
)

// Config is what users set.
type Config struct {
	_    struct{} `doc:"keeps a fixed share of the traces; the usual baseline, last in the list"`
	Rate float64  `yaml:"rate" doc:"share of the traces to keep, 0 to 1; 0 keeps none"`
}

// Validate checks the rate.
func (c *Config) Validate() error {
	if _, err := core.ThresholdFromProbability(c.Rate); err != nil {
		return &core.FieldError{Path: "rate", Err: fmt.Errorf("%v is not a rate: want a number from 0 to 1", c.Rate)}
	}
	return nil
}

// Factory makes the sampler; it is registered as "ratio".
var Factory = core.NewFactory("ratio", Config{Rate: 1}, New)

func init() { core.Samplers.MustAdd(Factory) }

// New builds the sampler.
func New(_ context.Context, _ core.Settings, c Config) (core.Sampler, error) {
	t, err := core.ThresholdFromProbability(c.Rate)
	if err != nil {
		return nil, err
	}
	return &sampler{
		answer:      core.At(t),
		description: "ratio " + strconv.FormatFloat(c.Rate*100, 'g', 6, 64) + "%",
	}, nil
}

type sampler struct {
	answer      core.Answer
	description string
}

func (s *sampler) SampleStart(core.StartParameters) core.Answer { return s.answer }
func (s *sampler) Description() string                          { return s.description }

// Keys: the answer depends on nothing at all.
func (*sampler) Keys() []attribute.Key { return nil }
func (*sampler) NeverAbstains() bool   { return true }

// Interface guards.
var (
	_ core.Keyed    = (*sampler)(nil)
	_ core.Baseline = (*sampler)(nil)
)
