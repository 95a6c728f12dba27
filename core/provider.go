package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/internal/outside"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
)

// Provider makes spans, decides which traces to keep, and hands those to the
// exporters. Make one with [New]; it is safe for concurrent use.
type Provider struct {
	options    *options
	tracers    trace.TracerProvider
	recorder   *record.TracerProvider // tracers, unless tracing is off
	propagator reloadable
	lines      delivery.Lines
	// deliver takes what is kept: it hands it to every line.
	deliver  func(record.Kept)
	measured *measured // nil if tracing is off
	// metrics is what has started meters; both are nil if nothing has.
	metrics *MetricsEntry
	meters  component.MeterProvider
	metered component.MetricsSettings // what it was told

	pipeline    atomic.Pointer[pipeline]     // the one in force; nil if tracing is off
	public      atomic.Pointer[PublicConfig] // nil if nobody knows it
	spanMetrics spanMetrics                  // the last that counted; guarded by who reloads
	reloads     reloads

	began    time.Time
	life     context.Context //nolint:containedctx // until Shutdown
	end      context.CancelFunc
	watching sync.WaitGroup // the global provider
}

// New builds a provider from a spec. It finds every mistake before anything
// starts and returns them as [ConfigErrors]; a start that fails leaves nothing
// behind. ctx bounds the start only. A spec that is not enabled makes a
// provider that records nothing.
func New(ctx context.Context, spec Spec, opts ...Option) (*Provider, error) {
	p := &Provider{options: newOptions(opts), began: time.Now()}
	next, err := p.prepare(ctx, &spec)
	if err != nil {
		return nil, joinMistakes(err, p.abandonMeters(ctx))
	}
	p.putIntoForce(next)
	p.life, p.end = context.WithCancel(context.Background())
	p.reloads.init()
	if !spec.Enabled {
		p.tracers = noop.NewTracerProvider() // passes the parents of other services on
		return p, nil
	}
	p.deliver = func(k record.Kept) { p.lines.HandOver(k.Spans...) }
	p.lines.Measure(p.options.meters) // no reload may, with its locks
	next.pipeline.start(&p.lines, nil)
	p.pipeline.Store(next.pipeline)
	p.spanMetrics = next.spanMetrics
	c := next.record
	c.IDGenerator, c.SpanProcessors = p.options.ids, p.options.processors
	c.Deliver = func(k record.Kept) { p.deliver(k) }
	c.Flush, c.Close, c.Logger = p.flush, p.close, p.options.logger
	p.recorder = record.NewTracerProvider(c)
	p.tracers = p.recorder
	if p.measured, err = p.registerMetrics(p.options.meters); err != nil {
		return nil, errors.Join(fmt.Errorf("registering metrics: %w", err), p.Shutdown(ctx))
	}
	return p, nil
}

// prepared is what a spec was made into, and that has not begun.
type prepared struct {
	propagator propagation.TextMapPropagator
	record     record.Config // the rules
	pipeline   *pipeline     // nil if tracing is off
	public     *PublicConfig // nil if nobody knows it
	// spanMetrics are those that count from now on.
	spanMetrics spanMetrics
}

// prepare finds the mistakes of a spec and builds what it says, with what stays of the
// pipeline in force. On an error, nothing is left.
func (p *Provider) prepare(ctx context.Context, spec *Spec) (*prepared, error) {
	plan, err := spec.check()
	if err != nil {
		return nil, err
	}
	next := &prepared{}
	if next.propagator, err = autoprop.TextMapPropagator(plan.Propagators...); err != nil {
		return nil, fmt.Errorf("building propagators: %w", err)
	}
	if plan.RemoteParent == record.Ignore || plan.RemoteParent == record.Restart {
		next.propagator = outside.Propagator(next.propagator)
	}
	if source, ok := spec.Source.(PublicSource); ok {
		next.public = source.Public(spec)
	}
	if !spec.Enabled {
		return next, nil
	}
	plan.logWarnings(ctx, p.options.logger)
	res, err := newResource(ctx, plan)
	if err != nil {
		return nil, err
	}
	if p.recorder == nil { // no reload does
		if err := p.startMeters(ctx, plan, res); err != nil {
			return nil, err
		}
	}
	if next.pipeline, err = plan.newPipeline(ctx, p.options, serviceName(res), p.pipeline.Load()); err != nil {
		return nil, err
	}
	next.record = record.Config{
		Resource:     res,
		Limits:       plan.Limits.sdk(),
		MaxText:      plan.Limits.maxText(),
		Samplers:     next.pipeline.samplers.record,
		Budget:       next.pipeline.budget.Budget,
		Classes:      plan.Budget.classesOf(plan.Samplers),
		RemoteParent: plan.RemoteParent,
		AlwaysRecord: plan.alwaysRecord(),
		Bounds:       plan.bounds(),
	}
	if plan.SpanMetrics != nil {
		next.spanMetrics, next.record.Measure, err = p.spanMetrics.next(plan, res, p.options.meters)
		if err != nil {
			return nil, joinMistakes(err, next.pipeline.abandon(ctx))
		}
	}
	return next, nil
}

