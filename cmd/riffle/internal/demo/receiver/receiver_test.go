package receiver

import (
	"bytes"
	"compress/gzip"
	"context"
	"math"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/trace"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) *Receiver {
	t.Helper()
	r, err := Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func post(t *testing.T, r *Receiver, encoding string, body []byte) (status int) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+r.Endpoint()+"/v1/traces", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Encoding", encoding)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

func request(t *testing.T, spans ...*tracepb.Span) []byte {
	t.Helper()
	b, err := proto.Marshal(&collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		ScopeSpans: []*tracepb.ScopeSpans{{Spans: spans}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReceive(t *testing.T) {
	r := start(t)
	// The low 56 bits are all ones: every threshold selects them.
	one := trace.TraceID(bytes.Repeat([]byte{0xff}, 16))
	two := one
	two[0] = 2
	parent := bytes.Repeat([]byte{1}, 8)

	body := request(t,
		&tracepb.Span{TraceId: one[:], ParentSpanId: parent, TraceState: "ot=th:8"},
		&tracepb.Span{TraceId: one[:], TraceState: "ot=th:c"},
		&tracepb.Span{TraceId: two[:], ParentSpanId: parent},
		&tracepb.Span{TraceId: []byte("short")},
	)
	if status := post(t, r, "", body); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(request(t, &tracepb.Span{TraceId: two[:]})); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if status := post(t, r, "gzip", zipped.Bytes()); status != http.StatusOK {
		t.Fatalf("status %d for gzip", status)
	}

	traces := r.Traces()
	if len(traces) != 2 {
		t.Fatalf("%d traces, want 2", len(traces))
	}
	if got := traces[one]; got.Spans != 2 || got.Root == nil || math.Abs(got.Weight-4) > 1e-9 || len(got.Whole) != 2 {
		t.Errorf("one: %+v, want 2 spans and the root's weight of 4", got)
	}
	if got := traces[two]; got.Spans != 2 || got.Root == nil || got.Weight != 0 {
		t.Errorf("two: %+v, want 2 spans and no weight", got)
	}
}

func TestReceiveGarbage(t *testing.T) {
	r := start(t)
	for _, encoding := range []string{"", "gzip"} {
		if status := post(t, r, encoding, []byte("garbage")); status != http.StatusBadRequest {
			t.Errorf("encoding %q: status %d", encoding, status)
		}
	}
	if n := len(r.Traces()); n > 0 {
		t.Errorf("%d traces", n)
	}
}
