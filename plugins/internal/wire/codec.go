package wire

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// RawMessage is a message that is passed on as bytes.
type RawMessage []byte

// Codec sends and receives messages, and those that are bytes already as they
// are.
type Codec struct{}

// messages is gRPC's own codec, which this package registers by its import.
var messages = encoding.GetCodecV2(proto.Name)

// Name is that of gRPC's own.
func (Codec) Name() string { return proto.Name }

// Marshal returns a message as bytes.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	if raw, ok := v.(*RawMessage); ok {
		return mem.BufferSlice{mem.SliceBuffer(*raw)}, nil
	}
	return messages.Marshal(v)
}

// Unmarshal reads a message; one of bytes may share those of data.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	if raw, ok := v.(*RawMessage); ok {
		*raw = bytesOf(data)
		return nil
	}
	if err := messages.Unmarshal(data, v); err != nil {
		return fmt.Errorf("reading a message: %w", err)
	}
	return nil
}

// bytesOf copies what comes from the network, and not what was decompressed.
func bytesOf(data mem.BufferSlice) []byte {
	if len(data) == 1 {
		if whole, ok := data[0].(mem.SliceBuffer); ok {
			return whole
		}
	}
	return data.Materialize()
}

// Interface guards.
var _ encoding.CodecV2 = Codec{}
