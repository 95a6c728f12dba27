// Package attribute is the sampler that gives every trace it is asked about the
// same answer. Which ones those are is said by the entry's match: a tenant, a
// status code, a kind of span.
package attribute

import (
	"context"
	"fmt"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// Config is what users set, besides the entry's match and sample.
type Config struct {
	_  struct{} `doc:"drops or keeps the traces that the entry's match selects: sample says drop, or the share to keep"`
	At Moment   `yaml:"at" doc:"start: by what is known when a local root starts; end: by what is known when a span ends"`
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

// Validate checks that there is such a moment.
func (c *Config) Validate() error {
	switch c.At {
	case "", Start, End:
		return nil
	default:
		return &component.FieldError{Path: "at", Err: fmt.Errorf("%s is not one of %s, %s", component.Shown(string(c.At)), Start, End)}
	}
}

// LeavesNothingOut implements [component.LeavesNothingOut].
func (c *Config) LeavesNothingOut() bool { return c.At == End }

// Factory makes the sampler; it is registered as "attribute".
var Factory = component.NewFactory("attribute", Config{At: Start}, New)

func init() { sampling.Samplers.MustAdd(Factory) }

// New builds the sampler: a [sampling.StartSampler], or a [sampling.EndSampler] at the
// end.
func New(_ context.Context, _ component.Settings, c Config) (sampling.Sampler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.At == End {
		return endSampler{}, nil
	}
	return startSampler{}, nil
}

type startSampler struct{}

func (startSampler) SampleStart(sampling.StartParameters) sampling.Answer {
	return sampling.At(sampling.Always)
}

// Traits: there are no keys, because those of the match are the host's.
func (startSampler) Traits() sampling.Traits {
	return sampling.Traits{Description: "attribute", NeedsMatch: true, NeedsSample: true, Keyed: true, AlwaysAnswers: true}
}

type endSampler struct{}

func (endSampler) SampleEnd(sampling.EndParameters) sampling.Answer {
	return sampling.At(sampling.Always)
}

// Traits says nothing about starts.
func (endSampler) Traits() sampling.Traits {
	return sampling.Traits{Description: "attribute at the end", NeedsMatch: true, NeedsSample: true, AlwaysAnswers: true}
}

// Interface guards.
var (
	_ sampling.StartSampler      = startSampler{}
	_ sampling.EndSampler        = endSampler{}
	_ component.LeavesNothingOut = (*Config)(nil)
)
