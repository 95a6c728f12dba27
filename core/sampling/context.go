package sampling

import (
	"context"
	"sync/atomic"
)

// ForceSampler is what a local root says in [SamplerKey] if it was kept because
// of [ContextWithForce].
const ForceSampler = "force"

type (
	forceKey struct{}
	dropKey  struct{}
)

// ContextWithForce returns a context in which a local root is kept in full,
// whatever samplers, drop rules and a remote parent say: for the one request
// that somebody wants to see. It is kept whatever its randomness is, so that its
// threshold is [Always] and its spans count as one each.
//
// It must be set before the local root starts; spans that are open already
// are not concerned. Guard it: who can set it chooses what is kept.
func ContextWithForce(ctx context.Context) context.Context {
	anyForced.Store(true)
	return context.WithValue(ctx, forceKey{}, true)
}

// Forced reports whether a local root that is started in ctx is to be kept in full.
func Forced(ctx context.Context) bool { return anyForced.Load() && ctx.Value(forceKey{}) != nil }

// ContextWithDrop returns a context in which no local root is recorded, nor anything
// below it, whatever samplers, a remote parent and [ContextWithForce] say: for health
// checks and their like. Spans that are open already are not concerned.
func ContextWithDrop(ctx context.Context) context.Context {
	anyDropped.Store(true)
	return context.WithValue(ctx, dropKey{}, true)
}

// Dropped reports whether a local root that is started in ctx is not to be recorded.
func Dropped(ctx context.Context) bool { return anyDropped.Load() && ctx.Value(dropKey{}) != nil }

// anyForced and anyDropped tell that the process has ever asked for it: most never do,
// and need not look for it in the context of every request.
var anyForced, anyDropped atomic.Bool
