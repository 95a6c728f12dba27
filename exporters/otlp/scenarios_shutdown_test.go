package otlp_test

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// checkSays checks that an error tells how many spans did not arrive.
func checkSays(t testing.TB, err error, lost int) {
	t.Helper()
	if err == nil || !regexp.MustCompile(`\b`+strconv.Itoa(lost)+`\b`).MatchString(err.Error()) {
		t.Errorf("the error does not say that %d spans are lost: %v", lost, err)
	}
}

// blocked is an exporter of the SDK's kind that waits for nothing but a channel in
// one of its methods.
type blocked struct {
	export, shutdown, released chan struct{}
}

func newBlocked(t testing.TB, exports, shuts bool) sdktrace.SpanExporter {
	open := make(chan struct{})
	close(open)
	b := &blocked{export: open, shutdown: open, released: make(chan struct{})}
	if exports {
		b.export = b.released
	}
	if shuts {
		b.shutdown = b.released
	}
	t.Cleanup(func() { close(b.released) })
	return b
}

func (b *blocked) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	<-b.export
	return nil
}

func (b *blocked) Shutdown(context.Context) error {
	<-b.shutdown
	return nil
}

// Shutdown returns when its context is done, at most 250 ms later, and says what
// hangs.
func TestShutdownIsBounded(t *testing.T) {
	const spans, timeout, grace = 37, 500 * time.Millisecond, 250 * time.Millisecond
	judged := func(protocol otlp.Protocol, v verdict) func(testing.TB) sdktrace.SpanExporter {
		return func(t testing.TB) sdktrace.SpanExporter {
			return newExporter(t, protocol, startReceiver(t, protocol, func([]string) verdict { return v }).address)
		}
	}
	busy := verdict{status: http.StatusServiceUnavailable, retryAfter: time.Hour, message: "come back later"}
	tests := []struct {
		name    string
		build   func(testing.TB) sdktrace.SpanExporter
		backoff time.Duration
		lost    int
		says    string
	}{
		{"the backend hangs/http", judged(otlp.HTTP, verdict{hang: true}), 0, spans, `(?i)deadline|time|hang|answer|respon`},
		{"the backend hangs/grpc", judged(otlp.GRPC, verdict{hang: true}), 0, spans, `(?i)deadline|time|hang|answer|respon`},
		{"the connection hangs", func(t testing.TB) sdktrace.SpanExporter { return newExporter(t, otlp.HTTP, otlptest.Silent(t)) }, 0, spans, `(?i)deadline|time|hang|answer|respon`},
		{"the backend asked for an hour/http", judged(otlp.HTTP, busy), 0, spans, `come back later`},
		{"the backend asked for an hour/grpc", judged(otlp.GRPC, busy), 0, spans, `come back later`},
		{"it backs off for 30 s", func(t testing.TB) sdktrace.SpanExporter { return newExporter(t, otlp.HTTP, otlptest.Dead(t)) }, 30 * time.Second, spans, `refused the connection`},
		{"the exporter hangs", func(t testing.TB) sdktrace.SpanExporter { return newBlocked(t, true, false) }, 0, spans, `(?i)ignores its context|hangs|not returned`},
		{"the exporter's Shutdown hangs", func(t testing.TB) sdktrace.SpanExporter { return newBlocked(t, false, true) }, 0, 0, `(?i)ignores its context|hangs|not returned`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// What a busy machine adds is not there three times in a row.
			var took time.Duration
			for range 3 {
				l := startLine(t, tt.build(t), func(c *delivery.Config) {
					c.Send = delivery.Defaults().Send
					c.Batch.MaxAge = component.Duration(10 * time.Millisecond)
					if tt.backoff > 0 {
						c.Send.Backoff = delivery.Backoff{Initial: component.Duration(tt.backoff), Max: component.Duration(tt.backoff)}
					}
				})
				l.handOver(numbered(0, spans)...)
				eventually(time.Second, func() bool { return l.Stats().Attempts > 0 })
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				began := time.Now()
				err := l.Shutdown(ctx)
				took = time.Since(began)
				cancel()
				if err == nil || !regexp.MustCompile(tt.says).MatchString(err.Error()) {
					t.Errorf("the error does not say what hangs (%s): %v", tt.says, err)
				}
				if tt.lost > 0 {
					checkSays(t, err, tt.lost)
				}
				if took <= timeout+grace {
					return
				}
			}
			t.Errorf("Shutdown with a deadline of %v took %v", timeout, took)
		})
	}
}

