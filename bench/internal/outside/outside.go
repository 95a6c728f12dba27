// Package outside is what a service under test has around it, in a process of
// its own: a backend that counts the spans it is sent, over HTTP and gRPC, and
// a peer that the service calls.
package outside

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // what clients may use
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// maxBody bounds a request.
const maxBody = 64 << 20

// Addresses are where a backend listens, and the peer.
type Addresses struct {
	HTTP string `json:"http"` // OTLP over HTTP: host:port
	GRPC string `json:"grpc"` // OTLP over gRPC: host:port
	Peer string `json:"peer"` // a URL
}

// Counts are of what arrived at a backend so far.
type Counts struct {
	Spans    uint64 `json:"spans"`
	Requests uint64 `json:"requests"`
	Bytes    uint64 `json:"bytes"` // as they came, compressed
}

// Backend is one backend, and the peer, which all of them have.
type Backend struct {
	Addresses
	http *http.Server
	grpc *grpc.Server

	spans, requests, bytes atomic.Uint64
	zipped                 sync.Pool
}

// Start starts one on free ports of loopback.
func Start(ctx context.Context) (*Backend, error) {
	var listen net.ListenConfig
	web, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	rpc, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, web.Close())
	}
	s := &Backend{Addresses: Addresses{HTTP: web.Addr().String(), GRPC: rpc.Addr().String(), Peer: "http://" + web.Addr().String() + "/price"}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", s.receive)
	mux.HandleFunc("GET /price", price)
	// A connection that is not used yet waits as long as the service is stopped.
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: time.Hour, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	s.grpc = grpc.NewServer(grpc.MaxRecvMsgSize(maxBody), grpc.ForceServerCodecV2(rawCodec{encoding.GetCodecV2("proto")}))
	s.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: coltracepb.TraceService_ServiceDesc.ServiceName,
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Export", Handler: s.export}},
	}, s)
	go func() { _ = s.http.Serve(web) }() // they end with Close
	go func() { _ = s.grpc.Serve(rpc) }()
	return s, nil
}

// Counts returns a snapshot.
func (s *Backend) Counts() Counts {
	return Counts{Spans: s.spans.Load(), Requests: s.requests.Load(), Bytes: s.bytes.Load()}
}

// Close ends the servers at once.
func (s *Backend) Close() {
	_ = s.http.Close() // nothing to do about an error
	s.grpc.Stop()
}

func price(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"currency":"EUR","cents":1299}`)
}

func (s *Backend) receive(w http.ResponseWriter, r *http.Request) {
	wire := &counter{Reader: http.MaxBytesReader(w, r.Body, maxBody)}
	body, err := s.read(wire, r.Header.Get("Content-Encoding"))
	if err == nil {
		err = s.count(body, wire.n)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty answer is a full success
}

func (s *Backend) read(wire io.Reader, encoding string) ([]byte, error) {
	if encoding != "gzip" {
		return io.ReadAll(wire)
	}
	unzip, _ := s.zipped.Get().(*gzip.Reader)
	if unzip == nil {
		unzip = new(gzip.Reader)
	}
	defer s.zipped.Put(unzip)
	if err := unzip.Reset(wire); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(unzip, maxBody))
}

func (s *Backend) export(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // the order is gRPC's
	var body []byte
	if err := decode(&body); err != nil {
		return nil, err
	}
	if err := s.count(body, uint64(len(body))); err != nil {
		return nil, err
	}
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

func (s *Backend) count(body []byte, wire uint64) error {
	n, err := CountSpans(body)
	if err != nil {
		return err
	}
	s.spans.Add(uint64(n))
	s.requests.Add(1)
	s.bytes.Add(wire)
	return nil
}

// Where the spans are: fields of ExportTraceServiceRequest, ResourceSpans and
// ScopeSpans.
var path = []protowire.Number{1, 2, 2}

// CountSpans counts the spans of an export request without decoding them, so
// that the backend takes little of the machine that is measured.
func CountSpans(body []byte) (int, error) { return count(body, path) }

func count(b []byte, path []protowire.Number) (n int, err error) {
	for len(b) > 0 {
		field, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return 0, fmt.Errorf("reading an export request: %w", protowire.ParseError(size))
		}
		b = b[size:]
		if field != path[0] || kind != protowire.BytesType {
			if size = protowire.ConsumeFieldValue(field, kind, b); size < 0 {
				return 0, fmt.Errorf("reading an export request: %w", protowire.ParseError(size))
			}
			b = b[size:]
			continue
		}
		inner, size := protowire.ConsumeBytes(b)
		if size < 0 {
			return 0, fmt.Errorf("reading an export request: %w", protowire.ParseError(size))
		}
		b = b[size:]
		if len(path) == 1 {
			n++
			continue
		}
		below, err := count(inner, path[1:])
		if err != nil {
			return 0, err
		}
		n += below
	}
	return n, nil
}

// counter counts what is read through it.
type counter struct {
	io.Reader
	n uint64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += uint64(n)
	return n, err
}

// rawCodec leaves requests as bytes.
type rawCodec struct{ encoding.CodecV2 }

func (c rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	if raw, ok := v.(*[]byte); ok {
		*raw = data.Materialize()
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}

// Interface guards.
var (
	_ encoding.CodecV2 = rawCodec{}
	_ proto.Message    = (*coltracepb.ExportTraceServiceResponse)(nil)
)
