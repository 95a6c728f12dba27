// Package attribute is the sampler that gives every trace it is asked about the
// same answer. Which ones those are is said by the entry's match: a tenant, a
// status code, a kind of span.
package attribute

import (
	"context"
	"errors"
	"fmt"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// Config is what users set.
type Config struct {
	_      struct{}        `doc:"drops or keeps the traces that the entry's match selects"`
	Sample sampling.Sample `yaml:"sample" doc:"drop, or the share of the traces to keep, 0 to 1"`
	At     Moment          `yaml:"at" doc:"start: by what is known when a local root starts; end: by what is known when a span ends"`
}

// Moment is when the sampler is asked.
type Moment string

const (
	// Start is when a local root starts; also the empty value.
	Start Moment = "start"
	// End is whenever a span ends.
	End Moment = "end"
)

// ConfigSchema lists the values.
func (Moment) ConfigSchema() component.Schema { return component.Enum(Start, End) }

// Validate checks that there is such an answer at that moment.
func (c *Config) Validate() error {
	var errs []error
	answer, err := c.Sample.Answer()
	if err != nil {
		errs = append(errs, &component.FieldError{Path: "sample", Err: err})
	}
	switch c.At {
	case "", Start:
	case End:
		if answer.IsDrop() {
			errs = append(errs, &component.FieldError{Path: "sample", Err: errors.New(`a span that ends is recorded already: to discard its trace, use "type: discard"`)})
		}
	default:
		errs = append(errs, &component.FieldError{Path: "at", Err: fmt.Errorf("%s is not one of %s, %s", component.Shown(string(c.At)), Start, End)})
	}
	return errors.Join(errs...)
}

// Factory makes the sampler; it is registered as "attribute".
var Factory = component.NewFactory("attribute", Config{At: Start}, New)

func init() { sampling.Samplers.MustAdd(Factory) }

// New builds the sampler: a [sampling.StartSampler], or a [sampling.EndSampler] at the
// end.
func New(_ context.Context, _ component.Settings, c Config) (sampling.Sampler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	answer, err := c.Sample.Answer()
	if err != nil {
		return nil, err
	}
	sample := "sample " + string(c.Sample)
	fixed := fixed{answer.Because(sample), "attribute, " + sample}
	if c.At == End {
		fixed.description += " at the end"
		return endSampler{&fixed}, nil
	}
	return startSampler{&fixed}, nil
}

// fixed is what is known when the sampler is built: all there is.
type fixed struct {
	answer      sampling.Answer
	description string
}

func (f *fixed) traits() sampling.Traits {
	return sampling.Traits{Description: f.description, NeedsMatch: true}
}

type startSampler struct{ *fixed }

func (s startSampler) SampleStart(sampling.StartParameters) sampling.Answer { return s.answer }

// Traits: there are no keys, because those of the match are the host's.
func (s startSampler) Traits() sampling.Traits {
	t := s.traits()
	t.Keyed, t.MayDrop = true, s.answer.IsDrop()
	return t
}

type endSampler struct{ *fixed }

func (s endSampler) SampleEnd(sampling.EndParameters) sampling.Answer { return s.answer }

// Traits says nothing about starts.
func (s endSampler) Traits() sampling.Traits { return s.traits() }

// Interface guards.
var (
	_ sampling.StartSampler = startSampler{}
	_ sampling.EndSampler   = endSampler{}
)
