package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/match"
)

// Nobody waits for a line that has shut down.
func TestFlushAfterShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, l := one(t, dead(), &journal{}, nil)
		f.HandOver(spans(0, 10, 0)...)
		beside := make(chan error)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		go func() { beside <- l.ForceFlush(ctx) }()
		synctest.Wait()
		if err := l.Shutdown(t.Context()); err == nil {
			t.Error("Shutdown leaves spans behind, and does not say so")
		}
		if err := <-beside; err == nil {
			t.Error("the flush beside it says nothing of what it left")
		}
		_ = l.ForceFlush(t.Context()) // returns
	})
}

// A span that is never taken ends no wait for others.
func TestShutdownBesideASuspect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{respond: func(_ context.Context, names []string) (delivery.Response, error) {
			time.Sleep(5 * time.Millisecond)
			if slices.ContainsFunc(names, isBad) {
				return delivery.Response{}, errAway
			}
			return delivery.Response{}, nil
		}}
		f, l := one(t, b, &journal{}, func(c *delivery.Config) { c.Batch.MaxSpans = 100 })
		f.HandOver(span("bad", 0))
		time.Sleep(2 * time.Second) // it is a batch of its own
		for i := range 20 {
			f.HandOver(span(fmt.Sprint(i), 0))
			time.Sleep(time.Second)
		}
		f.HandOver(spans(20, 20_000, 0)...)
		err := l.Shutdown(t.Context()) // without a deadline
		if s := l.Stats(); s.Sent != 20_000 || s.Dropped.LeftBehind != 1 {
			t.Errorf("%v: %+v", err, s)
		}
	})
}

// An exporter that makes something else of the end of its context loses nothing by it.
func TestCanceledIsNotRefused(t *testing.T) {
	dir := t.TempDir()
	b := &backend{respond: func(ctx context.Context, _ []string) (delivery.Response, error) {
		<-ctx.Done()
		return delivery.Response{}, errors.New("rpc error: code = Canceled")
	}}
	f, l := one(t, plain{b}, &journal{}, onDisk(dir))
	f.HandOver(spans(0, 100, 0)...)
	until(t, "stored", func() bool { return l.Stats().Stored == 100 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_ = l.Shutdown(ctx)
	if s := l.Stats(); s.Lost != 0 || s.Waiting != 100 {
		t.Errorf("%+v", s)
	}
}

// A file that cannot be read for now does not make a shutdown wait for it.
func TestShutdownWithAFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	f, l := one(t, dead(), &journal{}, onDisk(dir))
	f.HandOver(spans(0, 10, 0)...)
	until(t, "stored", func() bool { return l.Stats().Stored == 10 })
	shutDown(t, l)
	file := batches(t, dir)[0]
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	b := &backend{}
	f, l = one(t, b, &journal{}, onDisk(dir))
	f.HandOver(spans(10, 20, 0)...)
	until(t, "the others are sent", func() bool { return l.Stats().Sent == 10 })
	if err := l.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// Metrics can be collected at any time, also while lines come and go.
func TestMetricsWhileLinesStart(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			var got metricdata.ResourceMetrics
			_ = reader.Collect(context.Background(), &got)
		}
	}()
	for range 50 {
		f := &delivery.Lines{}
		l := f.Add(&backend{}, delivery.Defaults(), delivery.Settings{Name: "a", MeterProvider: provider})
		f.HandOver(span("0", 0))
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	<-done
	// What the lines have sent, one after the other, adds up.
	var got metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	for _, m := range got.ScopeMetrics[0].Metrics {
		sum, ok := m.Data.(metricdata.Sum[int64])
		if !ok || m.Name != "otel.sdk.exporter.span.exported" {
			continue
		}
		for _, p := range sum.DataPoints {
			if cause(p.Attributes) == "" && p.Value != 50 {
				t.Errorf("%d spans are exported, want 50", p.Value)
			}
		}
	}
}

// childSpan is one below another of the process.
func childSpan(name string) sdktrace.ReadOnlySpan {
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 2}, TraceFlags: trace.FlagsSampled})
	return tracetest.SpanStub{Name: name, SpanContext: sc, Parent: sc.WithSpanID(trace.SpanID{7: 1}), StartTime: time.Unix(1, 0), EndTime: time.Unix(2, 0)}.Snapshot()
}

// A line that comes later gets nothing that was handed over before, also where spans
// wait for their trace to match.
func TestLateLineOfATraceFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := delivery.Defaults()
		c.Filter = &delivery.Filter{Of: delivery.FilterTraces, Match: &match.Config{Name: "last"}}
		f := &delivery.Lines{}
		early, late := &backend{}, &backend{}
		var lines []*delivery.Line
		lines = append(lines, f.Add(early, c, delivery.Settings{}))
		f.HandOver(childSpan("first"))
		_ = lines[0].ForceFlush(t.Context()) // now it waits for its trace to match
		lines = append(lines, f.Add(late, c, delivery.Settings{}))
		f.HandOver(span("last", 0))
		time.Sleep(2 * time.Second)
		for i, l := range lines {
			if err := l.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			accounted(t, l, []*backend{early, late}[i])
			if s := l.Stats(); s.HandedOver != uint64(2-i) || s.Sent != uint64(2-i) || s.Waiting != 0 {
				t.Errorf("line %d: %+v", i, s)
			}
		}
	})
}
