// Package otlptest has receivers of OTLP on real sockets, and certificates,
// for the tests of exporters.
package otlptest

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // receivers take it
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Receiver is a receiver that keeps what it was sent.
type Receiver struct {
	// Address is host:port.
	Address string

	mu       sync.Mutex
	requests []Request
	response error
}

// Request is one export that was received.
type Request struct {
	Path     string // HTTP only
	Encoding string // of the body
	Headers  http.Header
	Spans    []string // their names
}

// Requests returns what was received so far.
func (r *Receiver) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// RespondWith makes a gRPC receiver respond with an error from now on.
func (r *Receiver) RespondWith(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.response = err
}

// RespondWithCode is RespondWith for an error of gRPC, by the name of its code:
// "UNAUTHENTICATED".
func (r *Receiver) RespondWithCode(t testing.TB, name string) {
	t.Helper()
	var c codes.Code
	if err := c.UnmarshalJSON([]byte(`"` + name + `"`)); err != nil {
		t.Fatal(err)
	}
	r.RespondWith(status.Error(c, "no"))
}

func (r *Receiver) received(req Request, body *coltracepb.ExportTraceServiceRequest) error {
	for _, rs := range body.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				req.Spans = append(req.Spans, s.GetName())
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, req)
	return r.response
}

// GRPC starts a receiver of OTLP over gRPC; nil is plaintext.
func GRPC(t testing.TB, cfg *tls.Config) *Receiver {
	t.Helper()
	r := &Receiver{}
	l := listen(t)
	r.Address = l.Addr().String()
	opts := []grpc.ServerOption{}
	if cfg != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(cfg)))
	}
	server := grpc.NewServer(opts...)
	coltracepb.RegisterTraceServiceServer(server, grpcService{Receiver: r})
	serve(t, func() { _ = server.Serve(l) }, server.Stop)
	return r
}

// BareGRPC starts a gRPC server that takes no traces.
func BareGRPC(t testing.TB) (address string) {
	t.Helper()
	l := listen(t)
	server := grpc.NewServer()
	serve(t, func() { _ = server.Serve(l) }, server.Stop)
	return l.Addr().String()
}

type grpcService struct {
	coltracepb.UnimplementedTraceServiceServer
	*Receiver
}

func (s grpcService) Export(ctx context.Context, body *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	req := Request{Headers: http.Header{}}
	for k, vs := range md {
		req.Headers[http.CanonicalHeaderKey(k)] = vs
	}
	if method, ok := grpc.Method(ctx); ok {
		req.Path = method
	}
	req.Encoding = grpcEncoding(ctx)
	if err := s.received(req, body); err != nil {
		return nil, err
	}
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

// grpcEncoding is how the request was compressed. gRPC tells it only by what
// the response would be compressed with.
func grpcEncoding(ctx context.Context) string {
	if s, ok := grpc.ServerTransportStreamFromContext(ctx).(interface{ RecvCompress() string }); ok {
		return s.RecvCompress()
	}
	return ""
}

// HTTP starts a receiver of OTLP over HTTP at the path; nil is plaintext.
func HTTP(t testing.TB, cfg *tls.Config, path string) *Receiver {
	t.Helper()
	r := &Receiver{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, req *http.Request) {
		body, err := decode(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		got := Request{Path: req.URL.Path, Encoding: req.Header.Get("Content-Encoding"), Headers: req.Header}
		if err := r.received(got, body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	r.Address = Web(t, cfg, mux)
	return r
}

// Web starts an HTTP server that may be anything; nil is plaintext.
func Web(t testing.TB, cfg *tls.Config, h http.Handler) (address string) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = nil
	server.TLS = cfg
	if cfg != nil {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func decode(req *http.Request) (*coltracepb.ExportTraceServiceRequest, error) {
	var body io.Reader = req.Body
	if req.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		body = z
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	msg := &coltracepb.ExportTraceServiceRequest{}
	if strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") {
		// OTLP's IDs are hex, so that they do not come out as they went in.
		return msg, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, msg)
	}
	return msg, proto.Unmarshal(data, msg)
}

// Silent is the address of a server that never says a word.
func Silent(t testing.TB) (address string) {
	t.Helper()
	return accept(t, func(net.Conn) {})
}

// HangsUp is that of one that closes each connection at once.
func HangsUp(t testing.TB) (address string) {
	t.Helper()
	return accept(t, func(c net.Conn) { _ = c.Close() })
}

// accept hands over connections, and closes them in the end.
func accept(t testing.TB, handle func(net.Conn)) (address string) {
	t.Helper()
	l := listen(t)
	serve(t, func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			handle(c)
		}
	}, func() { _ = l.Close() })
	return l.Addr().String()
}

// Dead is an address where nobody listens.
func Dead(t testing.TB) (address string) {
	t.Helper()
	l := listen(t)
	defer l.Close()
	return l.Addr().String()
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	return listenAt(t, "127.0.0.1:0")
}

func listenAt(t testing.TB, address string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(t.Context()), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve runs a server until the test ends, and waits for it.
func serve(t testing.TB, run, stop func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		run()
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
}

// Spans are ended spans with these names, always of the same time.
func Spans(names ...string) []sdktrace.ReadOnlySpan {
	return SpansAt(time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC), names...)
}

// SpansAt are spans with these names that started then, for a millisecond.
func SpansAt(start time.Time, names ...string) []sdktrace.ReadOnlySpan {
	stubs := make(tracetest.SpanStubs, len(names))
	for i, name := range names {
		stubs[i] = tracetest.SpanStub{
			Name: name,
			SpanContext: trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{0: 1, 15: 1}, SpanID: trace.SpanID{7: byte(i + 1)}, TraceFlags: trace.FlagsSampled,
			}),
			StartTime: start,
			EndTime:   start.Add(time.Millisecond),
		}
	}
	return stubs.Snapshots()
}
