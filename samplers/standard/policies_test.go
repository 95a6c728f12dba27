package standard_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/adaptive"
	atmost "github.com/riffletrace/riffle/samplers/at_most"
	errored "github.com/riffletrace/riffle/samplers/error"
	"github.com/riffletrace/riffle/samplers/rare"
	"github.com/riffletrace/riffle/samplers/ratio"
	"github.com/riffletrace/riffle/samplers/slow"
)

// served is a request that ends with a status.
type served struct {
	route  string
	status int
	took   time.Duration
}

// keep serves requests under these samplers, with randomness that is spread evenly, and
// returns the local roots that are kept.
func keep(t *testing.T, samplers []core.SamplerEntry, requests []served) tracetest.SpanStubs {
	t.Helper()
	out := tracetest.NewInMemoryExporter()
	memory := component.NewFactory("memory", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
		return out, nil
	})
	p, err := core.New(t.Context(), core.Spec{
		Enabled: true, Samplers: samplers, Exporters: []core.ExporterEntry{core.UseExporter(memory, "", struct{}{})},
	}, core.IDGenerator(spread(len(requests))))
	if err != nil {
		t.Fatal(err)
	}
	tracer := p.TracerProvider().Tracer("")
	begin := time.Now()
	for i, r := range requests {
		_, span := tracer.Start(t.Context(), "GET", trace.WithTimestamp(begin), trace.WithSpanKind(trace.SpanKindServer))
		span.SetAttributes(attribute.String("http.route", r.route), attribute.Int("http.response.status_code", r.status))
		if r.status >= 500 {
			span.SetStatus(codes.Error, "")
		}
		span.End(trace.WithTimestamp(begin.Add(r.took)))
		if i%1000 == 999 { // what waits to be decided is bounded
			if err := p.ForceFlush(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.ForceFlush(context.Background()); err != nil {
		t.Fatal(err)
	}
	spans := out.GetSpans()
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	return spans
}

// spread makes trace IDs of which each has a share of the randomness to itself.
func spread(n int) sdktrace.IDGenerator {
	random := rand.New(rand.NewPCG(9, 9))
	ids := &spreadIDs{}
	for _, i := range random.Perm(n) {
		r := uint64((float64(i) + random.Float64()) / float64(n) * (1 << 56))
		id := trace.TraceID{0: 1, 8: 1}
		for b := range 7 {
			id[15-b] = byte(r >> (8 * b))
		}
		ids.all = append(ids.all, id)
	}
	return ids
}

type spreadIDs struct {
	mu   sync.Mutex
	all  []trace.TraceID
	next int
}

func (g *spreadIDs) NewIDs(context.Context) (trace.TraceID, trace.SpanID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := g.all[g.next]
	g.next++
	return id, trace.SpanID(id[8:])
}

func (*spreadIDs) NewSpanID(_ context.Context, id trace.TraceID) trace.SpanID {
	return trace.SpanID(id[8:])
}

// weight is how many traces the kept ones speak for.
func weight(spans tracetest.SpanStubs, of func(tracetest.SpanStub) bool) (n int, sum, variance float64) {
	for _, s := range spans {
		if of(s) {
			w := sampling.ThresholdOf(s.SpanContext).AdjustedCount()
			n, sum, variance = n+1, sum+w, variance+w*(w-1)
		}
	}
	return n, sum, variance
}

func has(s tracetest.SpanStub, key attribute.Key, value string) bool {
	for _, kv := range s.Attributes {
		if kv.Key == key && kv.Value.String() == value {
			return true
		}
	}
	return false
}

// about fails unless the weights add up to n.
func about(t *testing.T, what string, sum, variance float64, n int) {
	t.Helper()
	if off := math.Abs(sum - float64(n)); off > 4*math.Sqrt(variance)+0.01*float64(n) {
		t.Errorf("%s: the weights add up to %.0f, want %d", what, sum, n)
	}
}

func TestAtMostAboveAnError(t *testing.T) {
	var requests []served
	for i := range 20_000 {
		requests = append(requests, served{"/", []int{404, 503, 200, 404}[i%4], time.Millisecond})
	}
	bounded := core.UseSampler(atmost.Factory, "", atmost.Config{})
	bounded.Match = &match.Config{Attributes: map[string]any{"http.response.status_code": []any{404, 503}}}
	bounded.Sample = "0.01"
	spans := keep(t, []core.SamplerEntry{
		bounded,
		core.UseSampler(errored.Factory, "", errored.Config{}),
		core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0.1}),
	}, requests)
	for status, want := range map[string]struct{ kept, all int }{"404": {100, 10_000}, "503": {50, 5000}, "200": {500, 5000}} {
		n, sum, variance := weight(spans, func(s tracetest.SpanStub) bool { return has(s, "http.response.status_code", status) })
		about(t, status, sum, variance, want.all)
		if n < want.kept*3/4 || n > want.kept*4/3 {
			t.Errorf("%d requests with %s are kept, want about %d", n, status, want.kept)
		}
	}
}

