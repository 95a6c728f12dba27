//go:build linux

package rivals

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	_ "github.com/riffletrace/riffle/exporters/standard"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

var (
	serverAttributes = []attribute.KeyValue{
		attribute.String("http.request.method", "GET"),
		attribute.String("http.route", "/users/{id}"),
		attribute.String("url.scheme", "https"),
		attribute.String("url.path", "/users/4711"),
		attribute.String("server.address", "api.example.com"),
		attribute.Int("server.port", 443),
		attribute.String("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0)"),
	}
	statusAttribute = attribute.Int("http.response.status_code", 200) // the eighth, known at the end
	queryAttributes = []attribute.KeyValue{
		attribute.String("db.system.name", "postgresql"),
		attribute.String("db.namespace", "app"),
		attribute.String("db.operation.name", "SELECT"),
		attribute.String("db.collection.name", "users"),
		attribute.String("server.address", "db.example.com"),
		attribute.Int("server.port", 5432),
	}
)

const (
	serverName = "GET /users/{id}"
	queryName  = "SELECT users"
	scope      = "github.com/riffletrace/riffle/bench/rivals"
)

// otelTrace makes a trace, with the calls that both stock SDK and riffle take.
func otelTrace(ctx context.Context, tracer trace.Tracer) {
	ctx, server := tracer.Start(ctx, serverName, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(serverAttributes...))
	_, query := tracer.Start(ctx, queryName, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(queryAttributes...))
	query.End()
	server.SetAttributes(statusAttribute)
	server.End()
}

// serviceName is what every tracer says of the service.
const serviceName = "users"

func stock(tb testing.TB, address string, rate float64) *tracer {
	tb.Helper()
	exporter, err := otlptracehttp.New(tb.Context(), otlptracehttp.WithEndpoint(address), otlptracehttp.WithInsecure(),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	must(tb, err)
	sampler := sdktrace.AlwaysSample()
	if rate < 1 {
		sampler = sdktrace.ParentBased(sdktrace.TraceIDRatioBased(rate))
	}
	p := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sampler),
		// It would drop what comes faster than it sends.
		sdktrace.WithBatcher(exporter, sdktrace.WithBlocking()),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", serviceName))),
	)
	var mu sync.Mutex
	var failed error
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failed = errors.Join(failed, err)
	}))
	t := p.Tracer(scope)
	return &tracer{
		trace: func(ctx context.Context) { otelTrace(ctx, t) },
		flush: p.ForceFlush,
		stop: func(ctx context.Context) error {
			err := p.Shutdown(ctx)
			mu.Lock()
			defer mu.Unlock()
			return errors.Join(err, failed)
		},
	}
}

const (
	exporterEntry = `
    exporters:
      - {type: otlp, endpoint: "%s", protocol: http/protobuf, compression: gzip}
`
	headSamplers = `
    samplers:
      - {type: ratio, rate: %v}
`
	tailSamplers = `
    samplers:
      - {type: error}
      - {type: slow, threshold: 250ms}
      - {type: ratio, rate: %v}
`
)

// riffleWith returns what starts riffle with samplers.
func riffleWith(samplers string) func(testing.TB, string, float64) *tracer {
	return func(tb testing.TB, address string, rate float64) *tracer {
		tb.Helper()
		text := "observability:\n  tracing:\n    enabled: true\n    service_name: " + serviceName +
			fmt.Sprintf(samplers, rate) + fmt.Sprintf(exporterEntry, address)
		spec, err := config.Parse([]byte(text), config.Environ(nil))
		must(tb, err)
		p, err := core.New(tb.Context(), spec, core.Logger(slog.New(slog.DiscardHandler)))
		must(tb, err)
		t := p.TracerProvider().Tracer(scope)
		return &tracer{
			trace: func(ctx context.Context) { otelTrace(ctx, t) },
			flush: p.ForceFlush,
			stop: func(ctx context.Context) error {
				err := p.Shutdown(ctx)
				for _, e := range p.Stats().Exporters {
					if e.Sent != e.HandedOver {
						err = errors.Join(err, fmt.Errorf("%d of %d spans were sent: %+v", e.Sent, e.HandedOver, e.Dropped))
					}
				}
				return err
			},
		}
	}
}
