package receive

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/untrusted"
)

const (
	protobuf = "application/x-protobuf"
	jsonText = "application/json"
)

// path is OTLP's for traces.
const path = "/v1/traces"

// refusal is an answer that takes nothing.
type refusal struct {
	status int
	code   codes.Code
	text   string
}

// ServeHTTP takes OTLP over HTTP. It wants a content type that a browser sends for no
// page of another origin without asking first, and who asks is refused.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	contentType, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil || contentType != jsonText {
		contentType = protobuf
	}
	if no := r.serve(w, req, contentType); no != nil {
		answer(w, no.status, contentType, statusMessage(contentType, no.code, no.text))
	}
}

func (r *Receiver) serve(w http.ResponseWriter, req *http.Request, contentType string) *refusal {
	switch {
	case req.URL.Path != path:
		return &refusal{http.StatusNotFound, codes.Unimplemented, "only traces are taken, at " + path}
	case req.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		return &refusal{http.StatusMethodNotAllowed, codes.Unimplemented, "want POST"}
	}
	if sent, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || sent != contentType {
		return &refusal{http.StatusUnsupportedMediaType, codes.InvalidArgument, "want the content type " + protobuf + " or " + jsonText}
	}
	body, no := readBody(w, req)
	if no != nil {
		return no
	}
	decode := otlp.Decode
	if contentType == jsonText {
		decode = otlp.DecodeJSON
	}
	got, err := r.receive(req.Context(), body, decode)
	switch {
	case req.Context().Err() != nil:
		return &refusal{http.StatusServiceUnavailable, codes.Unavailable, "the request was ended"}
	case err != nil:
		return &refusal{http.StatusBadRequest, codes.InvalidArgument, err.Error()}
	}
	answer(w, http.StatusOK, contentType, got.message(contentType))
	return nil
}

// readBody reads a request's body, of no more than [MaxBody] once it is uncompressed.
func readBody(w http.ResponseWriter, req *http.Request) ([]byte, *refusal) {
	var body io.Reader = http.MaxBytesReader(w, req.Body, MaxBody)
	switch encoding := req.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, unreadable(err)
		}
		body = z
	default:
		return nil, &refusal{http.StatusUnsupportedMediaType, codes.InvalidArgument, fmt.Sprintf("content encoding %q: want gzip or none", untrusted.Text(encoding, untrusted.Line))}
	}
	b, err := io.ReadAll(io.LimitReader(body, MaxBody+1))
	if err != nil {
		return nil, unreadable(err)
	}
	if len(b) > MaxBody {
		return nil, tooLarge
	}
	return b, nil
}

var tooLarge = &refusal{http.StatusRequestEntityTooLarge, codes.ResourceExhausted, fmt.Sprintf("the request is larger than %d bytes", MaxBody)}

func unreadable(err error) *refusal {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge
	}
	return &refusal{http.StatusBadRequest, codes.InvalidArgument, "reading the request: " + untrusted.Text(err.Error(), untrusted.Line)}
}

func answer(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // who asked has gone
}

// statusMessage is a google.rpc.Status, which OTLP has in answers that take nothing.
func statusMessage(contentType string, code codes.Code, text string) []byte {
	text = strings.ToValidUTF8(text, "?")
	if contentType == jsonText {
		return toJSON(struct {
			Code    codes.Code `json:"code"`
			Message string     `json:"message"`
		}{code, text})
	}
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(code))
	return protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), text)
}

// message is an ExportTraceServiceResponse.
func (r result) message(contentType string) []byte {
	type partial struct {
		Rejected string `json:"rejectedSpans"` // 64 bits are a string in OTLP
		Message  string `json:"errorMessage"`
	}
	switch {
	case contentType == jsonText && r.rejected == 0:
		return []byte("{}")
	case contentType == jsonText:
		return toJSON(map[string]partial{"partialSuccess": {strconv.Itoa(r.rejected), r.why}})
	case r.rejected == 0:
		return nil
	}
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(r.rejected))
	b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), r.why)
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), b)
}

func toJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // never: texts and numbers
		return []byte("{}")
	}
	return b
}
