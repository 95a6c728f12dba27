package riffle

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/core/status"
)

// maxShutdown is what a shutdown takes at most. shutdownTimeout leaves half a second of
// it for exporters that are told to give up.
const (
	maxShutdown     = 5 * time.Second
	shutdownTimeout = 4500 * time.Millisecond
)

// Tracing is what [Start] has started. It is safe for concurrent use. A nil Tracing,
// which a start that failed returns, does nothing.
type Tracing struct {
	provider *core.Provider
	undo     func()
	once     sync.Once
	options  *options
	file     string
	reloads  reloads
	turn     int // of the last reload; only the one whose turn it is has it

	mu      sync.Mutex
	missing bool // there was no file the last time
	status  *status.Handler
}

// Provider is the provider behind it; nil if there is none.
func (t *Tracing) Provider() *core.Provider {
	if t == nil {
		return nil
	}
	return t.provider
}

// Stats tells what became of traces and spans so far.
func (t *Tracing) Stats() core.Stats {
	if t == nil {
		return core.Stats{}
	}
	return t.provider.Stats()
}

// Keep lets others speak for a trace; see [core.Provider.Keep].
func (t *Tracing) Keep(id trace.TraceID, threshold sampling.Threshold, reason string) bool {
	return t != nil && t.provider.Keep(id, threshold, reason)
}

// ForceFlush sends what is decided, bounded by ctx; see
// [core.Provider.ForceFlush].
func (t *Tracing) ForceFlush(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.ForceFlush(ctx)
}

// Shutdown puts back the global provider and propagators that were there before
// [Start], decides every open trace, and sends what is left. It takes 5 s at most,
// also when no backend answers, and less where ctx ends before and the components
// keep to it. The error counts the spans that did not arrive, or says that a
// component ignores its context; it is for a log line and no reason to exit with a
// failure. A second call waits for the same shutdown, no longer than the first does,
// and returns what came of it.
func (t *Tracing) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	t.once.Do(t.undo)
	t.reloads.end()
	bound := time.NewTimer(maxShutdown)
	defer bound.Stop()
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
		defer cancel()
		err := t.provider.Shutdown(ctx)
		t.reloads.running.Wait()
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-bound.C:
		return errNotShutDown
	}
}

// errNotShutDown is about components that do not return when their context ends.
var errNotShutDown = fmt.Errorf("shutting down tracing: a component did not return within %v; what it holds is lost", maxShutdown)
