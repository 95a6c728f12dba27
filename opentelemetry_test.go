package riffle_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// A service that is configured by an OpenTelemetry file alone delivers every error,
// also below callers that did not sample the trace, and nothing else at a ratio of 0.
func TestOpenTelemetryFile(t *testing.T) {
	restored := globals(t)
	receiver := otlptest.HTTP(t, nil, "/in/traces")
	file := filepath.Join(t.TempDir(), "otel.yaml")
	text := `file_format: "1.1"
resource:
  attributes: [{name: service.name, value: checkout}]
propagator: {composite: [{tracecontext: }]}
tracer_provider:
  processors:
    - batch:
        schedule_delay: 50
        exporter:
          otlp_http:
            endpoint: http://${RECEIVER}/in/traces
            headers: [{name: x-team, value: "1"}]
  sampler:
    parent_based:
      root: {trace_id_ratio_based: {ratio: 0}}
distribution:
  riffle:
    samplers:
      - type: error
      - {type: slow, threshold: 10s}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RECEIVER", receiver.Address)
	t.Setenv("OTEL_CONFIG_FILE", file)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-other=2")
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
	t.Setenv("OTEL_SDK_DISABLED", "true")
	tracing, err := riffle.Start(t.Context(), "", riffle.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	tracer := otel.Tracer("test")
	for i := range 400 {
		ctx := context.Background()
		if i%2 == 1 { // below a caller that has left the trace out
			ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{0: 1, 15: byte(i), 14: byte(i >> 8)}, SpanID: trace.SpanID{1}, Remote: true,
			}))
		}
		ctx, root := tracer.Start(ctx, fmt.Sprint("root ", i))
		_, child := tracer.Start(ctx, fmt.Sprint("child ", i))
		if i%10 < 2 {
			child.SetStatus(codes.Error, "failed")
			want = append(want, fmt.Sprint("root ", i), fmt.Sprint("child ", i))
		}
		child.End()
		root.End()
	}
	if err := tracing.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	restored()
	var got []string
	for _, r := range receiver.Requests() {
		got = append(got, r.Spans...)
		if r.Headers.Get("X-Team") != "1" || r.Headers.Get("X-Other") != "" || r.Encoding != "" {
			t.Errorf("a request has the headers %v", r.Headers)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d spans were received, want %d: every error and nothing else", len(got), len(want))
	}
}
