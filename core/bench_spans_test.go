package core_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/ratio"
	"github.com/riffletrace/riffle/samplers/route"
)

// keepsErrors is the least an end sampler does.
type keepsErrors struct{}

func (keepsErrors) Traits() sampling.Traits {
	return sampling.Traits{Description: "errors"}
}

func (keepsErrors) SampleEnd(p sampling.EndParameters) sampling.Answer {
	if p.Span.Status().Code == codes.Error {
		return sampling.At(sampling.Always)
	}
	return sampling.Abstain()
}

type keepsSlow struct{}

func (keepsSlow) Traits() sampling.Traits {
	return sampling.Traits{Description: "slow"}
}

func (keepsSlow) SampleEnd(p sampling.EndParameters) sampling.Answer {
	if p.LocalRoot && p.Duration > time.Second {
		return sampling.At(sampling.Always)
	}
	return sampling.Abstain()
}

type recordOnly struct{}

func (recordOnly) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	return sdktrace.SamplingResult{Decision: sdktrace.RecordOnly, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
}
func (recordOnly) Description() string { return "record only" }

type noopProcessor struct{}

func (noopProcessor) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (noopProcessor) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (noopProcessor) Shutdown(context.Context) error                  { return nil }
func (noopProcessor) ForceFlush(context.Context) error                { return nil }

// keepsSpans keeps what ends.
type keepsSpans struct {
	noopProcessor
	spans []sdktrace.ReadOnlySpan
}

func (k *keepsSpans) OnEnd(s sdktrace.ReadOnlySpan) { k.spans = append(k.spans, s) }

var serverAttrs = []attribute.KeyValue{
	attribute.String("http.request.method", "GET"),
	attribute.String("url.scheme", "https"),
	attribute.String("url.path", "/users/4711"),
	attribute.String("server.address", "api.example.com"),
	attribute.Int("server.port", 443),
	attribute.String("client.address", "203.0.113.7"),
	attribute.String("user_agent.original", "curl/8.1"),
	attribute.String("network.protocol.version", "1.1"),
}

var dbAttrs = []attribute.KeyValue{
	attribute.String("db.system.name", "postgresql"),
	attribute.String("db.namespace", "app"),
	attribute.String("db.operation.name", "SELECT"),
	attribute.String("db.collection.name", "users"),
	attribute.String("server.address", "10.0.0.3"),
	attribute.Int("server.port", 5432),
}

// request makes one request of n spans: a root of 8 attributes, and queries of 6. Two
// and one more come before their ends.
func request(ctx context.Context, tracer trace.Tracer, n int) {
	ctx, root := tracer.Start(ctx, "GET /users/{id}", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(serverAttrs...))
	for range n - 1 {
		_, child := tracer.Start(ctx, "SELECT users", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(dbAttrs...))
		child.SetAttributes(attribute.Int("db.response.returned_rows", 1))
		child.End()
	}
	root.SetAttributes(attribute.Int("http.response.status_code", 200), attribute.String("http.route", "/users/{id}"))
	root.End()
}

func sampledProvider(tb testing.TB, rate float64, exporters ...core.ExporterEntry) trace.TracerProvider {
	return providerOf(tb, core.Spec{Exporters: exporters}, rate)
}

func providerOf(tb testing.TB, spec core.Spec, rate float64, opts ...core.Option) trace.TracerProvider {
	spec.Enabled = true
	spec.Samplers = []core.SamplerEntry{
		use("error", keepsErrors{}), use("slow", keepsSlow{}), core.UseSampler(ratio.Factory, "", ratio.Config{Rate: rate}),
	}
	p, err := core.New(tb.Context(), spec, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Shutdown(context.Background()) })
	return p.TracerProvider()
}

// cpuTime is what the process has used so far, in user and system mode.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportCPU(b *testing.B, since time.Duration) {
	b.ReportMetric(float64(cpuTime()-since)/float64(b.N), "cpu-ns/op")
}

// thousandRules are rules of an ordinary service; the last drops the request.
func thousandRules() route.Config {
	var c route.Config
	for i := range 999 {
		c.Rules = append(c.Rules, route.Rule{Route: fmt.Sprintf("GET /service%d/{id}/part%d", i%50, i), Sample: "0.5"})
	}
	c.Rules = append(c.Rules, route.Rule{Route: "GET /users/{id}", Sample: sampling.SampleDrop})
	return c
}

// What a trace of two spans costs that a rule drops: against a sampler that
// drops all.
func BenchmarkDroppedByRoute(b *testing.B) {
	stock := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	p, err := core.New(b.Context(), core.Spec{Enabled: true, Samplers: []core.SamplerEntry{
		core.UseSampler(route.Factory, "", thousandRules()),
		use("error", keepsErrors{}), use("slow", keepsSlow{}), core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 0.01}),
	}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Shutdown(context.Background()) })
	run(b, 2, []variant{{"stock-never", stock}, {"riffle-route-1000", p.TracerProvider()}})
}

type variant struct {
	name     string
	provider trace.TracerProvider
}

// sliceLen is how many traces a variant makes before it is the next one's
// turn: so many that the garbage collector runs several times meanwhile, as often for
// one as for another.
const sliceLen = 20_000

