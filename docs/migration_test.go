package docs

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/riffletrace/riffle"
)

// This is how a service sets up the SDK, as docs/coming-from-the-sdk.md shows it.
func setUpTracing(ctx context.Context) (shutdown func(context.Context) error, err error) {
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(os.Getenv("COLLECTOR")))
	if err != nil {
		return nil, err
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.01))),
		sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName("checkout"))),
	)
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	return provider.Shutdown, nil
}

// And so it does with riffle.
func setUpRiffle(ctx context.Context) (shutdown func(context.Context) error, err error) {
	tracing, err := riffle.Start(ctx, "tracing.yaml")
	if err != nil {
		return nil, err
	}
	return tracing.Shutdown, nil
}

// With a file of OpenTelemetry's, as docs/coming-from-otelconf.md shows it.
func setUpFromFile(ctx context.Context) (shutdown func(context.Context) error, err error) {
	tracing, err := riffle.Start(ctx, "otel.yaml")
	if err != nil {
		return nil, err
	}
	return tracing.Shutdown, nil
}

// What the pages show sends the same trace with the SDK and with riffle.
func TestMigrations(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer server.Close()
	t.Setenv("COLLECTOR", server.URL+"/v1/traces")
	for _, tt := range []struct {
		page, file string
		setUp      func(context.Context) (func(context.Context) error, error)
	}{
		{"", "nothing", setUpTracing},
		{"docs/coming-from-the-sdk.md", "tracing.yaml", setUpRiffle},
		{"docs/coming-from-otelconf.md", "otel.yaml", setUpFromFile},
	} {
		t.Run(tt.file, func(t *testing.T) {
			dir := t.TempDir()
			if tt.page != "" {
				// Every trace, so that one will do.
				text := strings.NewReplacer("rate: 0.01", "rate: 1", "ratio: 0.01", "ratio: 1").Replace(firstBlock(t, tt.page, "yaml"))
				writeFile(t, dir, tt.file, text)
			}
			before := requests.Load()
			t.Chdir(dir)
			shutdown, err := tt.setUp(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for range 1000 { // the SDK's ratio is a hundredth
				_, span := otel.Tracer("test").Start(t.Context(), "x")
				span.End()
			}
			if err := shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			if requests.Load() == before {
				t.Error("nothing was sent")
			}
		})
	}
}