func TestRareIsMarked(t *testing.T) {
	var requests []served
	for i := range 20_000 {
		requests = append(requests, served{fmt.Sprint("/", i%20), 200, time.Millisecond})
	}
	requests[12_345] = served{"/new", 200, time.Millisecond}
	spans := keep(t, []core.SamplerEntry{
		core.UseSampler(rare.Factory, "", rare.Config{First: 3, Window: component.Duration(time.Hour), Key: []string{"route"}}),
		core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0.01}),
	}, requests)
	_, sum, variance := weight(spans, func(tracetest.SpanStub) bool { return true })
	about(t, "all", sum, variance, len(requests))
	marked, _, _ := weight(spans, func(s tracetest.SpanStub) bool {
		return has(s, sampling.RuleKey, "first 3 of its key") && has(s, sampling.SamplerKey, "rare")
	})
	if marked != 61 {
		t.Errorf("%d are marked as the first of their key, want 61", marked)
	}
	if n, _, _ := weight(spans, func(s tracetest.SpanStub) bool { return has(s, "http.route", "/new") }); n != 1 {
		t.Errorf("the new route is kept %d times", n)
	}
}

func TestBandOfSlowRequests(t *testing.T) {
	var requests []served
	for i := range 4000 {
		requests = append(requests, served{"/", 200, time.Duration(i%4) * time.Second})
	}
	band := core.UseSampler(slow.Factory, "", slow.Config{Threshold: component.Duration(time.Second), Below: component.Duration(3 * time.Second), Spans: slow.LocalRoot})
	band.Sample = "0.5"
	spans := keep(t, []core.SamplerEntry{band, core.UseSampler(ratio.Factory, "", ratio.Config{})}, requests)
	n, sum, variance := weight(spans, func(s tracetest.SpanStub) bool {
		took := s.EndTime.Sub(s.StartTime)
		return took >= time.Second && took < 3*time.Second
	})
	about(t, "the band", sum, variance, 2000)
	if n != len(spans) || n < 900 || n > 1100 {
		t.Errorf("%d spans are kept, %d of them in the band, want about 1000", len(spans), n)
	}
}

// By what is known at the end, and as the only baseline.
func TestAdaptiveAtTheEnd(t *testing.T) {
	var requests []served
	for i := range 20_000 {
		status := 200
		if i%1000 == 0 {
			status = 503
		}
		requests = append(requests, served{"/", status, time.Millisecond})
	}
	spans := keep(t, []core.SamplerEntry{core.UseSampler(adaptive.Factory, "", adaptive.Config{
		TargetPerSecond: 20, Window: component.Duration(time.Second), At: adaptive.End, Key: []string{"status"},
	})}, requests)
	_, sum, variance := weight(spans, func(tracetest.SpanStub) bool { return true })
	about(t, "all", sum, variance, len(requests))
	if n, _, _ := weight(spans, func(s tracetest.SpanStub) bool { return s.Status.Code == codes.Error }); n < 18 {
		t.Errorf("%d of 20 errors are kept", n)
	}
	if len(spans) > len(requests)/4 {
		t.Errorf("%d of %d are kept", len(spans), len(requests))
	}
}
