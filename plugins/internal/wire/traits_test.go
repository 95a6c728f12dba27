package wire_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/plugins/internal/wire"
)

type starting sampling.Traits

func (s starting) Traits() sampling.Traits                            { return sampling.Traits(s) }
func (starting) SampleStart(sampling.StartParameters) sampling.Answer { return sampling.Abstain() }

type ending sampling.Traits

func (s ending) Traits() sampling.Traits                                             { return sampling.Traits(s) }
func (ending) SampleSegments(context.Context, []sampling.Segment, []sampling.Answer) {}

// What the host must know of a sampler arrives as it was said.
func TestTraits(t *testing.T) {
	keys := []attribute.Key{"tenant", "plan"}
	for _, s := range []sampling.Sampler{
		starting{Description: "start", Keyed: true, Keys: keys, IgnoresName: true},
		starting{Description: "start", Keyed: true, Keys: keys, IgnoresKind: true, MayDrop: true},
		starting{Description: "start", Keyed: true, Keys: keys, NeedsMatch: true, NeedsSample: true},
		ending{Description: "segments"},
		ending{Description: "segments", NeedsMatch: true, IgnoresSample: true},
		ending{Description: "segments", NeedsSample: true},
		ending{Description: "segments", NeverRaises: true},
		ending{Description: "segments", RootOnly: true, RootKeys: keys},
		ending{Description: "segments", RootOnly: true, RootKeys: keys, NeverRaises: true},
	} {
		if diff := cmp.Diff(s.Traits(), wire.DecodeTraits(wire.EncodeSampler(s))); diff != "" {
			t.Errorf("%T (-said +arrived):\n%s", s, diff)
		}
	}
}
