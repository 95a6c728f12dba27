//go:build unix

package delivery_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/delivery"
)

// away is a backend that is not there until it is opened.
type away struct {
	discarding
	open atomic.Bool
}

func (*away) Traits() delivery.Traits { return delivery.Traits{Compression: delivery.Gzip} }

func (a *away) ExportRequest(context.Context, delivery.Request) (delivery.Response, error) {
	if a.open.Load() {
		return delivery.Response{}, nil
	}
	return delivery.Response{}, errAway
}

// cpu is the time that the process has spent.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The CPU time of a span from being handed over to being sent, with a backend
// that is there, and with one that is away until everything is stored. The goal: a
// disk takes at most 1.5 times what memory does. There is no network in either.
func BenchmarkQueue(b *testing.B) {
	spans := make([]sdktrace.ReadOnlySpan, 4096)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range spans {
		var id trace.TraceID
		for j := range id {
			id[j] = byte(r.Uint32())
		}
		attrs := make([]attribute.KeyValue, 8)
		for j := range attrs {
			attrs[j] = attribute.String(fmt.Sprint("http.request.attribute.", j), fmt.Sprint("value ", r.IntN(1000)))
		}
		spans[i] = tracetest.SpanStub{
			Name: "GET /products/{id}", SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID(id[:8])}),
			StartTime: time.Unix(1700000000, r.Int64N(1e9)), EndTime: time.Unix(1700000001, r.Int64N(1e9)), Attributes: attrs,
			Events: []sdktrace.Event{{Name: "cache miss", Time: time.Unix(1700000001, 0), Attributes: attrs[:1]}},
		}.Snapshot()
	}
	for _, state := range []string{"there", "away"} {
		for _, fsync := range []delivery.Fsync{"", "1s", delivery.FsyncAlways, delivery.FsyncNever} {
			name := fmt.Sprintf("backend=%s/queue=disk/fsync=%s", state, fsync)
			if fsync == "" {
				name = fmt.Sprintf("backend=%s/queue=memory", state)
			}
			b.Run(name, func(b *testing.B) {
				c := delivery.Defaults()
				c.Queue.MaxBytes = 1 << 30
				if fsync != "" {
					c.Queue.Storage, c.Queue.Dir, c.Queue.Fsync = delivery.StorageDisk, b.TempDir(), fsync
				}
				back := &away{}
				back.open.Store(state == "there")
				f := &delivery.Lines{}
				l := f.Add(back, c, delivery.Settings{})
				defer l.Shutdown(context.WithoutCancel(b.Context()))
				drain := func() {
					back.open.Store(true)
					_ = l.ForceFlush(b.Context())
					until(b, "sent", func() bool { return l.Stats().Waiting == 0 })
				}
				before := cpu(b)
				n := 0
				for b.Loop() {
					for l.Stats().Waiting > 20_000 && state == "there" {
						time.Sleep(time.Millisecond)
					}
					f.HandOver(spans...)
					n += len(spans)
					for state == "away" && fsync != "" && int(l.Stats().Stored) < n-20_000 {
						time.Sleep(20 * time.Millisecond)
					}
					if state == "away" && fsync == "" && n%(100*len(spans)) == 0 {
						drain() // before memory is full
						back.open.Store(false)
					}
				}
				drain()
				if s := l.Stats(); s.Lost > 0 {
					b.Errorf("%+v", s)
				}
				b.ReportMetric(float64(cpu(b)-before)/float64(n), "cpu-ns/span")
			})
		}
	}
}
