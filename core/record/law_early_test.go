package record

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// keepsErrors says 0 about spans that failed.
type keepsErrors struct{}

func (keepsErrors) Traits() sampling.Traits { return sampling.Traits{Description: "errors"} }

func (keepsErrors) SampleEnd(p sampling.EndParameters) sampling.Answer {
	if failedSpan(p.Span) {
		return sampling.At(sampling.Always)
	}
	return sampling.Abstain()
}

// abstains is a segment sampler that never answers.
type abstains struct{}

func (abstains) Traits() sampling.Traits { return sampling.Traits{Description: "abstains"} }

func (abstains) SampleSegments(context.Context, []sampling.Segment, []sampling.Answer) {}

// keepingErrors is a configuration that keeps what failed, with or without a segment
// sampler, and the names of the spans that it has kept so far.
func keepingErrors(b Bounds, asksSegments bool) (c Config, names func() []string) {
	var mu sync.Mutex
	var kept []string
	c = Config{
		Limits: sdktrace.NewSpanLimits(), Bounds: b,
		Deliver: func(k Kept) {
			mu.Lock()
			defer mu.Unlock()
			for _, s := range k.Spans {
				kept = append(kept, s.Name())
			}
		},
	}
	c.Samplers.Add(keepsErrors{}, Entry{Name: "errors"})
	if asksSegments {
		c.Samplers.Add(abstains{}, Entry{Name: "abstains"})
	}
	return c, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(kept)
	}
}

// TestEarlyDecisionHearsOldAnswers has an answer that is given while a segment is open,
// and that is too old for one that begins when this is decided early.
func TestEarlyDecisionHearsOldAnswers(t *testing.T) {
	for _, samplers := range []string{"", "and segment samplers"} {
		t.Run(samplers, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const wait = 9700 * time.Millisecond
				c, names := keepingErrors(Bounds{MaxWait: wait, MemoryAge: 9500 * time.Millisecond}, samplers != "")
				p := NewTracerProvider(c)
				defer p.Shutdown(context.Background())
				tracer := p.Tracer("")
				caller := trace.ContextWithRemoteSpanContext(context.Background(),
					trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{1}}))
				ctx, open := tracer.Start(caller, "open")
				_, child := tracer.Start(ctx, "child")
				child.End()
				_, failed := tracer.Start(caller, "failed")
				failed.SetStatus(codes.Error, "")
				failed.End()
				time.Sleep(wait + 3*maxTick)
				synctest.Wait()
				if kept := names(); len(kept) == 0 || kept[len(kept)-1] != "child" {
					t.Errorf("kept %q, not the child", kept)
				}
				open.End()
			})
		})
	}
}
