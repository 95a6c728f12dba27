package otlptest

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// BreaksWhenReused is a receiver that takes one request on each connection, and
// breaks it when the next one comes: by a reset, or by closing it. That is what a
// client sees that was frozen while the receiver closed what was idle.
func BreaksWhenReused(byReset bool) Script {
	var mu sync.Mutex
	conns := make(map[string]net.Conn)
	seen := make(map[string]int)
	reused := func(address string) bool {
		mu.Lock()
		defer mu.Unlock()
		seen[address]++
		return seen[address] > 1
	}
	breakOff := func(c net.Conn) {
		if byReset {
			reset(c)
			return
		}
		_ = c.Close()
	}
	return Script{
		Connect: func(_ int64, c net.Conn) bool {
			mu.Lock()
			defer mu.Unlock()
			address := c.RemoteAddr().String()
			conns[address] = c
			delete(seen, address) // the port may have been an earlier connection's
			return false
		},
		HTTP: func(_ int64, w http.ResponseWriter, r *http.Request) bool {
			if !reused(r.RemoteAddr) {
				return false
			}
			_, _ = io.Copy(io.Discard, r.Body)
			hijack(w, breakOff)
			return true
		},
		GRPC: func(_ int64, ctx context.Context, _ int) (*coltracepb.ExportTraceServiceResponse, error) {
			p, _ := peer.FromContext(ctx)
			if !reused(p.Addr.String()) {
				return nil, nil
			}
			mu.Lock()
			c := conns[p.Addr.String()]
			mu.Unlock()
			breakOff(c)
			return nil, status.Error(codes.Aborted, "nobody hears it")
		},
	}
}
