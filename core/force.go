package core

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// ForceSampler is what a local root says in [SamplerKey] if it was kept because
// of [ContextWithForce].
const ForceSampler = "force"

type forceKey struct{}

// ContextWithForce returns a context in which a local root is kept in full,
// whatever samplers, drop rules and a remote parent say: for the one request
// that somebody wants to see. Nobody knows how probable that was, so its spans
// carry the threshold [Unknown] and count in no weighted figure.
//
// It must be set before the local root starts; spans that are open already
// are not concerned. Guard it: who can set it chooses what is kept.
func ContextWithForce(ctx context.Context) context.Context {
	anyForced.Store(true)
	return context.WithValue(ctx, forceKey{}, true)
}

// forced reports whether a span started in ctx is to be kept in full.
func forced(ctx context.Context) bool { return anyForced.Load() && ctx.Value(forceKey{}) != nil }

// anyForced tells that the process has ever forced a trace: most never do, and
// need not look for it in the context of every request.
var anyForced atomic.Bool

func newForceEntry() *startEntry {
	return &startEntry{entry: entry{name: ForceSampler}, attrs: []attribute.KeyValue{sampling.SamplerKey.String(ForceSampler)}}
}

// forcedRoot keeps a local root without asking anybody. Only a remote parent
// that was certain to be kept has a better threshold than unknown.
func (r *startRules) forcedRoot(d *startDecision, p *sdktrace.SamplingParameters, parent trace.SpanContext) {
	d.verdict, d.threshold, d.selected, d.forced, d.by = threshold, sampling.Unknown, true, true, r.force
	switch {
	case !parent.IsValid():
		d.randomness = sampling.TraceIDRandomness(p.TraceID)
	case r.remote == Ignore:
		r.ownRandomness(d, p.TraceID, parent)
	default:
		d.randomness, d.state = sampling.Randomness(parent), parent.TraceState()
		if parent.IsSampled() && sampling.ThresholdOf(parent) == sampling.Always {
			d.threshold = sampling.Always
		} else {
			d.state = sampling.WithThreshold(d.state, sampling.Unknown)
		}
	}
}
