package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/delivery/redact"
	"github.com/riffletrace/riffle/core/internal/outside"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/bound"
)

// Provider makes spans, decides which traces to keep, and hands those to the
// exporters. Make one with [New]; it is safe for concurrent use.
type Provider struct {
	tracers    trace.TracerProvider
	recorder   *record.TracerProvider // tracers, unless tracing is off
	pipeline   *pipeline              // nil if tracing is off
	propagator propagation.TextMapPropagator
	logger     *slog.Logger

	life     context.Context //nolint:containedctx // until Shutdown
	end      context.CancelFunc
	watching sync.WaitGroup // the global provider
}

// pipeline is what stands before and behind the recorder.
type pipeline struct {
	samplers  samplerList
	lines     delivery.Lines
	exporters []line
	// deliver takes what is kept: it hands it to every line.
	deliver  func(record.Kept)
	measured *measured // nil until metrics are registered
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
	if plan.RemoteParent == record.Ignore || plan.RemoteParent == record.Restart {
		propagator = outside.Propagator(propagator)
	}
	p := &Provider{propagator: propagator, logger: o.logger}
	p.life, p.end = context.WithCancel(context.Background())
	if !spec.Enabled {
		p.tracers = noop.NewTracerProvider() // passes the parents of other services on
		return p, nil
	}
	res, err := newResource(ctx, &spec)
	if err != nil {
		return nil, fmt.Errorf("building the resource: %w", err)
	}
	pl, err := plan.newPipeline(ctx, o)
	if err != nil {
		return nil, err
	}
	p.pipeline = pl
	p.recorder = record.NewTracerProvider(record.Config{
		Resource:       res,
		Limits:         spec.Limits.sdk(),
		MaxText:        spec.Limits.maxText(),
		IDGenerator:    o.ids,
		SpanProcessors: o.processors,
		Samplers:       pl.samplers.record,
		RemoteParent:   plan.RemoteParent,
		Bounds:         plan.bounds(),
		Deliver:        func(k record.Kept) { pl.deliver(k) },
		Flush:          pl.flush,
		Close:          pl.close,
		Logger:         o.logger,
	})
	p.tracers = p.recorder
	if pl.measured, err = p.registerMetrics(o.meters); err != nil {
		return nil, errors.Join(fmt.Errorf("registering metrics: %w", err), p.Shutdown(ctx))
	}
	return p, nil
}

// newPipeline builds samplers and lines. On an error, nothing is left.
func (p *plan) newPipeline(ctx context.Context, o *options) (*pipeline, error) {
	samplers, err := p.buildSamplers(ctx, o, nil)
	if err != nil {
		return nil, err
	}
	for _, w := range samplers.unreached {
		o.logger.WarnContext(ctx, "a sampler that cannot do what it is for: "+w.Path+": "+w.Err.Error(), "position", w.Position)
	}
	pl := &pipeline{samplers: *samplers}
	pl.deliver = func(k record.Kept) { pl.lines.HandOver(k.Spans...) }
	errs := mistakes{source: p.Source}
	for i := range p.Exporters {
		e := &p.Exporters[i]
		if err := pl.addLine(ctx, e, p.lines[i], o); err != nil {
			errs.addBuild(entryPath("exporters", i), "exporter", e.ID(), err)
		}
	}
	if err := errs.sorted(); err != nil {
		return nil, errors.Join(err, pl.close(ctx))
	}
	return pl, nil
}

// TracerProvider is what instrumentation takes.
func (p *Provider) TracerProvider() trace.TracerProvider { return p.tracers }

// ServiceName is the name that spans carry: the resource's, also where nobody has
// set one. It is empty if tracing is off.
func (p *Provider) ServiceName() string {
	if p.recorder == nil {
		return ""
	}
	name, _ := p.recorder.Resource().Set().Value(semconv.ServiceNameKey)
	return name.AsString()
}

// Propagator reads and writes trace context as the spec says.
func (p *Provider) Propagator() propagation.TextMapPropagator { return p.propagator }

// Install makes the provider and its propagators the global ones, the propagators
// alone if tracing is off, and returns a function that puts back what was there. If
// something else becomes the global provider meanwhile, that is logged once: spans
// that are started through it do not come here.
func (p *Provider) Install() (undo func()) {
	tp, prop := otel.GetTracerProvider(), otel.GetTextMapPropagator()
	ctx, unwatch := context.WithCancel(p.life)
	if p.recorder != nil {
		otel.SetTracerProvider(p.tracers)
		p.watching.Go(func() { p.watchGlobal(ctx) })
	}
	otel.SetTextMapPropagator(p.propagator)
	return func() {
		unwatch()
		if p.recorder != nil {
			otel.SetTracerProvider(tp)
		}
		otel.SetTextMapPropagator(prop)
	}
}

// watchGlobal looks now and then whether the global provider is still this one.
func (p *Provider) watchGlobal(ctx context.Context) {
	const interval = 10 * time.Second
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := otel.GetTracerProvider()
		if ctx.Err() != nil {
			return // before the other one came
		}
		if now != p.tracers {
			p.logger.Warn("the global tracer provider is not riffle's any more: spans that are started through it are not recorded here",
				"provider", fmt.Sprintf("%T", now))
			return
		}
	}
}

// Keep lets others speak for a trace: what of it is not decided, or starts within
// decision_memory, is kept if its randomness reaches t, for the reason given. It
// reports whether a span of it is open or waits here.
func (p *Provider) Keep(id trace.TraceID, t sampling.Threshold, reason string) bool {
	return p.recorder != nil && p.recorder.Keep(id, t, reason)
}

// ForceFlush hands over what is decided and sends what the lines hold,
// bounded by ctx. It does not decide open segments.
func (p *Provider) ForceFlush(ctx context.Context) error {
	if p.recorder == nil {
		return nil
	}
	return p.recorder.ForceFlush(ctx)
}

// Shutdown ends the spans that are open, decides every segment, hands over what is
// kept, closes the lines within ctx and ends all goroutines, also when ctx is done
// already. A second call waits for the first.
func (p *Provider) Shutdown(ctx context.Context) error {
	p.end()
	p.watching.Wait()
	if p.recorder == nil {
		return nil
	}
	return p.recorder.Shutdown(ctx)
}

func (pl *pipeline) flush(ctx context.Context) error {
	return pl.each(func(l line) error { return l.ForceFlush(ctx) })
}

func (pl *pipeline) close(ctx context.Context) error {
	if pl.measured != nil {
		pl.measured.end()
	}
	// At once, so that none takes time from the others.
	var samplers error
	var wg sync.WaitGroup
	wg.Go(func() { samplers = pl.samplers.shutdown(ctx) })
	lines := pl.each(func(l line) error { return l.Shutdown(ctx) })
	wg.Wait()
	return errors.Join(samplers, lines)
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

// maxText bounds names and values, in bytes: to 16 KiB, unless attribute_value_length
// allows more characters, or is no limit.
func (l SpanLimits) maxText() int {
	if n := l.AttributeValueLength; n != nil && *n < 0 {
		return 0
	}
	return max(int(bound.Default), utf8.UTFMax*min(l.sdk().AttributeValueLengthLimit, math.MaxInt/utf8.UTFMax))
}

// cut is what redaction must know of the limits.
func (l SpanLimits) cut() redact.Cut {
	return redact.Cut{Length: l.sdk().AttributeValueLengthLimit, Marker: bound.Marker}
}
