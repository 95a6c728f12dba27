//go:build unix

package otlp_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/otlp"
)

// What a span costs, from being handed over to its bytes on the wire, in CPU
// time of this process; the receiver is another. The goals: at most a quarter of
// what BatchSpanProcessor and otlptracehttp need with gzip, a third of what it
// needs with otlptracegrpc. An operation is a span.
func BenchmarkDeliver(b *testing.B) {
	spans := serviceSpans(b, 4096)
	for _, protocol := range []otlp.Protocol{otlp.HTTP, otlp.GRPC} {
		for _, compression := range []delivery.Compression{delivery.None, delivery.Gzip, delivery.Zstd} {
			name := func(impl string, batch int) string {
				return fmt.Sprintf("protocol=%s/compression=%s/impl=%s/batch=%d", strings.TrimSuffix(string(protocol), "/protobuf"), compression, impl, batch)
			}
			if protocol == otlp.GRPC && compression == delivery.Zstd {
				continue // the receiver does not know it
			}
			for _, batch := range []int{512, 2048} {
				b.Run(name("riffle", batch), func(b *testing.B) { benchRiffle(b, protocol, compression, batch, spans) })
			}
			if compression != delivery.Zstd {
				b.Run(name("sdk", 512), func(b *testing.B) { benchSDK(b, protocol, compression, spans) })
			}
		}
	}
}

// flushEvery is how many spans are under way at most, in both.
const flushEvery = 8192

func benchRiffle(b *testing.B, protocol otlp.Protocol, compression delivery.Compression, batch int, spans []sdktrace.ReadOnlySpan) {
	e := build(b, otlp.Config{Endpoint: process(b, protocol), Protocol: protocol, Compression: compression})
	c := delivery.Defaults()
	c.Batch.MaxSpans = batch
	f := &delivery.Lines{}
	l := f.Add(e, c, delivery.Settings{})
	measure(b, func(n int) {
		for i := range n {
			f.HandOver(spans[i%len(spans)])
			if i%flushEvery == 0 {
				must(b, l.ForceFlush(b.Context()))
			}
		}
		must(b, l.ForceFlush(b.Context()))
	})
	if s := l.Stats(); s.Sent != s.HandedOver {
		b.Fatalf("not all spans were sent: %+v", s)
	}
	must(b, l.Shutdown(context.WithoutCancel(b.Context())))
}

func benchSDK(b *testing.B, protocol otlp.Protocol, compression delivery.Compression, spans []sdktrace.ReadOnlySpan) {
	address := process(b, protocol)
	var e sdktrace.SpanExporter
	var err error
	if protocol == otlp.HTTP {
		opts := []otlptracehttp.Option{otlptracehttp.WithEndpoint(address), otlptracehttp.WithInsecure()}
		if compression == delivery.Gzip {
			opts = append(opts, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
		}
		e, err = otlptracehttp.New(b.Context(), opts...)
	} else {
		opts := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(address), otlptracegrpc.WithInsecure()}
		if compression == delivery.Gzip {
			opts = append(opts, otlptracegrpc.WithCompressor("gzip"))
		}
		e, err = otlptracegrpc.New(b.Context(), opts...)
	}
	must(b, err)
	p := sdktrace.NewBatchSpanProcessor(e, sdktrace.WithBlocking()) // else it drops
	measure(b, func(n int) {
		for i := range n {
			p.OnEnd(spans[i%len(spans)])
			if i%flushEvery == 0 {
				must(b, p.ForceFlush(b.Context()))
			}
		}
		must(b, p.ForceFlush(b.Context()))
	})
	must(b, p.Shutdown(context.WithoutCancel(b.Context())))
}

// measure runs f for b.N spans and reports the CPU time of the process.
func measure(b *testing.B, f func(n int)) {
	f(flushEvery) // connects, and fills pools
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	f(b.N)
	b.StopTimer()
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
}

// cpu is the CPU time that the process has used.
func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// process starts a receiver as a process and returns its address.
func process(b *testing.B, protocol otlp.Protocol) string {
	b.Helper()
	self, err := os.Executable()
	must(b, err)
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), self)
	cmd.Env = append(os.Environ(), receiverVariable+"="+string(protocol))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(b, err)
	out, err := cmd.StdoutPipe()
	must(b, err)
	must(b, cmd.Start())
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // it says that its listener is closed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	must(b, err)
	return strings.TrimSpace(line)
}

// serviceSpans are what a service makes: with 8 attributes and one event each,
// in traces of 8 spans.
func serviceSpans(tb testing.TB, n int) []sdktrace.ReadOnlySpan {
	tb.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(recorder),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "fluxbase"),
			attribute.String("deployment.environment.name", "production"),
		)),
	)
	scopes := []string{"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", "example.com/fluxbase/internal/checkout"}
	for i := range n {
		parent := trace.ContextWithSpanContext(tb.Context(), traceOf(i/8))
		_, span := provider.Tracer(scopes[i%len(scopes)], trace.WithInstrumentationVersion("0.72.0")).
			Start(parent, "POST /api/v1/tables/{table}", trace.WithSpanKind(trace.SpanKindServer))
		span.SetAttributes(
			attribute.String("http.request.method", "POST"),
			attribute.String("http.route", "/api/v1/tables/{table}"),
			attribute.String("server.Address", "api.fluxbase.example.com"),
			attribute.String("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0)"),
			attribute.Int("http.response.status_code", 200),
			attribute.Int("http.response.body.size", 18_304+i),
			attribute.Float64("fluxbase.quota.used", float64(i)/float64(n)),
			attribute.Bool("fluxbase.cache.hit", i%3 == 0),
		)
		span.AddEvent("rows fetched", trace.WithAttributes(attribute.Int("db.rows", i)))
		span.SetStatus(codes.Ok, "")
		span.End()
	}
	return recorder.Ended()
}

// traceOf is a remote parent, that spans share.
func traceOf(i int) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 14: byte(i >> 8), 15: byte(i)}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled, Remote: true,
	})
}
