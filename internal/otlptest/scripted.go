package otlptest

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
	"google.golang.org/protobuf/proto"
)

// The protocols, as configurations name them.
const (
	overHTTP = "http/protobuf"
	overGRPC = "grpc"
)

// Scripted is a receiver that misbehaves as it is told, and then works.
type Scripted struct {
	Script
	// Address is where Start listens.
	Address string

	connections, calls atomic.Int64

	mu   sync.Mutex
	got  map[string]int // spans by name, each as often as it came
	seen http.Header    // of the last request
}

// Script is what a receiver does instead of its work. Each is told how many
// came before and reports whether it has dealt with this one.
type Script struct {
	Connect func(n int64, c net.Conn) bool
	HTTP    func(n int64, w http.ResponseWriter, r *http.Request) bool
	GRPC    func(n int64, ctx context.Context, spans int) (*coltracepb.ExportTraceServiceResponse, error)
	// Respond is told how many spans were taken, and returns what to say.
	Respond func(spans int) *coltracepb.ExportTraceServiceResponse
	// RespondHTTP, for HTTP, writes the response of a request that was taken.
	RespondHTTP func(w http.ResponseWriter)
	// Decode, for HTTP, is for what is no OTLP: it returns the names of the spans in
	// a request, which is then accepted.
	Decode func(body []byte) (names []string, err error)
	// MaxBytes is the size of requests that are not refused for it.
	MaxBytes int
	// Late starts the receiver when the first attempt has failed.
	Late bool
}

func (r *Scripted) take(msg *coltracepb.ExportTraceServiceRequest) *coltracepb.ExportTraceServiceResponse {
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
	if r.Respond != nil {
		return r.Respond(n)
	}
	return &coltracepb.ExportTraceServiceResponse{}
}

func (r *Scripted) note(names ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.got == nil {
		r.got = make(map[string]int)
	}
	for _, name := range names {
		r.got[name]++
	}
}

// Received counts the spans that came, each once.
func (r *Scripted) Received() (distinct int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

// Headers are those of the last request.
func (r *Scripted) Headers() http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

// gate lets a script deal with connections.
type gate struct {
	net.Listener
	r *Scripted
}

func (g gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil || g.r.Connect == nil {
			return c, err
		}
		if !g.r.Connect(g.r.connections.Add(1)-1, c) {
			return c, nil
		}
	}
}

// Start listens on the address, for the protocol, until the test ends.
func (r *Scripted) Start(t testing.TB, protocol string) {
	l := gate{listenAt(t, r.Address), r}
	if protocol == overHTTP {
		s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(r.ServeHTTP)}}
		s.Start()
		t.Cleanup(func() {
			s.CloseClientConnections()
			s.Close()
		})
		return
	}
	opts := []grpc.ServerOption{}
	if r.MaxBytes > 0 {
		opts = append(opts, grpc.MaxRecvMsgSize(r.MaxBytes))
	}
	s := grpc.NewServer(opts...)
	coltracepb.RegisterTraceServiceServer(s, grpcReceiver{r: r})
	serve(t, func() { _ = s.Serve(l) }, s.Stop)
}

// ServeHTTP takes a request over HTTP.
func (r *Scripted) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.seen = req.Header.Clone()
	r.mu.Unlock()
	if r.HTTP != nil && r.HTTP(r.calls.Add(1)-1, w, req) {
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	if r.MaxBytes > 0 && len(body) > r.MaxBytes {
		http.Error(w, "no", http.StatusRequestEntityTooLarge)
		return
	}
	if r.Decode != nil {
		names, err := r.Decode(unpacked(req.Header.Get("Content-Encoding"), body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.note(names...)
		return
	}
	var msg coltracepb.ExportTraceServiceRequest
	if err := proto.Unmarshal(unpacked(req.Header.Get("Content-Encoding"), body), &msg); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := r.take(&msg)
	if r.RespondHTTP != nil {
		r.RespondHTTP(w)
		return
	}
	resp, _ := proto.Marshal(answer)
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(resp)
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
	r *Scripted
}

func (g grpcReceiver) Export(ctx context.Context, msg *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	if g.r.GRPC != nil {
		n := 0
		for _, rs := range msg.GetResourceSpans() {
			for _, ss := range rs.GetScopeSpans() {
				n += len(ss.GetSpans())
			}
		}
		if resp, err := g.r.GRPC(g.r.calls.Add(1)-1, ctx, n); resp != nil || err != nil {
			return resp, err
		}
	}
	return g.r.take(msg), nil
}

// Names are those of the spans received, sorted.
func (r *Scripted) Names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for name := range r.got {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
