package samplertest

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/sampling"
)

// all is a good sampler with every interface.
type all struct {
	answer sampling.Answer
	stop   func()
	done   chan struct{}
	mu     sync.Mutex
	down   bool
}

func newAll() sampling.Sampler {
	a := &all{answer: sampling.At(sampling.Threshold(8 << 52)).Because("half"), done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	go func() {
		defer close(a.done)
		<-ctx.Done()
	}()
	return a
}

func (a *all) said() sampling.Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down {
		return sampling.Abstain()
	}
	return a.answer
}

func (a *all) SampleStart(sampling.StartParameters) sampling.Answer { return a.said() }
func (a *all) SampleEnd(sampling.EndParameters) sampling.Answer     { return a.said() }

func (*all) Traits() sampling.Traits {
	return sampling.Traits{Description: "all", Keyed: true, Keys: []attribute.Key{"http.route"}, NeverRaises: true}
}

func (a *all) SampleSegments(ctx context.Context, _ []sampling.Segment, answers []sampling.Answer) {
	for i := range answers {
		if ctx.Err() != nil {
			return
		}
		answers[i] = a.said()
	}
}

func (a *all) Shutdown(ctx context.Context) error {
	a.mu.Lock()
	a.down = true
	a.mu.Unlock()
	a.stop()
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestGoodSamplerPasses(t *testing.T) {
	Run(t, func(testing.TB) sampling.Sampler { return newAll() })
}

// A sampler that throws dice is allowed to: its answers are of unknown
// probability.
func TestDicePass(t *testing.T) {
	Run(t, func(testing.TB) sampling.Sampler {
		return startFunc(func(sampling.StartParameters) sampling.Answer {
			if rand.Float64() < 0.5 {
				return sampling.Selected()
			}
			return sampling.Unselected()
		})
	})
}

// What the suite asks covers the author's own starts.
func TestOwnStarts(t *testing.T) {
	var seen atomic.Bool
	Run(t, func(testing.TB) sampling.Sampler {
		return startFunc(func(p sampling.StartParameters) sampling.Answer {
			if p.Name == "mine" {
				seen.Store(true)
			}
			return sampling.Abstain()
		})
	}, sampling.StartParameters{Name: "mine"})
	if !seen.Load() {
		t.Error("no case has asked with it")
	}
}
