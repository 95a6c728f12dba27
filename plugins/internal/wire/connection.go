// Package wire is what both ends of a plugin agree on: the handshake, how messages
// are encoded and compressed, and what the words of sampling are on the wire.
package wire

import (
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/internal/untrusted"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// What is in flight on a connection, and what is read or written at once.
const (
	window = 4 << 20
	buffer = 256 << 10
)

// ServerOptions are what every plugin's gRPC server has.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxMessage),
		grpc.MaxSendMsgSize(MaxMessage),
		grpc.ForceServerCodecV2(Codec{}),
		ServerCompression(),
		// A batch goes through in one piece, without waiting for windows.
		grpc.InitialWindowSize(window),
		grpc.InitialConnWindowSize(2 * window),
		grpc.ReadBufferSize(buffer),
	}
}

// DialOptions are those of all connections to plugins.
func DialOptions() []grpc.DialOption {
	return append(ClientCompression(), grpc.WithWriteBufferSize(buffer), grpc.WithDefaultCallOptions(
		grpc.ForceCodecV2(Codec{}),
		grpc.MaxCallRecvMsgSize(MaxResponse),
		grpc.MaxCallSendMsgSize(MaxMessage)))
}

// KindName is what people call a kind.
func KindName(k pluginpb.Kind) string {
	if k == pluginpb.Kind_KIND_EXPORTER {
		return "exporter"
	}
	return "sampler"
}

// Plain is an error of a call as people should see it.
func Plain(err error) error {
	if s, ok := status.FromError(err); ok && s.Code() != codes.OK {
		if s.Message() == "" {
			return errors.New(s.Code().String())
		}
		return errors.New(untrusted.Text(s.Message(), untrusted.Line))
	}
	return untrusted.Error(err, untrusted.Line)
}

// HealthService is go-plugin's name for what a plugin serves.
const HealthService = "plugin"
