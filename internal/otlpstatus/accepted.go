package otlpstatus

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// MaxResponse is how much of a response is worth reading. One that says something
// fits.
const MaxResponse = 64 << 10

// Unread is said of a batch that is accepted with a response above [MaxResponse].
const Unread = "the response is larger than 64 KiB and was not read: if it rejects spans, they are not counted"

// Accepted reads a response of HTTP with a status that accepts a request. It has as
// a message what the backend says, or that it speaks no OTLP: the request is taken
// all the same, but by what may not be a receiver. A page for people accepts nothing,
// and ok is false.
func Accepted(contentType string, body []byte) (r delivery.Response, ok bool) {
	k := kindOf(contentType, body)
	switch {
	case k == page:
		return delivery.Response{}, false
	case len(bytes.TrimSpace(body)) == 0:
		return delivery.Response{}, true
	case len(body) > MaxResponse:
		return delivery.Response{Message: Unread}, true
	}
	var msg coltracepb.ExportTraceServiceResponse
	var read bool
	if k == jsonText {
		read = readJSON(body, &msg)
	} else {
		// What is of a later version has fields that are not known here; a text that
		// happens to be a message has no other.
		read = proto.Unmarshal(body, &msg) == nil && (k == protobuf || len(msg.ProtoReflect().GetUnknown()) == 0)
	}
	if !read {
		return delivery.Response{Message: foreignAnswer(contentType, body)}, true
	}
	return ofPartial(msg.GetPartialSuccess()), true
}

// AcceptedGRPC is [Accepted] for gRPC.
func AcceptedGRPC(body []byte) delivery.Response {
	var msg coltracepb.ExportTraceServiceResponse
	if err := proto.Unmarshal(body, &msg); err != nil {
		return delivery.Response{Message: foreignAnswer("application/grpc", body)}
	}
	return ofPartial(msg.GetPartialSuccess())
}

func ofPartial(p *coltracepb.ExportTracePartialSuccess) delivery.Response {
	return delivery.Response{Rejected: max(p.GetRejectedSpans(), 0), Message: p.GetErrorMessage()}
}

// readJSON reads OTLP's JSON, in which 64-bit numbers may be strings. An object that
// has other keys alone, such as {"error": ...}, is none.
func readJSON(body []byte, msg *coltracepb.ExportTraceServiceResponse) bool {
	var keys map[string]json.RawMessage
	if json.Unmarshal(body, &keys) != nil {
		return false
	}
	_, camel := keys["partialSuccess"]
	_, snake := keys["partial_success"]
	if len(keys) > 0 && !camel && !snake {
		return false
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, msg) == nil
}

func foreignAnswer(contentType string, body []byte) string {
	const shown = 200
	kind := cmp.Or(untrusted.Text(contentType, maxHeader), "no content type")
	return fmt.Sprintf("the response is no OTLP (%s: %q): check that the endpoint is a receiver of OTLP", kind, untrusted.Text(string(body[:min(len(body), shown)]), shown))
}
