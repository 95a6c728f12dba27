package plugins

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// rawMessage is a message that is passed on as bytes.
type rawMessage []byte

// codec sends and receives messages, and those that are bytes already as they
// are.
type codec struct{}

// messages is gRPC's own codec, which this package registers by its import.
var messages = encoding.GetCodecV2(proto.Name)

func (codec) Name() string { return proto.Name }

func (codec) Marshal(v any) (mem.BufferSlice, error) {
	if raw, ok := v.(*rawMessage); ok {
		return mem.BufferSlice{mem.SliceBuffer(*raw)}, nil
	}
	return messages.Marshal(v)
}

func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	if raw, ok := v.(*rawMessage); ok {
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
var _ encoding.CodecV2 = codec{}
