package core

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/internal/untrusted"
)

const (
	// drainTime is how long a line that leaves may take to send what it has. What is on a
	// disk then stays there.
	drainTime = time.Minute
	// maxLeaving is of how many lines that may go on at a time. A reload waits until there
	// are fewer.
	maxLeaving = 16
)

// ErrShutDown is what a reload after Shutdown comes to.
var ErrShutDown = errors.New("the provider is shut down")

var errTurned = errors.New("a reload does not turn tracing on or off: restart the process")

// Reload puts another spec into force. It builds what has changed, swaps, and then lets
// lines that are not needed any more send what they have, for up to a minute; samplers and
// exporters of entries that did not change go on as they are, with their queues. Segments
// that are open end under the rules that they began with. On an error, which for mistakes
// is [ConfigErrors], everything stays as it was.
//
// load is called when it is the turn of this reload, so that of several at once the last
// one has what was read last; its error is returned as it is. ctx bounds the building.
// Reload is safe for concurrent use, also with Shutdown.
func (p *Provider) Reload(ctx context.Context, load func() (Spec, error)) error {
	r := &p.reloads
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return r.done(p.because(ctx.Err()))
	}
	var spec Spec
	err := p.life.Err()
	if err == nil {
		spec, err = load()
	}
	if err == nil {
		err = p.reload(ctx, &spec)
	}
	return r.done(p.because(err))
}

// because says why a reload did not happen, where its context was ended by Shutdown.
func (p *Provider) because(err error) error {
	if err != nil && p.life.Err() != nil {
		return ErrShutDown
	}
	return err
}

func (p *Provider) reload(ctx context.Context, spec *Spec) error {
	if spec.Enabled != (p.recorder != nil) {
		errs := mistakes{source: spec.Source}
		errs.add("enabled", errTurned)
		return joinMistakes(spec.Check(), errs.sorted())
	}
	if p.recorder != nil {
		if err := p.checkMeters(spec); err != nil {
			return joinMistakes(spec.Check(), err)
		}
	}
	next, err := p.prepare(ctx, spec)
	if err != nil {
		return err
	}
	if next.pipeline == nil {
		p.putIntoForce(next)
		return p.life.Err()
	}
	if err := p.reloads.room(ctx); err != nil {
		return errors.Join(err, next.pipeline.abandon(ctx))
	}
	if !p.swap(next) {
		return errors.Join(ErrShutDown, next.pipeline.abandon(ctx))
	}
	return nil
}

// swap puts what is prepared into force, and reports whether it is not too late.
func (p *Provider) swap(next *prepared) bool {
	r := &p.reloads
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	former := p.pipeline.Load()
	leave := next.pipeline.start(&p.lines, former)
	p.pipeline.Store(next.pipeline)
	p.putIntoForce(next)
	if next.spanMetrics.metrics != nil {
		p.spanMetrics = next.spanMetrics
	}
	release := func(ctx context.Context) {
		if err := former.samplers.shutdown(ctx); err != nil {
			p.options.logger.Warn("shutting down samplers that the configuration does not have any more", "error", err)
		}
	}
	if !p.recorder.Reconfigure(next.record, release) { // the recorder is being shut down, and then closes the pipeline
		r.drains.Go(func() { release(r.life) })
	}
	for _, l := range leave {
		r.lines = append(r.lines, l)
		r.drains.Go(func() { p.drain(l) })
	}
	return true
}

// drain sends what a line has that left.
func (p *Provider) drain(l line) {
	r := &p.reloads
	ctx, cancel := context.WithTimeout(r.life, drainTime)
	defer cancel()
	if err := l.Shutdown(ctx); err != nil {
		p.options.logger.Warn("an exporter that the configuration does not have any more is shut down",
			"exporter", l.entry.ID(), "error", untrusted.Error(err, untrusted.Line))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = slices.DeleteFunc(r.lines, func(o line) bool { return o.Line == l.Line })
	r.left(l)
	close(r.progress)
	r.progress = make(chan struct{})
}

// reloads are those of a provider.
type reloads struct {
	turn chan struct{} // of capacity 1: who is in it reloads

	mu       sync.Mutex
	closed   bool
	lines    []line // that have left, and send what they have
	ended    []ExporterStats
	progress chan struct{} // closed, and replaced, when one has ended
	stats    ReloadStats

	drains sync.WaitGroup
	life   context.Context //nolint:containedctx // of the lines that have left
	cancel context.CancelFunc
}

// ReloadStats is about the reloads of a provider.
type ReloadStats struct {
	// Succeeded and Failed count them.
	Succeeded, Failed uint64
	// Last is when the last one was; zero if there was none. Error is why it failed, ""
	// if it did not.
	Last  time.Time
	Error string
}

func (r *reloads) init() {
	r.turn, r.progress = make(chan struct{}, 1), make(chan struct{})
	r.life, r.cancel = context.WithCancel(context.Background())
}

// done notes what a reload came to.
func (r *reloads) done(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Last, r.stats.Error = time.Now(), ""
	if err != nil {
		r.stats.Failed++
		r.stats.Error = untrusted.Lines(err.Error(), untrusted.Attribute)
		return err
	}
	r.stats.Succeeded++
	return nil
}

// room waits until another reload may let lines leave.
func (r *reloads) room(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.lines) >= maxLeaving {
		progress := r.progress
		r.mu.Unlock()
		var err error
		select {
		case <-progress:
		case <-ctx.Done():
			err = ctx.Err()
		}
		r.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// close ends reloads: none that has not swapped comes to it any more.
func (r *reloads) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// reloadable is a propagator that can be replaced.
type reloadable struct {
	now atomic.Pointer[propagation.TextMapPropagator]
}

func (r *reloadable) set(p propagation.TextMapPropagator) { r.now.Store(&p) }

// Inject writes what ctx carries.
func (r *reloadable) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	(*r.now.Load()).Inject(ctx, carrier)
}

// Extract reads what carrier has into the context.
func (r *reloadable) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	return (*r.now.Load()).Extract(ctx, carrier)
}

// Fields are the names that Inject sets.
func (r *reloadable) Fields() []string { return (*r.now.Load()).Fields() }

// Interface guards.
var (
	_ propagation.TextMapPropagator = (*reloadable)(nil)
	_ component.Shutdowner          = (*Provider)(nil)
)
