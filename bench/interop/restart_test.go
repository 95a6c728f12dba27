package interop

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/bench/internal/process"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
)

// TestInteropRestart stops Jaeger in the middle and starts it again. It must
// say once that nothing listens there, deliver again as soon as it can, and
// know of each span what became of it.
func TestInteropRestart(t *testing.T) {
	needsBackends(t)
	for protocol, key := range map[string]string{"gRPC": "grpc", "HTTP": "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			backend := startJaeger(t, security{})
			address := backend.address(key[:4])
			spec, err := config.Parse(fmt.Appendf(nil, `
observability:
  tracing:
    enabled: true
    service_name: %s
    resource: {%s: restart}
    exporters:
      - {type: otlp, endpoint: "%s", protocol: %s, timeout: 2s}
`, serviceName, caseKey, address, key), config.Environ(nil))
			if err != nil {
				t.Fatal(err)
			}
			log := &failures{}
			provider, err := core.New(t.Context(), spec, core.Logger(slog.New(log)))
			if err != nil {
				t.Fatal(err)
			}
			ctx := context.WithoutCancel(t.Context())
			defer provider.Shutdown(ctx)
			tracer := provider.TracerProvider().Tracer(scope)
			var made int
			send := func(name string) {
				_, span := tracer.Start(ctx, name, trace.WithNewRoot())
				span.End()
				made++
			}
			arrive := func(name string) {
				t.Helper()
				err := process.Poll(func() error {
					send(name)                   // again: not all that are sent too early arrive
					_ = provider.ForceFlush(ctx) // its error is that of one attempt
					spans, err := backend.spans("restart")
					if err == nil && !slices.ContainsFunc(spans, func(s span) bool { return s.Name == name }) {
						err = fmt.Errorf("%s has not arrived", name)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}

			arrive("before")
			before, err := backend.spans("restart")
			if err != nil {
				t.Fatal(err)
			}

			backend.Kill()
			send("meanwhile")
			err = process.Poll(func() error {
				flush, cancel := context.WithTimeout(ctx, process.MaxWait/10)
				defer cancel()
				_ = provider.ForceFlush(flush) // it fails, and the log says why
				if got, want := log.all(), address+" refused the connection: nothing listens there"; !slices.Equal(got, []string{want}) {
					return fmt.Errorf("the log says %q, want %q", got, want)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}

			if err := backend.start(t, security{}); err != nil {
				t.Fatal(err)
			}
			arrive("after")
			if err := provider.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			after, err := backend.spans("restart")
			if err != nil {
				t.Fatal(err)
			}
			stats := provider.Stats().Exporters[0]
			if lost := made - len(before) - len(after); lost != int(stats.Lost) || stats.Sent+stats.Lost != uint64(made) {
				t.Errorf("%d of %d spans are missing; riffle counts %d sent and %d failed", lost, made, stats.Sent, stats.Lost)
			}
		})
	}
}
