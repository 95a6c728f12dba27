package azuremonitor

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"testing"
	"unicode"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/otlpclient"
)

// Whatever an answer says, each span is taken, rejected or still to be sent, and what is
// shown of it is one line.
func FuzzAnswer(f *testing.F) {
	f.Add(206, "5", []byte(`{"itemsReceived":6,"itemsAccepted":4,"errors":[{"index":0,"statusCode":400,"message":"no"},{"index":3,"statusCode":429,"message":"\u001b[2J\n"}]}`))
	f.Add(200, "", []byte(`{"itemsReceived":6,"itemsAccepted":6,"errors":[]}`))
	f.Add(206, "99999999999999999999", []byte(`{"itemsReceived":6,"itemsAccepted":9223372036854775807,"errors":[{"index":-1,"statusCode":0},{"index":99,"statusCode":500}]}`))
	f.Add(400, "-1", []byte(`{"itemsReceived":1,"itemsAccepted":0,"errors":[{"index":0,"statusCode":500}]}`))
	f.Add(206, "", []byte(`[]`))
	logger := slog.New(slog.DiscardHandler)
	e := &tracker{destination: &destination{key: "s3cret", resolved: &otlpclient.Resolved{Address: "a:1"}}, logger: logger}
	stub := tracetest.SpanStub{Name: "a", Events: []sdktrace.Event{{Name: "b"}}}
	spans := []sdktrace.ReadOnlySpan{stub.Snapshot(), stub.Snapshot(), stub.Snapshot()}
	items := e.items(spans)
	f.Fuzz(func(t *testing.T, code int, after string, body []byte) {
		resp := &http.Response{
			StatusCode: code, Status: strconv.Itoa(code), Header: http.Header{"Retry-After": {after}},
			Body: io.NopCloser(bytes.NewReader(body)),
		}
		said := []*trackError{refusal(resp)}
		if _, err := accepted(resp, body); err != nil {
			var tr *trackError
			if !errors.As(err, &tr) {
				t.Fatal(err)
			}
			said = append(said, tr)
		}
		for _, tr := range said {
			if tr == nil {
				continue
			}
			err := e.partialSuccess(spans, items, tr)
			if err == nil {
				continue
			}
			var f *delivery.ExportError
			if !errors.As(err, &f) || f.RetryAfter < 0 {
				t.Fatalf("%v", err)
			}
			if p := f.PartialSuccess; p != nil && (p.Rejected < 0 || p.Rejected+len(p.Remaining) > len(spans)) {
				t.Errorf("%d rejected, %d remain of %d", p.Rejected, len(p.Remaining), len(spans))
			}
			if text := err.Error(); len(text) > 4<<10 || bytes.ContainsFunc([]byte(text), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q", text)
			}
		}
	})
}