// run measures requests of n spans, on as many goroutines as there are
// processors: each variant alone, and then all of them by turns, in slices of less
// than a second, so that whatever else the machine does hits all alike. Against the
// first of them, it reports the median of the ratios of CPU time in each turn.
func run(b *testing.B, n int, variants []variant) {
	for _, v := range variants {
		b.Run("sdk="+v.name, func(b *testing.B) {
			tracer := v.provider.Tracer("bench")
			b.ReportAllocs()
			defer reportCPU(b, cpuTime())
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					request(context.Background(), tracer, n)
				}
			})
		})
	}
	b.Run("by-turns", func(b *testing.B) {
		byTurns(b, variants, func(provider trace.TracerProvider) {
			tracer := provider.Tracer("bench")
			var wg sync.WaitGroup
			for range runtime.GOMAXPROCS(0) {
				wg.Go(func() {
					for range sliceLen {
						request(context.Background(), tracer, n)
					}
				})
			}
			wg.Wait()
		})
	})
}

// byTurns measures the variants by turns.
func byTurns(b *testing.B, variants []variant, slice func(trace.TracerProvider)) {
	ratios := make([][]float64, len(variants))
	took := make([]float64, len(variants))
	for range b.N { // the first run of b.Loop comes before -cpu is in force
		for _, i := range rand.Perm(len(variants)) {
			start := cpuTime()
			slice(variants[i].provider)
			took[i] = float64(cpuTime() - start)
		}
		for i := range variants {
			ratios[i] = append(ratios[i], took[i]/took[0])
		}
	}
	for i, v := range variants[1:] {
		slices.Sort(ratios[i+1])
		b.ReportMetric(ratios[i+1][len(ratios[i+1])/2], v.name+"/"+variants[0].name)
	}
	b.ReportMetric(0, "ns/op") // of all variants together: no figure
}

// What a request costs that is recorded: against the floor, a sampler that only
// records and a processor that does nothing.
func BenchmarkRecorded(b *testing.B) {
	floor := sdktrace.NewTracerProvider(sdktrace.WithSampler(recordOnly{}), sdktrace.WithSpanProcessor(noopProcessor{}))
	for _, n := range []int{1, 2, 6} {
		b.Run(fmt.Sprintf("spans=%d", n), func(b *testing.B) {
			run(b, n, []variant{
				{"floor", floor},
				{"riffle-not-kept", sampledProvider(b, 0.01)},
				{"riffle-kept", sampledProvider(b, 1)},
				{"riffle-kept-line", sampledProvider(b, 1, useExporter("discard", tracetest.NewNoopExporter()))},
			})
		})
	}
	// Apart, because the stock processor goes on when its turn is over.
	stock := sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	defer stock.Shutdown(context.Background())
	b.Run("stock", func(b *testing.B) {
		run(b, 2, []variant{{"floor", floor}, {"stock-always-batch", stock}})
	})
}

// One segment that as many goroutines use as there are processors, against as many
// segments: what a span of it takes.
func BenchmarkSharedSegment(b *testing.B) {
	provider := sampledProvider(b, 0.01)
	tracer := provider.Tracer("bench")
	spans := func(shared bool) {
		ctx, root := tracer.Start(context.Background(), "root")
		var wg sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			wg.Go(func() {
				ctx := ctx
				if !shared {
					var own trace.Span
					ctx, own = tracer.Start(context.Background(), "root")
					defer own.End()
				}
				for range 1000 {
					_, child := tracer.Start(ctx, "SELECT users", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(dbAttrs...))
					child.End()
				}
			})
		}
		wg.Wait()
		root.End()
	}
	b.Run("by-turns", func(b *testing.B) {
		var ratios []float64
		for range b.N { // as byTurns
			var took [2]time.Duration
			for _, i := range rand.Perm(2) {
				start := time.Now()
				for range 20 {
					spans(i == 1)
				}
				took[i] = time.Since(start)
			}
			ratios = append(ratios, float64(took[1])/float64(took[0]))
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], "shared/own")
		b.ReportMetric(0, "ns/op")
	})
}

// What a segment of 1, 2 and 6 spans of 8 attributes holds while it waits, against
// the SDK's snapshots of the same.
func TestBytesOfAWaitingSegment(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's own memory is counted too; CI runs this without it")
	}
	const segments = 2000
	for _, n := range []int{1, 2, 6} {
		snapshots := &keepsSpans{}
		floor := sdktrace.NewTracerProvider(sdktrace.WithSampler(recordOnly{}), sdktrace.WithSpanProcessor(snapshots))
		p := newProvider(t, core.Spec{Samplers: []core.SamplerEntry{use("error", keepsErrors{}), baseline(0)}})
		held := func(tracer trace.Tracer, ends bool) float64 {
			before := liveHeap()
			for range segments {
				ctx, root := tracer.Start(context.Background(), "GET /users/{id}", trace.WithAttributes(serverAttrs...))
				for range n - 1 {
					_, child := tracer.Start(ctx, "child", trace.WithAttributes(serverAttrs...))
					child.End()
				}
				if ends {
					root.End()
				}
			}
			return float64(liveHeap()-before) / segments
		}
		sdk, ours := held(floor.Tracer(""), true), held(p.TracerProvider().Tracer(""), false)
		t.Logf("%d spans: %.0f bytes, the SDK's snapshots %.0f: %.2f", n, ours, sdk, ours/sdk)
		if ours > 1.05*sdk {
			t.Errorf("a segment of %d spans holds %.0f bytes, more than the SDK's snapshots of the same, %.0f", n, ours, sdk)
		}
		runtime.KeepAlive(snapshots)
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
