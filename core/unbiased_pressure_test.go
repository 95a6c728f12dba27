package core_test

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
)

// Under pressure traces are forgotten by their randomness, and whoever speaks
// later speaks with the pressure in the weight.
func TestUnbiasedUnderPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const episodes, traces = 120, 400 // 8 KiB each: three times the room
		p := &population{
			t: t, r: rand.New(rand.NewPCG(11, 3)),
			truth: make(map[string]float64), sum: make(map[string]float64), variance: make(map[string]float64),
		}
		provider := newProvider(t, core.Spec{
			MaxBytes: 1 << 20, Samplers: []core.SamplerEntry{use("error", keepsErrors{}), baseline(0.02)},
		}, core.IDGenerator(p), core.Logger(slog.New(slog.DiscardHandler)))
		provider.OnKept(p.take)
		p.tracer = provider.TracerProvider().Tracer("")
		payload := attribute.String("payload", strings.Repeat("x", 8<<10))
		for range episodes {
			roots := make([]trace.Span, traces)
			for i, stratum := range p.r.Perm(traces) {
				p.randomness = uint64((float64(stratum) + p.r.Float64()) / traces * (1 << 56))
				_, roots[i] = p.root("root")
			}
			for i := range traces {
				_, child := p.start(trace.ContextWithSpan(context.Background(), roots[i]), "child", trace.WithAttributes(payload))
				child.End()
				synctest.Wait() // the buffer makes room
			}
			for i := range traces {
				if i%4 > 0 {
					fail(roots[i])
				} else {
					_, child := p.start(trace.ContextWithSpan(context.Background(), roots[i]), "failing child")
					fail(child)
					roots[i].End()
				}
			}
			time.Sleep(10 * time.Second) // the pressure goes
		}
		s := provider.Stats()
		if s.UnderPressure < episodes*traces/4 || s.Probability != 1 {
			t.Errorf("stats = %+v: want pressure that comes and goes", s)
		}
		for _, name := range []string{"child", "root", "failing child"} {
			sigma := math.Sqrt(p.variance[name])
			t.Logf("%s: weighted %.0f +- %.0f, truth %.0f", name, p.sum[name], sigma, p.truth[name])
			if sigma > 0.03*p.truth[name] || math.Abs(p.sum[name]-p.truth[name]) > 4*sigma {
				t.Errorf("%s: weighted %.0f +- %.0f, truth %.0f", name, p.sum[name], sigma, p.truth[name])
			}
		}
		if err := provider.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
