// Package slow is the sampler that keeps every trace that took long, whatever
// the other samplers say.
package slow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riffletrace/riffle/core"
)

// Config is what users set.
type Config struct {
	_         struct{}      `doc:"keeps every trace that took long"`
	Threshold core.Duration `yaml:"threshold" doc:"how long a local root takes at least to be slow; required"`
	Spans     Spans         `yaml:"spans" doc:"which spans are measured: local_root, or any"`
}

// Spans says which spans are measured.
type Spans string

const (
	// LocalRoot measures the spans with no parent or a remote one.
	LocalRoot Spans = "local_root"
	// Any measures every span.
	Any Spans = "any"
)

// Validate checks the thresholds.
func (c *Config) Validate() error {
	var errs []error
	if err := positive(c.Threshold); err != nil {
		errs = append(errs, &core.FieldError{Path: "threshold", Err: err})
	}
	if c.Spans != LocalRoot && c.Spans != Any {
		errs = append(errs, &core.FieldError{Path: "spans", Err: fmt.Errorf("%q is not one of %s, %s", string(c.Spans), LocalRoot, Any)})
	}
	return errors.Join(errs...)
}

func positive(d core.Duration) error {
	switch {
	case d == 0:
		return errors.New("missing: want a duration such as 1s")
	case d < 0:
		return fmt.Errorf("%v is no time to wait for: want a duration above 0", d)
	default:
		return nil
	}
}

// Factory makes the sampler; it is registered as "slow".
var Factory = core.NewFactory("slow", Config{Spans: LocalRoot}, New)

func init() { core.Samplers.MustAdd(Factory) }

// New builds the sampler.
func New(_ context.Context, _ core.Settings, c Config) (core.Sampler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &sampler{
		limit:       newLimit(c.Threshold),
		any:         c.Spans == Any,
		description: "slow from " + c.Threshold.String(),
	}
	if s.any {
		s.description += ", any span"
	}
	return s, nil
}

type sampler struct {
	limit       limit
	any         bool
	description string
}

// limit is a threshold and the answer to what reaches it.
type limit struct {
	threshold time.Duration
	answer    core.Answer
}

func newLimit(d core.Duration) limit {
	return limit{time.Duration(d), core.At(core.Always).Because("took " + d.String() + " or longer")}
}

func (s *sampler) Description() string { return s.description }

// SampleEnd answers about an open local root from its age.
func (s *sampler) SampleEnd(p core.EndParameters) core.Answer {
	if p.Duration < s.limit.threshold || !s.any && !p.LocalRoot {
		return core.Abstain()
	}
	return s.limit.answer
}

// LongestWait is how long a trace must be watched at least, so that the
// sampler can find it slow: the longest threshold. A host that decides earlier
// than that refuses the configuration.
func (s *sampler) LongestWait() time.Duration { return s.limit.threshold }

// Interface guards.
var _ core.EndSampler = (*sampler)(nil)
