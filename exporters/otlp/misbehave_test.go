package otlp_test

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/internal/otlptest"
)

func TestMisbehavingReceiver(t *testing.T) {
	for _, m := range otlptest.Misbehaviours() {
		for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
			if m.Protocol != "" && m.Protocol != string(protocol) {
				continue
			}
			t.Run(string(protocol)+"/"+m.Name, func(t *testing.T) {
				t.Parallel()
				m.Misbehave(t, string(protocol), func(t testing.TB, address string) sdktrace.SpanExporter {
					return build(t, otlp.Config{Endpoint: address, Protocol: protocol, Compression: delivery.None, Timeout: component.Duration(500 * time.Millisecond)})
				})
			})
		}
	}
}

// A response that is huge, or grows to be, is not read.
func TestBomb(t *testing.T) {
	grow := &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{ErrorMessage: strings.Repeat("x", 16<<20)}}
	for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
		t.Run(string(protocol), func(t *testing.T) {
			r := &otlptest.Scripted{Address: otlptest.Dead(t), Script: otlptest.Script{
				HTTP: func(_ int64, w http.ResponseWriter, _ *http.Request) bool {
					zeros := make([]byte, 1<<20)
					for range 256 {
						if _, err := w.Write(zeros); err != nil {
							break
						}
					}
					return true
				},
				GRPC: func(_ int64, ctx context.Context, _ int) (*coltracepb.ExportTraceServiceResponse, error) {
					if err := grpc.SetSendCompressor(ctx, "gzip"); err != nil {
						return nil, err
					}
					return grow, nil
				},
			}}
			r.Start(t, string(protocol))
			e := build(t, otlp.Config{Endpoint: r.Address, Protocol: protocol, Compression: delivery.Gzip})
			if protocol == otlp.HTTP {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				defer func() {
					runtime.ReadMemStats(&after)
					if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
						t.Errorf("%d MiB were allocated", grown>>20)
					}
				}()
			}
			if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
				t.Error(err)
			}
		})
	}
}