// A provider's Shutdown is as quick as its lines', and says which of them hangs; the
// others send what they have.
func TestProviderShutdownIsBounded(t *testing.T) {
	const spans, timeout, grace = 23, 500 * time.Millisecond, 250 * time.Millisecond
	works := startReceiver(t, otlp.HTTP, nil)
	hangs := startReceiver(t, otlp.GRPC, func([]string) verdict { return verdict{hang: true} })
	var took time.Duration
	for range 3 { // what a busy machine adds is not there each time
		before := works.asked()
		p, err := core.New(t.Context(), core.Spec{Enabled: true, Exporters: []core.ExporterEntry{
			core.UseExporter(otlp.Factory, "works", otlp.Config{Endpoint: works.address, Protocol: otlp.HTTP}),
			core.UseExporter(otlp.Factory, "hangs", otlp.Config{Endpoint: hangs.address, Protocol: otlp.GRPC}),
		}}, core.Logger(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		for i := range spans {
			_, span := p.TracerProvider().Tracer("test").Start(t.Context(), strconv.Itoa(i))
			span.End()
		}
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		began := time.Now()
		err = p.Shutdown(ctx)
		took = time.Since(began)
		cancel()
		checkSays(t, err, spans)
		if err == nil || !strings.Contains(err.Error(), `"hangs"`) || strings.Contains(err.Error(), `"works"`) {
			t.Errorf("the error does not say which exporter hangs: %v", err)
		}
		if works.asked() == before || works.distinct() != spans {
			t.Errorf("%d of %d spans arrived where the backend works", works.distinct(), spans)
		}
		if took <= timeout+grace {
			return
		}
	}
	t.Errorf("Shutdown with a deadline of %v took %v", timeout, took)
}

// The counters of what a shutdown lost can be read after it.
func TestMetricsSurviveShutdown(t *testing.T) {
	r := startReceiver(t, otlp.HTTP, func(names []string) verdict {
		if names[0] == "lost" {
			return verdict{status: http.StatusServiceUnavailable, message: "away"}
		}
		return verdict{}
	})
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	t.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(t.Context())) })
	backend := component.Use(otlp.Factory, "backend", otlp.Config{Endpoint: r.address, Protocol: otlp.HTTP})
	p, err := core.New(t.Context(), core.Spec{Enabled: true, Exporters: []core.ExporterEntry{{Plan: backend}}}, core.MeterProvider(provider), core.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	record := func(name string, n int) {
		for range n {
			_, span := p.TracerProvider().Tracer("test").Start(t.Context(), name)
			span.End()
		}
	}
	record("sent", 11)
	if err := p.ForceFlush(t.Context()); err != nil {
		t.Error(err)
	}
	record("lost", 7)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	checkSays(t, p.Shutdown(ctx), 7)

	var got metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	exported := make(map[string]int64) // by error.type
	for _, scope := range got.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok || m.Name != "otel.sdk.exporter.span.exported" {
				continue
			}
			for _, point := range sum.DataPoints {
				cause, _ := point.Attributes.Value("error.type")
				if point.Value > 0 {
					exported[cause.AsString()] += point.Value
				}
			}
		}
	}
	if want := map[string]int64{"": 11, "left_behind": 7}; !maps.Equal(exported, want) {
		t.Errorf("after Shutdown the metrics count %v, want %v", exported, want)
	}
}
