package delivery_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery"
)

// held is a span that takes long to encode.
type held struct {
	sdktrace.ReadOnlySpan
	until chan struct{}
}

func (held) MemorySize() int64 { return 100 }

func (h held) Attributes() []attribute.KeyValue {
	<-h.until
	return h.ReadOnlySpan.Attributes()
}

// A flush of a line that has left waits for what its batcher still has to process.
func TestForceFlushOfALineThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{}
		f, l := one(t, b, &journal{}, nil)
		until := make(chan struct{})
		for _, s := range spans(0, 10, 0) {
			f.HandOver(held{s, until})
		}
		f.Change(nil, []*delivery.Line{l})
		var flushed atomic.Bool
		go func() {
			if err := l.ForceFlush(context.Background()); err != nil {
				t.Error(err)
			}
			flushed.Store(true)
		}()
		synctest.Wait()
		if flushed.Load() {
			t.Error("the flush has ended before the spans are a batch")
		}
		close(until)
		synctest.Wait()
		if n := l.Stats().Sent; n != 10 || !flushed.Load() {
			t.Errorf("%d spans are sent, want 10; flushed: %v", n, flushed.Load())
		}
		if err := l.ForceFlush(context.Background()); err != nil { // nothing is left
			t.Error(err)
		}
	})
}
