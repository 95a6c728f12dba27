// Package attribute is the sampler that gives every trace it is asked about the
// same answer. Which ones those are is said by the entry's match: a tenant, a
// status code, a kind of span.
package attribute

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core"
)

// Config is what users set.
type Config struct {
	_      struct{}    `doc:"drops or keeps the traces that the entry's match selects"`
	Sample core.Sample `yaml:"sample" doc:"drop, or the share of the traces to keep, 0 to 1"`
	At     Moment      `yaml:"at" doc:"start: by what is known when a local root starts; end: by what is known when a span ends"`
}

// Moment is when the sampler is asked.
type Moment string

const (
	// Start is when a local root starts; also the empty value.
	Start Moment = "start"
	// End is whenever a span ends.
	End Moment = "end"
)

// Validate checks that there is such an answer at that moment.
func (c *Config) Validate() error {
	var errs []error
	answer, err := c.Sample.Answer()
	if err != nil {
		errs = append(errs, &core.FieldError{Path: "sample", Err: err})
	}
	switch c.At {
	case "", Start:
	case End:
		if answer.IsDrop() {
			errs = append(errs, &core.FieldError{Path: "sample", Err: errors.New(`a span that ends is recorded already: to discard its trace, use "type: discard"`)})
		}
	default:
		errs = append(errs, &core.FieldError{Path: "at", Err: fmt.Errorf("%q is not one of %s, %s", string(c.At), Start, End)})
	}
	return errors.Join(errs...)
}

// Factory makes the sampler; it is registered as "attribute".
var Factory = core.NewFactory("attribute", Config{At: Start}, New)

func init() { core.Samplers.MustAdd(Factory) }

// New builds the sampler: a [core.StartSampler], or a [core.EndSampler] at the
// end.
func New(_ context.Context, _ core.Settings, c Config) (core.Sampler, error) {
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
	answer      core.Answer
	description string
}

func (f *fixed) Description() string { return f.description }
func (*fixed) NeedsMatch() bool      { return true }

type startSampler struct{ *fixed }

func (s startSampler) SampleStart(core.StartParameters) core.Answer { return s.answer }
func (s startSampler) MayDrop() bool                                { return s.answer.IsDrop() }

// Keys are none: those of the match are the host's.
func (startSampler) Keys() []attribute.Key { return nil }

type endSampler struct{ *fixed }

func (s endSampler) SampleEnd(core.EndParameters) core.Answer { return s.answer }

// Interface guards.
var (
	_ core.Keyed      = startSampler{}
	_ core.Dropper    = startSampler{}
	_ core.EndSampler = endSampler{}
	_ core.Selective  = startSampler{}
)
