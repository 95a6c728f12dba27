package receive

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // exporters may compress
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/otlp"
)

// GRPC is a server of OTLP over gRPC, that the caller serves and stops. No page in a
// browser can talk to it: that takes HTTP/2 without TLS.
func (r *Receiver) GRPC() *grpc.Server {
	s := grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}), grpc.MaxRecvMsgSize(MaxBody), grpc.MaxConcurrentStreams(4*decoding))
	s.RegisterService(&service, r)
	return s
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
	got, err := server.(*Receiver).receive(ctx, body, otlp.Decode)
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

// rawCodec leaves messages as they are: [otlp.Decode] reads them.
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
