package record

import (
	"testing"

	"github.com/riffletrace/riffle/core/sampling"
)

type silent struct{}

func (silent) Traits() sampling.Traits                          { return sampling.Traits{} }
func (silent) SampleEnd(sampling.EndParameters) sampling.Answer { return sampling.Answer{} }

// What it costs to ask three end samplers that abstain, with and without counting.
func BenchmarkAsked(b *testing.B) {
	for _, counted := range []bool{false, true} {
		name := "counted=no"
		if counted {
			name = "counted=yes"
		}
		b.Run(name, func(b *testing.B) {
			var l Samplers
			for _, name := range []string{"a", "b", "c"} {
				l.Add(silent{}, Entry{Name: name})
			}
			for _, e := range l.end {
				if counted {
					e.asks = new(asks)
				}
			}
			b.RunParallel(func(pb *testing.PB) {
				var part uint8
				for pb.Next() {
					firstAnswer(l.end, 7, &sampling.EndParameters{}, nil, part)
					part++
				}
			})
		})
	}
}
