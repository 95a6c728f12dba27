// Package discard is the sampler that discards segments, whatever the others said:
// the 404s of bots, by the status of the local root. Which segments is said by the
// entry's match, which is about the local root. It is at_most with a share of nothing.
//
// A segment is discarded once its local root has ended, because what it is about does
// not change from then on: also what is decided of one that is overdue, and what ends
// in it later. What is decided before the local root has ended is not discarded.
package discard

import (
	"context"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// Config is what users set: nothing but the entry's match.
type Config struct {
	_ struct{} `doc:"discards the segments whose local root the entry's match selects, whatever others said"`
}

// Factory makes the sampler; it is registered as "discard".
var Factory = component.NewFactory("discard", Config{}, New)

func init() { sampling.Samplers.MustAdd(Factory) }

// New builds the sampler.
func New(context.Context, component.Settings, Config) (sampling.Sampler, error) {
	return sampler{}, nil
}

type sampler struct{}

// SampleSegments does not look at its context: it is done at once.
func (sampler) SampleSegments(_ context.Context, segments []sampling.Segment, answers []sampling.Answer) {
	for i := range segments {
		if segments[i].Root != nil {
			answers[i] = sampling.AtMost(sampling.Never)
		}
	}
}

func (sampler) Traits() sampling.Traits {
	return sampling.Traits{Description: "discard", NeedsMatch: true, IgnoresSample: true, RootOnly: true}
}

// Interface guards.
var _ sampling.SegmentSampler = sampler{}
