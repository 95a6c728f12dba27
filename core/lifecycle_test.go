package core_test

import (
	"context"
	"go.opentelemetry.io/otel/attribute"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/samplers/ratio"
	"github.com/riffletrace/riffle/samplers/slow"
)

func baseline(rate float64) core.Component {
	return core.Use(ratio.Factory, "", ratio.Config{Rate: rate})
}

// A trace is never decided before it is decision_wait old: until then, slow
// cannot tell.
func TestSlowJustBelowDecisionWait(t *testing.T) {
	for _, late := range []time.Duration{0, 1, 50 * time.Millisecond, 99 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, core.Spec{Samplers: []core.Component{
				core.Use(slow.Factory, "", slow.Config{Threshold: core.Duration(30*time.Second - 1), Spans: slow.LocalRoot}), baseline(0),
			}})
			time.Sleep(late)
			ctx, root := b.tracer.Start(t.Context(), "root")
			_, child := b.tracer.Start(ctx, "child")
			child.End()
			time.Sleep(35 * time.Second)
			root.End()
			b.wantNames("root", "child")
			_ = b.provider.Shutdown(context.Background())
		})
	}
}

// stuck is a trace sampler that does not answer until it is released; if
// patient, it obeys its context.
type stuck struct {
	patient bool
	release chan struct{}
	asked   atomic.Int64
}

func (*stuck) Description() string { return "stuck" }
func (s *stuck) SampleTraces(ctx context.Context, traces []core.Trace, _ []core.Answer) {
	s.asked.Add(int64(len(traces)))
	if !s.patient {
		<-s.release
		return
	}
	select {
	case <-s.release:
	case <-ctx.Done():
	}
}

// Traces that wait for a slow trace sampler are inside the memory bound.
func TestMemoryBeforeASlowTraceSampler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const maxBytes = 4 << 20
		s := &stuck{patient: true, release: make(chan struct{})}
		p := newProvider(t, core.Spec{
			MaxBytes: maxBytes, Samplers: []core.Component{use("stuck", s), use("error", keepsErrors{}), baseline(1)},
		})
		var kept atomic.Int64
		p.OnKept(func(k core.Kept) { kept.Add(int64(len(k.Spans))) })
		tracer := p.TracerProvider().Tracer("")
		var highest int64
		const traces = 20_000 // 20 KB each, all selected
		for range traces {
			_, root := tracer.Start(t.Context(), "root")
			root.SetAttributes(attribute.String("payload", strings.Repeat("x", 20_000)))
			root.End()
			synctest.Wait()
			highest = max(highest, p.Stats().Buffer.HeldBytes)
		}
		if highest > maxBytes*5/4 {
			t.Errorf("the buffer held %d bytes, its bound is %d", highest, maxBytes)
		}
		close(s.release)
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if kept.Load() != traces {
			t.Errorf("%d of %d selected traces were kept", kept.Load(), traces)
		}
	})
}

// ForceFlush waits for the traces that were complete when it was called, not for
// those that others complete meanwhile.
func TestForceFlushEnds(t *testing.T) {
	b := newBench(t, core.Spec{Samplers: []core.Component{use("judge", &discardBots{}), baseline(1)}})
	ctx, open := b.tracer.Start(t.Context(), "open")
	_, child := b.tracer.Start(ctx, "child")
	child.End()
	_, before := b.tracer.Start(t.Context(), "before")
	before.End()
	done := make(chan struct{})
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				_, s := b.tracer.Start(context.Background(), "bot")
				s.End()
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.provider.ForceFlush(ctx); err != nil {
		t.Errorf("ForceFlush below a steady load: %v", err)
	}
	close(done)
	others.Wait()
	b.wantNames("before")
	open.End()
	b.wantNames("before", "open", "child")
}
