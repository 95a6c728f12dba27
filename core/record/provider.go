package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/riffletrace/riffle/core/sampling"
)

// Config is what a [TracerProvider] is made of. The zero value records everything
// and hands it to nobody.
type Config struct {
	Resource *resource.Resource // nil is the SDK's default
	// Limits bound what a span can hold; start from [sdktrace.NewSpanLimits].
	// Those of the zero value hold nothing, as in the SDK.
	Limits sdktrace.SpanLimits
	// MaxText bounds names, keys, values and the description of a status, lists and maps
	// as a whole, in bytes, besides what Limits say. What is longer is cut, and ends in
	// [bound.Marker]. 0 is no bound, as in the SDK.
	MaxText int
	// IDGenerator makes the IDs; nil makes them at random. The low 56 bits of its
	// trace IDs must be random.
	IDGenerator sdktrace.IDGenerator
	// SpanProcessors see every recorded span, before anything is decided.
	SpanProcessors []sdktrace.SpanProcessor

	Samplers Samplers
	// Budget bounds what is kept of all segments; nil is no bound. Classes are those of
	// samplers in it, by name, from 0; who is not there is in the last.
	Budget       *Budget
	Classes      map[string]int
	RemoteParent RemoteParent // "" is Watch
	// AlwaysRecord records also what the start did not select and nobody waits for, and
	// what a parent that is followed left out, so that span processors see it; it is let
	// go as it ends.
	AlwaysRecord bool
	// Measure is told of every span that was recorded to its end, once, when it has been
	// decided, on the goroutine that decided it. If it is kept, ctx is that of a sampled
	// span, else one without a span. It must not block. nil is nobody.
	Measure func(ctx context.Context, span Measured)
	// Randomness is the randomness of segments under [Ignore], 56 bits; nil makes it at
	// random. It is for tests and explanations.
	Randomness func() uint64
	Bounds     Bounds
	// Deliver takes what is kept, on the goroutine that ended the last span of it. It
	// must not block, nor keep the slice. nil is nobody.
	Deliver func(Kept)
	// Flush and Close are called by ForceFlush and Shutdown when everything that is
	// decided has been delivered. nil is nothing.
	Flush, Close func(context.Context) error
	Logger       *slog.Logger // nil is nothing
}

// Bounds are those of what waits for its decision. Zero is the default of each.
type Bounds struct {
	// MaxWait is how long a segment stays open before what has ended of it is
	// decided: 2 min. Where memory is short it is DecisionWait: 30 s.
	MaxWait, DecisionWait time.Duration
	// MemoryAge is how long an answer is remembered for other segments of the trace:
	// 60 s. MemoryTraces is for how many traces: 100,000.
	MemoryAge    time.Duration
	MemoryTraces int
	// MaxBytes bounds what all segments hold: 64 MiB. MaxSegmentBytes bounds one of
	// them: 4 MiB.
	MaxBytes, MaxSegmentBytes int64
}

func (b Bounds) withDefaults() Bounds {
	b.MaxWait = cmp.Or(b.MaxWait, 2*time.Minute)
	b.DecisionWait = cmp.Or(b.DecisionWait, min(30*time.Second, b.MaxWait))
	b.MemoryAge = cmp.Or(b.MemoryAge, time.Minute)
	b.MemoryTraces = cmp.Or(b.MemoryTraces, 100_000)
	b.MaxBytes = cmp.Or(b.MaxBytes, 64<<20)
	b.MaxSegmentBytes = cmp.Or(b.MaxSegmentBytes, min(4<<20, b.MaxBytes))
	// What is remembered must leave room for what waits.
	b.MemoryTraces = min(b.MemoryTraces, int(b.MaxBytes/4/toldBytes))
	return b
}

// Kept is a segment, or a part of one, on its way to the exporters.
type Kept struct {
	// Spans have ended. They are the receiver's, the slice is not.
	Spans []sdktrace.ReadOnlySpan
	// Threshold is the one that the spans carry.
	Threshold sampling.Threshold
	// Sampler is the config name of the sampler that decided, "" if it was a
	// remote parent or nobody.
	Sampler string
	// Partial tells that the segment was decided before it was complete.
	Partial bool
}

// TracerProvider makes tracers, whose spans it records, and decides which of them to
// keep. It has the methods of the SDK's type of that name. Make one with
// [NewTracerProvider]; it is safe for concurrent use.
type TracerProvider struct {
	noop.TracerProvider // what a newer API asks for besides

	unrecordedBy unrecordedBy
	ids          sdktrace.IDGenerator
	randomIDs    bool // they are our own
	logger       *slog.Logger
	flush        func(context.Context) error
	close        func(context.Context) error
	live         *live
	processors   atomic.Pointer[[]sdktrace.SpanProcessor]

	mu      sync.Mutex // guards tracers, and changes of processors
	tracers map[instrumentation.Scope]*tracer
	stopped atomic.Bool
	done    chan struct{}
	err     error
}

