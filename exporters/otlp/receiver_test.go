package otlp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // the receiver takes it
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/exporters/otlp"
)

// receiver is one that misbehaves as it is told, and then works.
type receiver struct {
	script
	address string

	connections, calls atomic.Int64

	mu   sync.Mutex
	got  map[string]int // spans by name, each as often as it came
	seen http.Header    // of the last request
}

// script is what a receiver does instead of its work. Each is told how many
// came before and reports whether it has dealt with this one.
type script struct {
	connect func(n int64, c net.Conn) bool
	http    func(n int64, w http.ResponseWriter, r *http.Request) bool
	grpc    func(n int64, ctx context.Context, spans int) (*coltracepb.ExportTraceServiceResponse, error)
	// after looks at what was taken, and returns the answer.
	answer func(spans int) *coltracepb.ExportTraceServiceResponse
	// Limits the size of requests, and of what connections are asked for.
	maxBytes int
	// late starts the receiver when the first attempt has failed.
	late bool
}

func (r *receiver) take(msg *coltracepb.ExportTraceServiceRequest) *coltracepb.ExportTraceServiceResponse {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.got == nil {
		r.got = make(map[string]int)
	}
	var n int
	for _, rs := range msg.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				r.got[s.GetName()]++
				n++
			}
		}
	}
	if r.answer != nil {
		return r.answer(n)
	}
	return &coltracepb.ExportTraceServiceResponse{}
}

func (r *receiver) received() (distinct int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

func (r *receiver) headers() http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

// gate lets a script deal with connections.
type gate struct {
	net.Listener
	r *receiver
}

func (g gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil || g.r.connect == nil {
			return c, err
		}
		if !g.r.connect(g.r.connections.Add(1)-1, c) {
			return c, nil
		}
	}
}

func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(t.Context()), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// start listens on the address, for the protocol, until the test ends.
func (r *receiver) start(t testing.TB, protocol otlp.Protocol) {
	l := gate{listen(t, r.address), r}
	if protocol == otlp.HTTP {
		s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(r.serveHTTP)}}
		s.Start()
		t.Cleanup(func() {
			s.CloseClientConnections()
			s.Close()
		})
		return
	}
	opts := []grpc.ServerOption{}
	if r.maxBytes > 0 {
		opts = append(opts, grpc.MaxRecvMsgSize(r.maxBytes))
	}
	s := grpc.NewServer(opts...)
	coltracepb.RegisterTraceServiceServer(s, grpcReceiver{r: r})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Stop()
		<-done
	})
}

func (r *receiver) serveHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.seen = req.Header.Clone()
	r.mu.Unlock()
	if r.http != nil && r.http(r.calls.Add(1)-1, w, req) {
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	if r.maxBytes > 0 && len(body) > r.maxBytes {
		http.Error(w, "no", http.StatusRequestEntityTooLarge)
		return
	}
	var msg coltracepb.ExportTraceServiceRequest
	if err := proto.Unmarshal(unpacked(req.Header.Get("Content-Encoding"), body), &msg); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, _ := proto.Marshal(r.take(&msg))
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(answer)
}

func unpacked(encoding string, body []byte) []byte {
	var out []byte
	switch encoding {
	case "gzip":
		if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			out, _ = io.ReadAll(z)
		}
	case "zstd":
		if z, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1)); err == nil {
			out, _ = io.ReadAll(z)
			z.Close()
		}
	default:
		out = body
	}
	return out
}

type grpcReceiver struct {
	coltracepb.UnimplementedTraceServiceServer
	r *receiver
}

func (g grpcReceiver) Export(ctx context.Context, msg *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	if g.r.grpc != nil {
		n := 0
		for _, rs := range msg.GetResourceSpans() {
			for _, ss := range rs.GetScopeSpans() {
				n += len(ss.GetSpans())
			}
		}
		if resp, err := g.r.grpc(g.r.calls.Add(1)-1, ctx, n); resp != nil || err != nil {
			return resp, err
		}
	}
	return g.r.take(msg), nil
}

// names are those of the spans received, sorted.
func (r *receiver) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for name := range r.got {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
