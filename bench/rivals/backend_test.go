//go:build linux

package rivals

import (
	"context"
	"net"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/trace"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

// backend is where kept traces end up. It counts the spans of each.
type backend struct {
	collectorpb.UnimplementedTraceServiceServer

	address string

	mu     sync.Mutex
	traces map[trace.TraceID]int
}

func startBackend(tb testing.TB) *backend {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	b := &backend{address: l.Addr().String(), traces: map[trace.TraceID]int{}}
	server := grpc.NewServer()
	collectorpb.RegisterTraceServiceServer(server, b)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) }) // it ends with Stop
	tb.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	return b
}

// Export is the service's method.
func (b *backend) Export(_ context.Context, r *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, rs := range r.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				b.traces[trace.TraceID(s.GetTraceId())]++
			}
		}
	}
	return new(collectorpb.ExportTraceServiceResponse), nil
}

// spans is how many spans of a trace have arrived.
func (b *backend) spans(id trace.TraceID) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.traces[id]
}
