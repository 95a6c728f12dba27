package receive

import (
	"context"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // exporters may compress
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/cmd/riffle/internal/spanfile"
)

// Server is a server of OTLP over gRPC.
type Server struct {
	grpc *grpc.Server

	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil: it has ended
}

// GRPC returns a server, that the caller serves and stops. No page in a browser can talk
// to it: that takes HTTP/2 without TLS.
func (r *Receiver) GRPC() *Server {
	s := &Server{conns: map[net.Conn]struct{}{}}
	s.grpc = grpc.NewServer(
		grpc.ForceServerCodecV2(rawCodec{}), grpc.MaxRecvMsgSize(MaxBody), grpc.MaxConcurrentStreams(4*decoding),
		grpc.ConnectionTimeout(handshake),
	)
	s.grpc.RegisterService(&service, r)
	return s
}

// handshake is how long a connection may take to speak HTTP/2.
const handshake = 10 * time.Second

// Serve serves until Stop, and closes l.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(&tracked{l, s}) }

// Stop ends the server at once: gRPC alone would wait for who connects and says nothing.
func (s *Server) Stop() {
	s.mu.Lock()
	conns := s.conns
	s.conns = nil
	s.mu.Unlock()
	for c := range conns {
		_ = c.Close() // nothing to do about an error
	}
	s.grpc.Stop()
}

// tracked is a listener of which the server knows the connections.
type tracked struct {
	net.Listener
	server *Server
}

func (t *tracked) Accept() (net.Conn, error) {
	c, err := t.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := t.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		_ = c.Close() // nobody uses it
		return nil, net.ErrClosed
	}
	s.conns[c] = struct{}{}
	return &trackedConn{c, s}, nil
}

type trackedConn struct {
	net.Conn
	server *Server
}

func (c *trackedConn) Close() error {
	c.server.mu.Lock()
	delete(c.server.conns, c.Conn)
	c.server.mu.Unlock()
	return c.Conn.Close()
}

// service is OTLP's TraceService, with the bytes of its messages.
var service = grpc.ServiceDesc{
	ServiceName: "opentelemetry.proto.collector.trace.v1.TraceService",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Export", Handler: export}},
	Metadata:    "opentelemetry/proto/collector/trace/v1/trace_service.proto",
}

func export(server any, ctx context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // the signature is gRPC's
	var body message
	if err := read(&body); err != nil {
		return nil, err
	}
	got, err := server.(*Receiver).receive(ctx, body, spanfile.DecodeOTLP)
	switch {
	case ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	case err != nil:
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return message(got.message(protobuf)), nil
}

// message is one as it is sent.
type message []byte

// rawCodec leaves messages as they are: [spanfile.DecodeOTLP] reads them.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(message)
	if !ok {
		return nil, status.Errorf(codes.Internal, "a message of type %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(m)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*message)
	if !ok {
		return status.Errorf(codes.Internal, "a message of type %T", v)
	}
	*m = data.Materialize()
	return nil
}
