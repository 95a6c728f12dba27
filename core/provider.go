package core

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/sampling"
)

// Provider makes spans, decides which traces to keep, and hands those to the
// exporters. Make one with [New]; it is safe for concurrent use.
type Provider struct {
	tracers    trace.TracerProvider
	sdk        *sdktrace.TracerProvider // tracers, unless tracing is off
	propagator propagation.TextMapPropagator
	resource   *resource.Resource // nil if tracing is off
	pipeline   *atomic.Pointer[pipeline]

	stop    sync.Once
	stopped chan struct{}
	err     error
}

// Kept is a trace, or a part of one, on its way to the exporters.
type Kept struct {
	// Spans are the ended spans, owned by the receiver.
	Spans []sdktrace.ReadOnlySpan
	// Threshold is the one that the spans carry.
	Threshold sampling.Threshold
	// Sampler is the config name of the sampler that decided, "" if it was a
	// remote parent or nobody.
	Sampler string
	// Partial tells that the trace was handed over before it was complete.
	Partial bool
}

// pipeline is everything behind the SDK's sampler and processor.
type pipeline struct {
	samplers  *samplerList
	start     *startRules
	buffer    *buffer // nil if no sampler waits for the end of spans
	lines     delivery.Lines
	exporters []line
	closed    atomic.Bool
	// unregisterMetrics ends the pipeline's metrics.
	unregisterMetrics func() error
}

// New builds a provider from a spec. It finds every mistake before anything
// starts and returns them as [ConfigErrors]; a start that fails leaves nothing
// behind. ctx bounds the start only. A spec that is not enabled makes a
// provider that records nothing.
func New(ctx context.Context, spec Spec, opts ...Option) (*Provider, error) {
	o := newOptions(opts)
	plan, err := spec.check()
	if err != nil {
		return nil, err
	}
	propagator, err := autoprop.TextMapPropagator(plan.Propagators...)
	if err != nil {
		return nil, fmt.Errorf("building propagators: %w", err)
	}
	p := &Provider{propagator: propagator, pipeline: new(atomic.Pointer[pipeline]), stopped: make(chan struct{})}
	if !spec.Enabled {
		p.tracers = noop.NewTracerProvider() // passes the parents of other services on
		return p, nil
	}
	res, err := newResource(ctx, &spec)
	if err != nil {
		return nil, fmt.Errorf("building the resource: %w", err)
	}
	p.resource = res
	pl, err := plan.newPipeline(ctx, o)
	if err != nil {
		return nil, err
	}
	if pl.unregisterMetrics, err = pl.registerMetrics(o.meters); err != nil {
		return nil, errors.Join(fmt.Errorf("registering metrics: %w", err), pl.shutdown(ctx))
	}
	p.pipeline.Store(pl)
	sdkOpts := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(res),
		sdktrace.WithRawSpanLimits(spec.Limits.sdk()),
		sdktrace.WithSampler(liveSampler{p.pipeline}),
		sdktrace.WithSpanProcessor(liveProcessor{p.pipeline}),
		sdktrace.WithIDGenerator(o.ids),
	}
	p.sdk = sdktrace.NewTracerProvider(sdkOpts...)
	p.tracers = p.sdk
	if pl.buffer != nil {
		pl.buffer.start(p.sdk, o.logger)
	}
	return p, nil
}

// newPipeline builds samplers and lines. On an error, nothing is left.
func (p *plan) newPipeline(ctx context.Context, o *options) (*pipeline, error) {
	samplers, err := p.buildSamplers(ctx, o)
	if err != nil {
		return nil, err
	}
	start, err := newStartRules(p.RemoteParent, samplers.start)
	if err != nil {
		return nil, errors.Join(err, samplers.shutdown(ctx))
	}
	pl := &pipeline{samplers: samplers, start: start}
	errs := mistakes{source: p.Source}
	for i := range p.Exporters {
		e, config := &p.Exporters[i], p.lines[i]
		config.RedactAll = p.Redact
		if err := pl.addLine(ctx, e, config, o); err != nil {
			errs.addBuild(entryPath("exporters", i), "exporter", e.ID(), err)
		}
	}
	if err := errs.sorted(); err != nil {
		return nil, errors.Join(err, pl.shutdown(ctx))
	}
	if samplers.waitsForEnd() {
		pl.buffer = newBuffer(start, samplers, p.bufferLimits(), pl.handOver)
	}
	return pl, nil
}

// handOver hands a kept trace to every line.
func (pl *pipeline) handOver(k Kept) { pl.lines.HandOver(k.Spans...) }

// TracerProvider is what instrumentation takes.
func (p *Provider) TracerProvider() trace.TracerProvider { return p.tracers }

// ServiceName is the name that spans carry: the resource's, also where nobody has
// set one. It is empty if tracing is off.
func (p *Provider) ServiceName() string {
	name, _ := p.resource.Set().Value(semconv.ServiceNameKey)
	return name.AsString()
}

// Propagator reads and writes trace context as the spec says.
func (p *Provider) Propagator() propagation.TextMapPropagator { return p.propagator }

