// Package atmost is the sampler that bounds which share of a kind of segments is kept,
// whatever the others said: the 404s of bots, of which one in a hundred is enough.
// Which segments is said by the entry's match, and the share by its sample. Its
// directory bears the name of its type in configurations.
//
// A segment is bounded once its local root has ended, because what it is about does not
// change from then on. If it is decided in parts, because it was overdue or memory was
// short, the bound holds for each of them. What is decided before the local root has
// ended is not bounded.
package atmost

import (
	"context"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// Config is what users set: nothing but the entry's match and sample.
type Config struct {
	_ struct{} `doc:"bounds what is kept of the segments that the entry's match selects to the entry's sample, whatever others said"`
}

// Factory makes the sampler; it is registered as "at_most".
var Factory = component.NewFactory("at_most", Config{}, New)

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
			answers[i] = sampling.AtMost(sampling.Always)
		}
	}
}

func (sampler) Traits() sampling.Traits {
	return sampling.Traits{Description: "at most", NeedsMatch: true, NeedsSample: true, RootOnly: true}
}

// Interface guards.
var _ sampling.SegmentSampler = sampler{}
