package spanfile

import (
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/riffletrace/riffle/core/otlp"
)

// Two bytes can be a message that takes hundreds in memory, so what is decoded at once
// is bounded by its messages, too: spans with attributes reach the bound in bytes first.
const (
	maxMessages = 2_000_000
	// sure is the size of what cannot hold so many that it matters.
	sure = 1 << 20
	// maxDepth is how deep messages are looked at; deeper ones are not decoded.
	maxDepth = protowire.DefaultRecursionLimit
)

var errMany = fmt.Errorf("more than %d messages or objects in one", maxMessages)

func decodeRequest(b []byte) ([]sdktrace.ReadOnlySpan, error) {
	if left := maxMessages; len(b) > sure && !countMessages(b, tracesData, maxDepth, &left) {
		return nil, errMany
	}
	return otlp.Decode(b)
}

var tracesData = (*tracepb.TracesData)(nil).ProtoReflect().Descriptor()

// countMessages reports whether no more messages than are left are in b. What is wrong
// in it, its decoder will tell.
func countMessages(b []byte, of protoreflect.MessageDescriptor, depth int, left *int) bool {
	fields := of.Fields()
	for len(b) > 0 && depth > 0 {
		number, kind, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return true
		}
		size := protowire.ConsumeFieldValue(number, kind, b[tag:])
		if size < 0 {
			return true
		}
		if field := fields.ByNumber(number); kind == protowire.BytesType && field != nil && field.Message() != nil {
			if *left--; *left < 0 {
				return false
			}
			value, _ := protowire.ConsumeBytes(b[tag:])
			if !countMessages(value, field.Message(), depth-1, left) {
				return false
			}
		}
		b = b[tag+size:]
	}
	return true
}

// checkObjects returns an error if there are too many objects in a value.
func checkObjects(value []byte) error {
	if len(value) <= sure {
		return nil
	}
	var n nesting
	objects := 0
	for _, c := range value {
		if c == '{' && !n.inString {
			if objects++; objects > maxMessages {
				return errMany
			}
		}
		n.next(c)
	}
	return nil
}
