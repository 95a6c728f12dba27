package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery"
)

// Handing a span over, by everybody at once: with a backend that takes
// everything, and with one that is dead while the queue is full. The goal: p99 of
// the latter is at most twice that of the former. The SDK's processor, which
// drops past 2,048 spans, is there to compare.
func BenchmarkHandOver(b *testing.B) {
	s := span("POST /api/v1/tables/{table}", 0)
	for range 8 {
		s = with(s, attribute.String("server.address", "api.fluxbase.example.com"))
	}
	for _, when := range []delivery.WhenFull{delivery.DropNewest, delivery.DropOldest} {
		for _, state := range []string{"idle", "full"} {
			b.Run(fmt.Sprintf("impl=riffle/when_full=%s/state=%s", when, state), func(b *testing.B) {
				back := &discarding{}
				if state == "full" {
					back.err = errAway
				}
				c := delivery.Defaults()
				c.Queue = delivery.QueueConfig{MaxBytes: 4 << 20, WhenFull: when}
				f := &delivery.Lines{}
				l := f.Add(back, c, delivery.Settings{})
				defer l.Shutdown(context.WithoutCancel(b.Context()))
				for state == "full" && l.Stats().Dropped.QueueFull == 0 {
					f.HandOver(s)
				}
				handOver(b, func() { f.HandOver(s) })
			})
		}
	}
	b.Run("impl=sdk/state=idle", func(b *testing.B) {
		p := sdktrace.NewBatchSpanProcessor(&discarding{})
		defer p.Shutdown(context.WithoutCancel(b.Context()))
		handOver(b, func() { p.OnEnd(s) })
	})
}

// handOver calls f in parallel, with a little work in between, as programs do.
func handOver(b *testing.B, f func()) {
	b.ReportAllocs()
	var mu sync.Mutex
	var all []time.Duration
	b.RunParallel(func(pb *testing.PB) {
		took := make([]time.Duration, 0, 1<<16)
		for pb.Next() {
			began := time.Now()
			f()
			end := time.Now()
			if len(took) < cap(took) {
				took = append(took, end.Sub(began))
			}
			for time.Since(end) < time.Microsecond {
			}
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, took...)
	})
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2]), "p50-ns")
	b.ReportMetric(float64(all[len(all)*99/100]), "p99-ns")
}

// discarding accepts, or fails, without looking.
type discarding struct{ err error }

func (discarding) Traits() delivery.Traits { return delivery.Traits{Compression: delivery.Gzip} }
func (d *discarding) ExportRequest(context.Context, delivery.Request) (delivery.Response, error) {
	return delivery.Response{}, d.err
}
func (d *discarding) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return d.err }
func (*discarding) Shutdown(context.Context) error                               { return nil }

type withAttributes struct {
	sdktrace.ReadOnlySpan
	attrs []attribute.KeyValue
}

func (s withAttributes) Attributes() []attribute.KeyValue { return s.attrs }

func with(s sdktrace.ReadOnlySpan, kv attribute.KeyValue) sdktrace.ReadOnlySpan {
	return withAttributes{s, append(slices.Clone(s.Attributes()), kv)}
}
