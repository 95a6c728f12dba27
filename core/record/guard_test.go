package record

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// slowFor is a sampler of both kinds that takes its time for spans of one name.
type slowFor struct{ name string }

func (slowFor) Traits() sampling.Traits { return sampling.Traits{Description: "slow for some"} }

func (s slowFor) SampleStart(p sampling.StartParameters) sampling.Answer {
	return s.sample(p.Name)
}

func (s slowFor) SampleEnd(p sampling.EndParameters) sampling.Answer {
	return s.sample(p.Span.Name())
}

func (s slowFor) sample(name string) sampling.Answer {
	if name == s.name {
		time.Sleep(2 * time.Millisecond)
	}
	return sampling.Answer{}
}

// Who can send what takes a sampler long cannot have it switched off, whatever share of
// the calls is timed: it takes a part of all calls. A sampler that is slow for
// everybody is switched off, however long its spans are.
func TestSlowSamplerIsSuspendedByItsShare(t *testing.T) {
	for _, tt := range []struct {
		name      string
		slowOneIn int
		suspended bool
	}{{"one request in twenty", 20, false}, {"all", 1, true}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(1, 2))
				var c Config
				c.Limits = unlimited
				c.Samplers.Add(slowFor{"slow"}, Entry{Name: "sampler"})
				r := newRecorder(t, c)
				for i := range 40_000 {
					name := "fast"
					// Beside the answers of a second before, no chance is left: more
					// than a quarter of a hundred that are slow with p = 1/20.
					if i > 20_000 && random.IntN(tt.slowOneIn) == 0 {
						name = "slow"
					}
					// A duration of which no low bit is ever 0.
					start := time.Now()
					_, s := r.tracer.Start(context.Background(), name, trace.WithTimestamp(start))
					s.End(trace.WithTimestamp(start.Add(time.Millisecond + 63)))
					time.Sleep(100 * time.Microsecond)
				}
				if n := r.Stats().Suspensions["sampler"]; (n > 0) != tt.suspended {
					t.Errorf("it was suspended %d times, want that it was: %v", n, tt.suspended)
				}
			})
		})
	}
}

func TestGuardCountsShares(t *testing.T) {
	const slow, fast = true, false
	for name, tt := range map[string]struct {
		seconds [][]bool
		want    bool
	}{
		"two are too few":                  {[][]bool{{slow, slow}}, false},
		"three of three":                   {[][]bool{{slow, slow, slow}}, true},
		"three of four":                    {[][]bool{{fast, slow, slow, slow}}, false},
		"four of seven":                    {[][]bool{{fast, fast, fast, slow, slow, slow, slow}}, true},
		"four of eight":                    {[][]bool{{fast, fast, fast, fast, slow, slow, slow, slow}}, false},
		"of the second before":             {[][]bool{{slow, slow}, {slow}}, true},
		"after a second with nothing":      {[][]bool{{slow, slow}, {}, {slow}}, false},
		"a second that begins with slow":   {[][]bool{{fast, fast, fast, fast, fast, fast, fast, fast, fast, fast}, {slow, slow, slow}}, false},
		"what is two seconds old is gone":  {[][]bool{{fast, fast, fast, fast, fast, fast, fast, fast, fast, fast}, {slow}, {slow, slow}}, true},
		"the same, with a second of pause": {[][]bool{{slow, slow}, {fast}, {slow}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var g guard
			got := false
			for second, answers := range tt.seconds {
				for _, slow := range answers {
					got = g.counts(int64(second), slow)
				}
			}
			if got != tt.want {
				t.Errorf("suspends: %v, want %v", got, tt.want)
			}
		})
	}
}
