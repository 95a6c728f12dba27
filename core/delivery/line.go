package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// ErrGaveUp is what an export returns once the deadline of Shutdown has passed.
var ErrGaveUp = errors.New("gave up: the deadline of the shutdown has passed")

// exitGrace is how long Shutdown waits, past its context, for an exporter
// that has been told to give up.
const exitGrace = time.Second

// Line takes kept spans to one exporter. Make one with [New].
type Line struct {
	batches sdktrace.SpanProcessor
	sender  *sender
	handed  atomic.Uint64

	stop    sync.Once
	stopped chan struct{}
	err     error
}

// Stats counts what a line did with spans.
type Stats struct {
	// Handed counts spans handed over, Sent those the exporter accepted, and
	// Failed those it returned an error for. What is in none of the two is
	// queued, or was dropped because the queue was full.
	Handed, Sent, Failed uint64
}

// New returns a running line. It owns the exporter from now on.
func New(exporter sdktrace.SpanExporter, logger *slog.Logger) *Line {
	s := &sender{exporter: exporter, logger: logger}
	s.ctx, s.giveUp = context.WithCancelCause(context.Background())
	return &Line{
		batches: sdktrace.NewBatchSpanProcessor(s),
		sender:  s,
		stopped: make(chan struct{}),
	}
}

// Deliver takes the spans over. It only enqueues and never blocks. It is safe
// for concurrent use; after Shutdown it does nothing.
func (l *Line) Deliver(spans ...sdktrace.ReadOnlySpan) {
	l.handed.Add(uint64(len(spans)))
	for _, s := range spans {
		l.batches.OnEnd(s)
	}
}

// ForceFlush sends what was handed over before the call.
func (l *Line) ForceFlush(ctx context.Context) error {
	if err := l.batches.ForceFlush(ctx); err != nil {
		return err
	}
	return l.sender.lastError()
}

// Shutdown sends what is queued and shuts the exporter down. When ctx is
// done, exports under way are cancelled and the rest counts as failed. A
// second call waits for the first.
func (l *Line) Shutdown(ctx context.Context) error {
	l.stop.Do(func() {
		go func() {
			defer close(l.stopped)
			failed := l.sender.failed.Load()
			// Not ctx: the processor would leave its goroutine behind.
			l.err = l.batches.Shutdown(context.WithoutCancel(ctx))
			l.sender.giveUp(nil)
			if n := l.sender.failed.Load() - failed; n > 0 {
				l.err = errors.Join(l.err, fmt.Errorf("%d spans were left behind: %w", n, l.sender.lastError()))
			}
		}()
	})
	select {
	case <-l.stopped:
		return l.err
	case <-ctx.Done():
	}
	l.sender.giveUp(ErrGaveUp)
	grace := time.NewTimer(exitGrace)
	defer grace.Stop()
	select {
	case <-l.stopped:
		return l.err
	case <-grace.C:
		return fmt.Errorf("shutting down the exporter: it ignores its context: %w", ctx.Err())
	}
}

// Stats returns what the line did so far.
func (l *Line) Stats() Stats {
	return Stats{Handed: l.handed.Load(), Sent: l.sender.sent.Load(), Failed: l.sender.failed.Load()}
}

// sender counts what the exporter does, and logs when it starts to fail and
// when it recovers instead of once per batch.
type sender struct {
	exporter sdktrace.SpanExporter
	logger   *slog.Logger
	// ctx ends when the line has given up.
	ctx    context.Context //nolint:containedctx // it is the line's life, not a call's
	giveUp context.CancelCauseFunc

	sent, failed atomic.Uint64

	mu      sync.Mutex
	failure error // of the last export; nil if it succeeded
	lost    uint64
}

func (s *sender) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })()

	err := context.Cause(s.ctx)
	if err == nil {
		err = s.exporter.ExportSpans(ctx, spans)
	}
	n := uint64(len(spans))
	if err != nil {
		s.failed.Add(n)
	} else {
		s.sent.Add(n)
	}
	s.report(err, n)
	return nil
}

func (s *sender) report(err error, n uint64) {
	s.mu.Lock()
	failure, lost := s.failure, s.lost
	s.failure = err
	if err != nil {
		s.lost += n
	} else {
		s.lost = 0
	}
	s.mu.Unlock()
	switch {
	case err != nil && failure == nil:
		s.logger.Warn("exporter is failing; spans are lost until it recovers", "error", err)
	case err == nil && failure != nil:
		s.logger.Info("exporter has recovered", "spans_lost", lost)
	}
}

func (s *sender) lastError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

func (s *sender) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })()
	return s.exporter.Shutdown(ctx)
}
