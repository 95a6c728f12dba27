package wire

import (
	"bytes"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"

	"github.com/riffletrace/riffle/core/delivery"
)

// A plugin that takes it gets its batches compressed with snappy: that, and undoing
// it, is cheaper than to encrypt them and move them between processes as they are.
//
// What is deprecated below is the only way to send what is compressed already, and
// to leave alone what else the process does with gRPC.

// ClientCompression has the message of CompressedCall sent as one that is
// compressed, and other messages as they are.
func ClientCompression() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithCompressor(compressed{}),   //nolint:staticcheck // see above
		grpc.WithDecompressor(decompress{}), //nolint:staticcheck // for one that answers as it was asked
		grpc.WithDefaultCallOptions(grpc.UseCompressor(encoding.Identity)),
	}
}

// CompressedCall is an option of calls of which the message is compressed already.
var CompressedCall = grpc.UseCompressor("")

// ServerCompression decompresses the messages of such calls.
func ServerCompression() grpc.ServerOption {
	return grpc.RPCDecompressor(decompress{}) //nolint:staticcheck // see above
}

// compressed tells gRPC that messages are compressed.
type compressed struct{}

func (compressed) Type() string { return string(delivery.Snappy) }

func (compressed) Do(w io.Writer, p []byte) error {
	_, err := w.Write(p)
	return err
}

type decompress struct{}

func (decompress) Type() string { return string(delivery.Snappy) }

func (decompress) Do(r io.Reader) ([]byte, error) {
	var body bytes.Buffer
	if m, ok := r.(interface{ Remaining() int }); ok {
		body.Grow(m.Remaining() + bytes.MinRead)
	}
	if _, err := body.ReadFrom(r); err != nil {
		return nil, err
	}
	return delivery.Snappy.Decompress(body.Bytes())
}
