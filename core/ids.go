package core

import (
	"context"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// randomIDs makes IDs at random, as the SDK's generator does, but that the traces a
// processor starts in a row fall in the same stripe: what riffle knows of them
// is in that processor's cache, and no other waits for it. What tells the stripe is
// in the upper half of the trace ID; the lower one, which has the randomness and is
// all that some backends look at, is left alone.
type randomIDs struct {
	stripes int
	last    atomic.Uint32
	runs    sync.Pool // of *run: in effect, one for each processor
}

// run is what remains of a row.
type run struct {
	stripe byte
	left   int
}

// runLen is how many traces are in a row: enough to make up for fetching what the
// stripe holds, and few of what it remembers.
const runLen = 64

func newRandomIDs(stripes int) *randomIDs {
	return &randomIDs{stripes: stripes, runs: sync.Pool{New: func() any { return new(run) }}}
}

// NewIDs makes the IDs of a trace and of its root.
func (g *randomIDs) NewIDs(ctx context.Context) (id trace.TraceID, root trace.SpanID) {
	stripe := g.stripe()
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
		binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
		intoStripe(&id, stripe, g.stripes)
	}
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID makes the ID of a span.
func (*randomIDs) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}

func (g *randomIDs) stripe() byte {
	r := g.runs.Get().(*run)
	if r.left == 0 {
		r.stripe, r.left = byte(g.last.Add(1)), runLen
	}
	r.left--
	stripe := r.stripe
	g.runs.Put(r)
	return stripe
}

// stripes is into how many parts is cut what all goroutines share, by trace IDs: a
// power of two, several for each processor, so that goroutines seldom meet. More
// would only be in no cache.
func stripes() int {
	const least, most, perProcessor = 16, 256, 8
	return min(max(1<<bits.Len(uint(perProcessor*runtime.GOMAXPROCS(0)-1)), least), most)
}

// stripeOf is in which part a trace is. It depends on both halves of the ID, because
// others leave the upper one empty, or put the time there.
func stripeOf(id trace.TraceID, stripes int) int { return int(id[7]^id[15]) & (stripes - 1) }

// intoStripe changes the upper half of an ID so that the trace is in that part.
func intoStripe(id *trace.TraceID, stripe byte, stripes int) {
	id[7] ^= (id[7] ^ id[15] ^ stripe) & byte(stripes-1)
}

// Interface guards.
var _ sdktrace.IDGenerator = (*randomIDs)(nil)