// Install makes the provider and its propagators the global ones, the propagators
// alone if tracing is off, and returns a function that puts back what was there.
func (p *Provider) Install() (undo func()) {
	tp, prop := otel.GetTracerProvider(), otel.GetTextMapPropagator()
	if p.sdk != nil {
		otel.SetTracerProvider(p.tracers)
	}
	otel.SetTextMapPropagator(p.propagator)
	return func() {
		if p.sdk != nil {
			otel.SetTracerProvider(tp)
		}
		otel.SetTextMapPropagator(prop)
	}
}

// Keep lets others speak for a trace: it is kept if its randomness reaches t,
// for the reason given. It reports whether the trace is one that riffle still
// knows; what it has forgotten, or never recorded, cannot be kept.
func (p *Provider) Keep(id trace.TraceID, t sampling.Threshold, reason string) bool {
	pl := p.pipeline.Load()
	if pl == nil || pl.buffer == nil {
		return false
	}
	return pl.buffer.keep(id, t, reason)
}

// ForceFlush hands over what is decided and sends what the lines hold,
// bounded by ctx. It does not decide open traces.
func (p *Provider) ForceFlush(ctx context.Context) error {
	pl := p.pipeline.Load()
	if pl == nil {
		return nil
	}
	if pl.buffer != nil {
		if err := pl.buffer.flush(ctx); err != nil {
			return fmt.Errorf("asking trace samplers: %w", err)
		}
	}
	return pl.each(func(l line) error { return l.ForceFlush(ctx) })
}

// Shutdown decides every open trace, hands over what is kept, closes the lines
// within ctx and ends all goroutines, also when ctx is done already. A second
// call waits for the first.
func (p *Provider) Shutdown(ctx context.Context) error {
	p.stop.Do(func() {
		defer close(p.stopped)
		pl := p.pipeline.Load()
		if pl == nil {
			return
		}
		pl.closed.Store(true)
		// The SDK's own Shutdown calls no processor when ctx is done. It only has
		// to stop making spans; the pipeline is closed below.
		p.err = errors.Join(p.sdk.Shutdown(context.WithoutCancel(ctx)), pl.shutdown(ctx))
	})
	<-p.stopped
	return p.err
}

func (pl *pipeline) shutdown(ctx context.Context) error {
	if pl.buffer != nil {
		pl.buffer.shutdown(ctx)
	}
	var err error
	if pl.unregisterMetrics != nil {
		err = pl.unregisterMetrics()
	}
	return errors.Join(err, pl.samplers.shutdown(ctx), pl.each(func(l line) error { return l.Shutdown(ctx) }))
}

// each runs f for all lines at once, so that one that is slow takes no time
// from the others.
func (pl *pipeline) each(f func(line) error) error {
	errs := make([]error, len(pl.exporters))
	var wg sync.WaitGroup
	for i, l := range pl.exporters {
		wg.Go(func() {
			if err := f(l); err != nil {
				errs[i] = fmt.Errorf("exporter %q: %w", l.name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// liveSampler and liveProcessor are what the SDK holds: the pipeline behind
// them can be swapped. A result is large, so that copying it costs more than making
// it: it is written in place. Its zero value drops.
type liveSampler struct{ pipeline *atomic.Pointer[pipeline] }

func (s liveSampler) ShouldSample(p sdktrace.SamplingParameters) (result sdktrace.SamplingResult) {
	pl := s.pipeline.Load()
	switch {
	case pl.closed.Load():
		result.Tracestate = trace.SpanContextFromContext(p.ParentContext).TraceState()
	case pl.buffer != nil:
		pl.buffer.sample(&p, &result)
	default:
		pl.start.sample(&p, &result)
	}
	return result
}

func (s liveSampler) Description() string { return s.pipeline.Load().start.description() }

type liveProcessor struct{ pipeline *atomic.Pointer[pipeline] }

func (p liveProcessor) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	if b := p.pipeline.Load().buffer; b != nil {
		b.started(s)
	}
}

func (p liveProcessor) OnEnd(s sdktrace.ReadOnlySpan) {
	pl := p.pipeline.Load()
	if pl.buffer != nil {
		pl.buffer.ended(s)
		return
	}
	pl.lines.HandOver(s)
}

// Shutdown and ForceFlush are the [Provider]'s to do.
func (liveProcessor) Shutdown(context.Context) error   { return nil }
func (liveProcessor) ForceFlush(context.Context) error { return nil }

// sdk returns the limits with the SDK's defaults, which read OTEL_SPAN_* and
// its like, where none is set.
func (l SpanLimits) sdk() sdktrace.SpanLimits {
	limits := sdktrace.NewSpanLimits()
	for _, f := range []struct {
		from *int
		to   *int
	}{
		{l.AttributeCount, &limits.AttributeCountLimit},
		{l.AttributeValueLength, &limits.AttributeValueLengthLimit},
		{l.EventCount, &limits.EventCountLimit},
		{l.LinkCount, &limits.LinkCountLimit},
		{l.EventAttributeCount, &limits.AttributePerEventCountLimit},
		{l.LinkAttributeCount, &limits.AttributePerLinkCountLimit},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	return limits
}

// Interface guards.
var (
	_ sdktrace.Sampler       = liveSampler{}
	_ sdktrace.SpanProcessor = liveProcessor{}
)