// putIntoForce does so with what needs no more than to be replaced.
func (p *Provider) putIntoForce(next *prepared) {
	p.propagator.set(next.propagator)
	p.public.Store(next.public)
}

// TracerProvider is what instrumentation takes.
func (p *Provider) TracerProvider() trace.TracerProvider { return p.tracers }

// ServiceName is the name that spans carry: the resource's, also where nobody has
// set one. It is empty if tracing is off.
func (p *Provider) ServiceName() string {
	if p.recorder == nil {
		return ""
	}
	return serviceName(p.recorder.Resource())
}

// Propagator reads and writes trace context as the spec says, also when that changes.
func (p *Provider) Propagator() propagation.TextMapPropagator { return &p.propagator }

// Install makes the provider and its propagators the global ones, the propagators
// alone if tracing is off, and with them the MeterProvider that the metrics section has
// started. It returns a function that puts back what was there. If
// something else becomes the global provider meanwhile, that is logged once: spans
// that are started through it do not come here.
func (p *Provider) Install() (undo func()) {
	tp, mp, prop := otel.GetTracerProvider(), otel.GetMeterProvider(), otel.GetTextMapPropagator()
	ctx, unwatch := context.WithCancel(p.life)
	if p.recorder != nil {
		otel.SetTracerProvider(p.tracers)
		p.watching.Go(func() { p.watchGlobal(ctx) })
	}
	if p.meters != nil {
		otel.SetMeterProvider(p.meters)
	}
	otel.SetTextMapPropagator(&p.propagator)
	return func() {
		unwatch()
		if p.recorder != nil {
			otel.SetTracerProvider(tp)
		}
		if p.meters != nil {
			otel.SetMeterProvider(mp)
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
			p.options.logger.Warn("the global tracer provider is not riffle's any more: spans that are started through it are not recorded here",
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

// ForceFlush hands over what is decided and sends what the lines hold, and then what
// was measured, bounded by ctx. It does not decide open segments.
func (p *Provider) ForceFlush(ctx context.Context) error {
	if p.recorder == nil {
		return nil
	}
	return p.recorder.ForceFlush(ctx)
}

// Shutdown ends the spans that are open, decides every segment, hands over what is
// kept, closes the lines and then what the metrics section has started within ctx, and
// ends all goroutines, also when ctx is done already. A second call waits for the first.
func (p *Provider) Shutdown(ctx context.Context) error {
	p.end()
	p.reloads.close()
	p.watching.Wait()
	if p.recorder == nil {
		return nil
	}
	return p.recorder.Shutdown(ctx)
}

func (p *Provider) flush(ctx context.Context) error {
	lines := p.each(func(l line) error { return l.ForceFlush(ctx) })
	return errors.Join(lines, p.flushMeters(ctx))
}

// each runs f for all lines, those too that have left and send what they have.
func (p *Provider) each(f func(line) error) error {
	r := &p.reloads
	r.mu.Lock() // spans go to lines that a reload starts before it has ended
	all := slices.Concat(p.pipeline.Load().exporters, r.lines)
	r.mu.Unlock()
	return each(all, f)
}

func (p *Provider) close(ctx context.Context) error {
	before, cancel := p.beforeMeters(ctx)
	defer cancel()
	err := p.closePipeline(before)
	return errors.Join(err, p.closeMeters(ctx))
}

func (p *Provider) closePipeline(ctx context.Context) error {
	p.reloads.close() // again, for who shuts down the recorder alone
	if p.measured != nil {
		p.measured.end()
	}
	pl := p.pipeline.Load()
	defer context.AfterFunc(ctx, p.reloads.cancel)()
	// At once, so that none takes time from the others.
	var samplers error
	var wg sync.WaitGroup
	wg.Go(func() { samplers = pl.samplers.shutdown(ctx) })
	lines := p.each(func(l line) error { return l.Shutdown(ctx) })
	wg.Wait()
	p.reloads.cancel()
	p.reloads.drains.Wait()
	return errors.Join(samplers, lines)
}