// scope is what the spans of a tracer have in common. The SDK's interface is sealed:
// one of its own spans, without content, stands in for what a newer SDK asks for.
type scope struct {
	sdktrace.ReadOnlySpan
	provider        *TracerProvider
	instrumentation instrumentation.Scope
}

var emptySpan = tracetest.SpanStub{}.Snapshot()

// NewTracerProvider returns a provider and starts what decides segments in the
// background, until Shutdown.
func NewTracerProvider(c Config) *TracerProvider {
	p := &TracerProvider{
		ids: c.IDGenerator, logger: c.Logger, flush: c.Flush, close: c.Close,
		tracers: map[instrumentation.Scope]*tracer{}, done: make(chan struct{}),
	}
	if p.ids == nil {
		p.ids, p.randomIDs = randomIDs{}, true
	}
	if p.logger == nil {
		p.logger = slog.New(slog.DiscardHandler)
	}
	processors := slices.Clone(c.SpanProcessors)
	p.processors.Store(&processors)
	p.unrecordedBy.provider = p
	p.live = newLive(&c, p.logger)
	return p
}

const defaultTracerName = "go.opentelemetry.io/otel/sdk/tracer" // the SDK's

// Tracer returns the tracer of a scope. Spans of one that is asked for after
// Shutdown are not recorded.
func (p *TracerProvider) Tracer(name string, options ...trace.TracerOption) trace.Tracer {
	if p.stopped.Load() {
		return noop.NewTracerProvider().Tracer(name, options...)
	}
	c := trace.NewTracerConfig(options...)
	is := instrumentation.Scope{
		Name:       cmp.Or(name, defaultTracerName),
		Version:    c.InstrumentationVersion(),
		SchemaURL:  c.SchemaURL(),
		Attributes: normalizeSet(c.InstrumentationAttributes(), p.live.rules().limits.AttributeValueDepthLimit),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tracers[is]
	if t == nil {
		t = &tracer{scope: scope{ReadOnlySpan: emptySpan, provider: p, instrumentation: is}}
		p.tracers[is] = t
	}
	return t
}

func (p *TracerProvider) spanProcessors() []sdktrace.SpanProcessor { return *p.processors.Load() }

// RegisterSpanProcessor adds a processor. It sees the spans that start or end from
// now on.
func (p *TracerProvider) RegisterSpanProcessor(sp sdktrace.SpanProcessor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopped.Load() {
		next := append(slices.Clip(p.spanProcessors()), sp)
		p.processors.Store(&next)
	}
}

// UnregisterSpanProcessor takes a processor away, and shuts it down.
func (p *TracerProvider) UnregisterSpanProcessor(sp sdktrace.SpanProcessor) {
	p.mu.Lock()
	i := slices.Index(p.spanProcessors(), sp)
	if i < 0 || p.stopped.Load() {
		p.mu.Unlock()
		return
	}
	next := slices.Delete(slices.Clone(p.spanProcessors()), i, i+1)
	p.processors.Store(&next)
	p.mu.Unlock()
	if err := sp.Shutdown(context.Background()); err != nil {
		otel.Handle(err)
	}
}

// Resource is what the resource of spans is whose segments begin now.
func (p *TracerProvider) Resource() *resource.Resource { return p.live.rules().resource }

// ForceFlush asks segment samplers about what is complete, delivers what is kept of
// it, and flushes the span processors and what [Config.Flush] stands for. It does not
// decide open segments.
func (p *TracerProvider) ForceFlush(ctx context.Context) error {
	if err := p.live.asker.flush(ctx); err != nil {
		return fmt.Errorf("asking segment samplers: %w", err)
	}
	var errs []error
	for _, sp := range p.spanProcessors() {
		errs = append(errs, sp.ForceFlush(ctx))
	}
	if p.flush != nil {
		errs = append(errs, p.flush(ctx))
	}
	return errors.Join(errs...)
}

// Shutdown ends the spans that are open, decides every segment, delivers what is
// kept, and ends all goroutines, also when ctx is done already. Spans that start
// afterwards are not recorded. A second call waits for the first and returns the
// same.
func (p *TracerProvider) Shutdown(ctx context.Context) error {
	p.mu.Lock() // no processor comes or goes from now on
	first := p.stopped.CompareAndSwap(false, true)
	p.mu.Unlock()
	if !first {
		<-p.done
		return p.err
	}
	defer close(p.done)
	p.live.shutdown(ctx)
	var errs []error
	for _, sp := range p.spanProcessors() {
		errs = append(errs, sp.Shutdown(ctx))
	}
	if p.close != nil {
		errs = append(errs, p.close(ctx))
	}
	p.live.former.end(ctx) // last, so that samplers which are gone take no time from those who come before
	p.err = errors.Join(errs...)
	return p.err
}

// Interface guard.
var _ trace.TracerProvider = (*TracerProvider)(nil)
