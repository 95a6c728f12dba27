// Package spans is the sampler that keeps traces by how many spans a segment has,
// which is a local root and what is below it in this process: the large ones, such
// as those with a query in a loop, or the small ones.
//
// With only a min it answers as soon as that many spans have ended, so that
// services called from then on keep their part too. With a max the size must
// be known: it answers when a local root ends, from the spans that ended until then,
// the root included. Spans that outlive their root are not counted then, and a
// segment that is overdue has no size.
package spans

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// Config is what users set.
type Config struct {
	_   struct{} `doc:"keeps traces by how many spans they have"`
	Min int      `yaml:"min" doc:"the least number of spans"`
	Max int      `yaml:"max" doc:"the greatest number of spans; 0 is no bound"`
}

// LeavesNothingOut implements [component.LeavesNothingOut].
func (*Config) LeavesNothingOut() bool { return true }

// Validate checks the bounds.
func (c *Config) Validate() error {
	var errs []error
	bad := func(path, format string, args ...any) {
		errs = append(errs, &component.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
	}
	switch {
	case c.Min == 0 && c.Max == 0:
		bad("", "neither min nor max is set")
	case c.Min < 0:
		bad("min", "%d is no number of spans", c.Min)
	case c.Max < 0:
		bad("max", "%d is no number of spans", c.Max)
	case c.Max > 0 && c.Max < c.Min:
		bad("max", "%d is less than min, %d", c.Max, c.Min)
	}
	return errors.Join(errs...)
}

// Factory makes the sampler; it is registered as "spans".
var Factory = component.NewFactory("spans", Config{}, New)

func init() { sampling.Samplers.MustAdd(Factory) }

// New builds the sampler.
func New(_ context.Context, _ component.Settings, c Config) (sampling.Sampler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	var size string
	switch {
	case c.Max == 0:
		size = strconv.Itoa(c.Min) + " spans or more"
	case c.Min == 0:
		size = strconv.Itoa(c.Max) + " spans or fewer"
	default:
		size = strconv.Itoa(c.Min) + " to " + strconv.Itoa(c.Max) + " spans"
	}
	return &sampler{min: c.Min, max: c.Max, answer: sampling.At(sampling.Always).Because(size), description: size}, nil
}

type sampler struct {
	min, max    int
	answer      sampling.Answer
	description string
}

func (s *sampler) Traits() sampling.Traits { return sampling.Traits{Description: s.description} }

func (s *sampler) SampleEnd(p sampling.EndParameters) sampling.Answer {
	if p.Spans < s.min {
		return sampling.Abstain()
	}
	if s.max > 0 && (!p.LocalRoot || p.Open || p.Spans > s.max) {
		return sampling.Abstain()
	}
	return s.answer
}

// Interface guards.
var (
	_ sampling.EndSampler        = (*sampler)(nil)
	_ component.LeavesNothingOut = (*Config)(nil)
)
