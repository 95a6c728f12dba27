package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"
	"strings"
	"sync/atomic"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/riffletrace/riffle/bench/internal/outside"
	"github.com/riffletrace/riffle/bench/internal/parts"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	_ "github.com/riffletrace/riffle/exporters/standard" // what configurations name
	_ "github.com/riffletrace/riffle/metrics"
	_ "github.com/riffletrace/riffle/plugins/host"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

// Counts are of the spans of one service process.
type Counts struct {
	// Kept is how many were to be sent: Sent were, Dropped are in a counter of
	// losses. Received is what the backend counted.
	Kept, Sent, Dropped, Received uint64
}

func (c *Counts) add(o Counts) {
	c.Kept += o.Kept
	c.Sent += o.Sent
	c.Dropped += o.Dropped
	c.Received += o.Received
}

// telemetry is a variant that runs.
type telemetry struct {
	tracers  trace.TracerProvider
	flush    func(context.Context) error
	shutdown func(context.Context) error
	counts   func() Counts
	waits    func() uint64 // bytes that it holds; nil: it does not tell
}

// propagator is that of every variant.
func propagator() propagation.TextMapPropagator {
	return propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
}

// newTelemetry starts a variant. Its goroutines have the label of
// [parts.Delivery], which those that they start inherit.
func newTelemetry(ctx context.Context, v *Variant, at outside.Addresses, dir string) (t *telemetry, err error) {
	pprof.Do(ctx, parts.Delivery, func(ctx context.Context) {
		switch v.Kind {
		case Off:
			t = &telemetry{tracers: noop.NewTracerProvider()}
		case Floor:
			t = ofSDK(sdktrace.NewTracerProvider(sdktrace.WithSampler(recordOnly{}), sdktrace.WithSpanProcessor(discard{})), nil)
		case Stock:
			t, err = newStock(ctx, v, at)
		case Riffle:
			t, err = newRiffle(ctx, v, at, dir)
		default:
			err = fmt.Errorf("variant %q: unknown kind %q", v.Name, v.Kind)
		}
	})
	return t, err
}

func ofSDK(p *sdktrace.TracerProvider, counts func() Counts) *telemetry {
	return &telemetry{tracers: p, flush: p.ForceFlush, shutdown: p.Shutdown, counts: counts}
}

func newRiffle(ctx context.Context, v *Variant, at outside.Addresses, dir string) (*telemetry, error) {
	environ := append(os.Environ(), "RIFFLE_BENCH_HTTP="+at.HTTP, "RIFFLE_BENCH_GRPC="+at.GRPC, "RIFFLE_BENCH_DIR="+dir)
	if strings.Contains(v.Config, "${"+pluginVariable+"}") {
		program, err := copyProgram(dir)
		if err != nil {
			return nil, err
		}
		environ = append(environ, pluginVariable+"="+program)
	}
	options := []config.Option{config.Environ(environ), config.File(v.Name)}
	if v.App != "" {
		options = append(options, config.App(v.App))
	}
	if v.Own {
		options = append(options, config.Section(v.Section))
	}
	spec, err := config.Parse([]byte(v.Config), options...)
	if err != nil {
		return nil, err
	}
	p, err := core.New(ctx, spec, core.Logger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))))
	if err != nil {
		return nil, err
	}
	t := &telemetry{tracers: p.TracerProvider(), flush: p.ForceFlush}
	t.shutdown = func(ctx context.Context) error {
		// What was lost is its error too. It is counted, and no failure of the measurement.
		if err := p.Shutdown(ctx); ctx.Err() != nil {
			return err
		}
		return nil
	}
	t.counts = func() (c Counts) {
		for _, e := range p.Stats().Exporters {
			c.add(Counts{Kept: e.HandedOver - e.Filtered, Sent: e.Sent, Dropped: e.Lost})
		}
		return c
	}
	t.waits = func() uint64 {
		s := p.Stats()
		n := s.HeldBytes
		for _, e := range s.Exporters {
			n += e.Bytes + e.BatchBytes
		}
		return uint64(n)
	}
	return t, nil
}

func newStock(ctx context.Context, v *Variant, at outside.Addresses) (*telemetry, error) {
	res, err := resource.Merge(resource.Default(), resource.NewSchemaless(attribute.String("service.name", "riffle-bench")))
	if err != nil {
		return nil, err
	}
	counted := &stockCounts{}
	otel.SetLogger(logr.New(overflowSink{counted}))
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(res),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(v.Rate))),
	}
	for range max(v.copies, 1) {
		exporter, err := newStockExporter(ctx, v, at)
		if err != nil {
			return nil, err
		}
		options = append(options, sdktrace.WithBatcher(countedExporter{exporter, counted}))
	}
	return ofSDK(sdktrace.NewTracerProvider(options...), func() Counts {
		sent, dropped := counted.sent.Load(), counted.failed.Load()+counted.overflow.Load()
		return Counts{Kept: sent + dropped, Sent: sent, Dropped: dropped}
	}), nil
}

func newStockExporter(ctx context.Context, v *Variant, at outside.Addresses) (sdktrace.SpanExporter, error) {
	if v.Protocol == GRPC {
		return otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(at.GRPC), otlptracegrpc.WithInsecure())
	}
	return otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(at.HTTP), otlptracehttp.WithInsecure(),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
}

// stockCounts are by batch, which costs nothing to speak of.
type stockCounts struct {
	sent, failed atomic.Uint64
	// overflow is what the BatchSpanProcessor dropped for want of room. It tells
	// nobody but its debug log, once for each batch; with several processors, this
	// is what one of them said last.
	overflow atomic.Uint64
}

type countedExporter struct {
	sdktrace.SpanExporter
	counts *stockCounts
}

func (e countedExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		e.counts.failed.Add(uint64(len(spans)))
	} else {
		e.counts.sent.Add(uint64(len(spans)))
	}
	return err
}

// overflowSink reads the debug log of the SDK.
type overflowSink struct{ to *stockCounts }

func (overflowSink) Init(logr.RuntimeInfo)  {}
func (overflowSink) Enabled(level int) bool { return level <= 8 } // of debug messages
func (s overflowSink) Info(_ int, _ string, keysAndValues ...any) {
	for i := 0; i+1 < len(keysAndValues); i += 2 {
		if n, ok := keysAndValues[i+1].(uint32); ok && keysAndValues[i] == "total_dropped" {
			s.to.overflow.Store(uint64(n))
		}
	}
}
func (overflowSink) Error(error, string, ...any)      {}
func (s overflowSink) WithValues(...any) logr.LogSink { return s }
func (s overflowSink) WithName(string) logr.LogSink   { return s }

type recordOnly struct{}

func (recordOnly) Description() string { return "record only" }

func (recordOnly) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	return sdktrace.SamplingResult{Decision: sdktrace.RecordOnly, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
}

type discard struct{}

func (discard) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (discard) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (discard) Shutdown(context.Context) error                  { return nil }
func (discard) ForceFlush(context.Context) error                { return nil }

// finish flushes, shuts down and counts.
func (t *telemetry) finish(ctx context.Context) (c Counts, err error) {
	if t.flush != nil {
		err = t.flush(ctx)
	}
	if t.shutdown != nil {
		err = errors.Join(err, t.shutdown(ctx))
	}
	if t.counts != nil {
		c = t.counts()
	}
	return c, err
}

// Interface guards.
var (
	_ sdktrace.Sampler       = recordOnly{}
	_ sdktrace.SpanProcessor = discard{}
	_ sdktrace.SpanExporter  = countedExporter{}
	_ logr.LogSink           = overflowSink{}
)
