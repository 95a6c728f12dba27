package otlp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// A function that is frozen between two events meets connections that were closed
// meanwhile: no flush leaves a span behind for that.
func TestIdleConnectionsAreReplaced(t *testing.T) {
	for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
		for _, byReset := range []bool{false, true} {
			r := &otlptest.Scripted{Address: otlptest.Dead(t), Script: otlptest.BreaksWhenReused(byReset)}
			r.Start(t, string(protocol))
			exporters(t, protocol, r.Address, func(t *testing.T, e sdktrace.SpanExporter) {
				lines := &delivery.Lines{}
				l := lines.Add(e, delivery.Defaults(), delivery.Settings{})
				for i := range 60 {
					lines.HandOver(otlptest.SpansAt(time.Now(), fmt.Sprint(i))...)
					if err := l.ForceFlush(t.Context()); err != nil {
						t.Fatalf("flush %d: %v", i, err)
					}
				}
				if s := l.Stats(); s.Sent != 60 || s.Retried != 0 {
					t.Errorf("stats: %+v", s)
				}
				if err := l.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// It is repeated once: who breaks every connection is not asked again and again.
func TestBrokenConnectionsAreRepeatedOnce(t *testing.T) {
	for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
		t.Run(string(protocol), func(t *testing.T) {
			var calls atomic.Int64
			var broken atomic.Bool
			script := otlptest.BreaksWhenReused(false)
			r := &otlptest.Scripted{Address: otlptest.Dead(t), Script: script}
			r.HTTP = func(int64, http.ResponseWriter, *http.Request) bool {
				calls.Add(1)
				if broken.Load() {
					panic(http.ErrAbortHandler)
				}
				return false
			}
			r.GRPC = func(n int64, ctx context.Context, spans int) (*coltracepb.ExportTraceServiceResponse, error) {
				calls.Add(1)
				if broken.Load() {
					_, _ = script.GRPC(n, ctx, spans) // as if for the first time
					return script.GRPC(n, ctx, spans)
				}
				return nil, nil
			}
			r.Start(t, string(protocol))
			e := build(t, otlp.Config{Endpoint: r.Address, Protocol: protocol})
			if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
				t.Fatal(err)
			}
			broken.Store(true)
			if err := e.ExportSpans(t.Context(), otlptest.Spans("b")); err == nil {
				t.Error("no error")
			}
			if n := calls.Load(); n != 3 {
				t.Errorf("%d calls, want 3", n)
			}
		})
	}
}

// What a server answers is not repeated, whatever it says.
func TestAnswersAreNotRepeated(t *testing.T) {
	var calls atomic.Int64
	r := &otlptest.Scripted{Address: otlptest.Dead(t), Script: otlptest.Script{
		GRPC: func(int64, context.Context, int) (*coltracepb.ExportTraceServiceResponse, error) {
			if calls.Add(1) == 1 {
				return nil, nil
			}
			return nil, status.Error(codes.Unavailable, "transport is closing: EOF")
		},
	}}
	r.Start(t, string(otlp.GRPC))
	e := build(t, otlp.Config{Endpoint: r.Address, Protocol: otlp.GRPC})
	if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
		t.Fatal(err)
	}
	if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err == nil || calls.Load() != 2 {
		t.Errorf("%d calls, error %v", calls.Load(), err)
	}
}

// Over HTTP/2, a connection is closed with a GOAWAY.
func TestIdleHTTP2(t *testing.T) {
	ca := otlptest.NewAuthority(t)
	var protocols atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocols.Store(int64(r.ProtoMajor)) }))
	server.EnableHTTP2 = true
	server.TLS = ca.Server(t, "127.0.0.1")
	server.StartTLS()
	t.Cleanup(server.Close)
	e := build(t, otlp.Config{Endpoint: server.URL, Protocol: otlp.HTTP, TLS: otlp.TLS{CAFile: ca.File}})
	for i := range 60 {
		if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
			t.Fatalf("export %d: %v", i, err)
		}
		server.CloseClientConnections()
	}
	if protocols.Load() != 2 {
		t.Errorf("it was HTTP/%d", protocols.Load())
	}
}
