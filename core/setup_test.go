package core_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// collector is an exporter that keeps what it gets, without copying it into
// stubs.
type collector struct {
	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan
}

func (c *collector) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans = append(c.spans, spans...)
	return nil
}

func (*collector) Shutdown(context.Context) error { return nil }

func (c *collector) byName() map[string]sdktrace.ReadOnlySpan {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := make(map[string]sdktrace.ReadOnlySpan)
	for _, s := range c.spans {
		m[s.Name()] = s
	}
	return m
}

func attr(s sdktrace.ReadOnlySpan, key attribute.Key) attribute.Value {
	for _, kv := range s.Attributes() {
		if kv.Key == key {
			return kv.Value
		}
	}
	return attribute.Value{}
}

// bench is a provider with end samplers and a collector behind it.
type testBench struct {
	t        *testing.T
	provider *core.Provider
	tracer   trace.Tracer
	out      *collector
}

// newBench makes a provider that keeps errors and slow traces and selects
// nothing at the start, unless the spec has samplers of its own.
func newBench(t *testing.T, spec core.Spec, opts ...core.Option) *testBench {
	t.Helper()
	if spec.Samplers == nil {
		spec.Samplers = []core.SamplerEntry{
			use("error", keepsErrors{}), use("slow", keepsSlow{}), core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0}),
		}
	}
	out := &collector{}
	spec.Exporters = []core.ExporterEntry{useExporter("out", out)}
	p := newProvider(t, spec, opts...)
	return &testBench{t: t, provider: p, tracer: p.TracerProvider().Tracer("test"), out: out}
}

// flushed returns what arrived, by name.
func (b *testBench) flushed() map[string]sdktrace.ReadOnlySpan {
	b.t.Helper()
	if err := b.provider.ForceFlush(context.Background()); err != nil {
		b.t.Fatal(err)
	}
	return b.out.byName()
}

func (b *testBench) wantNames(names ...string) map[string]sdktrace.ReadOnlySpan {
	b.t.Helper()
	got := b.flushed()
	for _, n := range names {
		s, ok := got[n]
		if !ok {
			b.t.Errorf("span %q did not arrive", n)
		} else if !s.SpanContext().IsSampled() {
			b.t.Errorf("span %q arrived without the sampled flag", n)
		}
	}
	if len(got) != len(names) {
		b.t.Errorf("%d spans arrived, want %d", len(got), len(names))
	}
	return got
}

// limitedTo adds the host's limit to an entry.
func limitedTo(c core.SamplerEntry, perSecond float64) core.SamplerEntry {
	c.Limit = &core.LimitConfig{PerSecond: perSecond}
	return c
}

// th is what tracestate says.
func th(sc trace.SpanContext) string {
	for m := range strings.SplitSeq(sc.TraceState().Get("ot"), ";") {
		if v, ok := strings.CutPrefix(m, "th:"); ok {
			return v
		}
	}
	return ""
}

func lowBits(id trace.TraceID) (r uint64) {
	for _, b := range id[9:] {
		r = r<<8 | uint64(b)
	}
	return r
}

// verdict is what a span that was handed over says of its decision.
type verdict struct {
	th        sampling.Threshold
	sampler   string
	partial   bool
	forgotten int
}

// found reads it.
func found(s sdktrace.ReadOnlySpan) verdict {
	v := verdict{th: sampling.Unknown}
	if t, err := sampling.ParseThreshold(th(s.SpanContext())); err == nil {
		v.th = t
	}
	for _, kv := range s.Attributes() {
		switch kv.Key {
		case sampling.SamplerKey:
			v.sampler = kv.Value.AsString()
		case sampling.PartialKey:
			v.partial = kv.Value.AsBool()
		case sampling.SpansForgottenKey:
			v.forgotten = int(kv.Value.AsInt64())
		}
	}
	return v
}

// dice are the same for the same words.
func dice(seed uint64, words ...any) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, words...)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

var thresholds = []sampling.Threshold{sampling.Always, sampling.Always, 4 << 52, 8 << 52, 12 << 52, 0xff << 48, sampling.Unknown, sampling.Never}
