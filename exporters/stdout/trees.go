package stdout

import (
	"bytes"
	"context"
	"slices"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/exporters/stdout/tree"
)

// What bounds the spans held for a trace that is not complete.
const (
	maxHeldSpans = 10_000
	maxHeldTime  = 10 * time.Second
	// maxPrinted is how many traces are remembered as printed.
	maxPrinted = 1024
)

// trees holds the spans of a trace until its local root, which ends last, has
// come: a trace may be spread over several batches.
type trees struct {
	options func() tree.Options
	now     func() time.Time

	held  []heldTrace // oldest first
	spans int         // in held
	// printed are the traces whose late spans wait for nobody.
	printed map[trace.TraceID]struct{}
}

type heldTrace struct {
	id    trace.TraceID
	since time.Time
	spans []sdktrace.ReadOnlySpan
	ready bool
}

func newTrees(options func() tree.Options) *trees {
	return &trees{options: options, now: time.Now, printed: map[trace.TraceID]struct{}{}}
}

func (t *trees) text(_ context.Context, spans []sdktrace.ReadOnlySpan) ([]byte, error) {
	index := make(map[trace.TraceID]int, len(t.held))
	for i := range t.held {
		index[t.held[i].id] = i
	}
	now := t.now()
	for _, s := range spans {
		id := s.SpanContext().TraceID()
		i, ok := index[id]
		if !ok {
			i = len(t.held)
			index[id] = i
			_, late := t.printed[id]
			t.held = append(t.held, heldTrace{id: id, since: now, ready: late})
		}
		h := &t.held[i]
		h.spans = append(h.spans, s)
		h.ready = h.ready || isLocalRoot(s)
	}
	t.spans += len(spans)
	return t.print(func(h *heldTrace) bool {
		return h.ready || t.spans > maxHeldSpans || now.Sub(h.since) >= maxHeldTime
	}), nil
}

func (t *trees) rest() []byte {
	return t.print(func(*heldTrace) bool { return true })
}

// print takes the traces out that are due.
func (t *trees) print(due func(*heldTrace) bool) []byte {
	var ready []sdktrace.ReadOnlySpan
	t.held = slices.DeleteFunc(t.held, func(h heldTrace) bool {
		if !due(&h) {
			return false
		}
		ready = append(ready, h.spans...)
		t.spans -= len(h.spans)
		if len(t.printed) >= maxPrinted {
			clear(t.printed)
		}
		t.printed[h.id] = struct{}{}
		return true
	})
	if len(ready) == 0 {
		return nil
	}
	var b bytes.Buffer
	_ = tree.Write(&b, ready, t.options()) // a buffer takes everything
	b.WriteByte('\n')
	return b.Bytes()
}

func isLocalRoot(s sdktrace.ReadOnlySpan) bool {
	return !s.Parent().SpanID().IsValid() || s.Parent().IsRemote()
}
