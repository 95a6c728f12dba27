package receive

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/otlptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// taken is what was handed over; as many spans as reject says are refused.
type taken struct {
	mu     sync.Mutex
	names  []string
	reject int
}

func (t *taken) take(spans []sdktrace.ReadOnlySpan) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range spans {
		t.names = append(t.names, s.Name())
	}
	return t.reject
}

func (t *taken) all() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.names, " ")
}

func zipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type sent struct {
	method, path, contentType, encoding string
	body                                []byte
}

func send(t *testing.T, url string, s sent) (code int, contentType string, body []byte) {
	t.Helper()
	if s.method == "" {
		s.method = http.MethodPost
	}
	if s.path == "" {
		s.path = path
	}
	req, err := http.NewRequestWithContext(t.Context(), s.method, url+s.path, bytes.NewReader(s.body))
	if err != nil {
		t.Fatal(err)
	}
	if s.contentType != "" {
		req.Header.Set("Content-Type", s.contentType)
	}
	if s.encoding != "" {
		req.Header.Set("Content-Encoding", s.encoding)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), body
}

func TestHTTP(t *testing.T) {
	var got taken
	server := httptest.NewServer(New(got.take))
	defer server.Close()
	one := func(name string) []byte { return otlp.AppendRequest(nil, otlptest.Spans(name)) }
	big := bytes.Repeat([]byte{0}, MaxBody+1)
	for name, test := range map[string]struct {
		sent
		want int
	}{
		"protobuf":           {sent{contentType: protobuf, body: one("a")}, http.StatusOK},
		"json":               {sent{contentType: jsonText, body: otlp.AppendJSON(nil, otlptest.Spans("b"))}, http.StatusOK},
		"json of a charset":  {sent{contentType: jsonText + "; charset=utf-8", body: []byte("{}")}, http.StatusOK},
		"gzip":               {sent{contentType: protobuf, encoding: "gzip", body: zipped(t, one("c"))}, http.StatusOK},
		"empty":              {sent{contentType: protobuf}, http.StatusOK},
		"garbage":            {sent{contentType: protobuf, body: []byte("garbage")}, http.StatusBadRequest},
		"no JSON":            {sent{contentType: jsonText, body: []byte("{")}, http.StatusBadRequest},
		"no gzip":            {sent{contentType: protobuf, encoding: "gzip", body: []byte("x")}, http.StatusBadRequest},
		"other encoding":     {sent{contentType: protobuf, encoding: "br"}, http.StatusUnsupportedMediaType},
		"text":               {sent{contentType: "text/plain", body: one("x")}, http.StatusUnsupportedMediaType},
		"a form":             {sent{contentType: "application/x-www-form-urlencoded", body: one("x")}, http.StatusUnsupportedMediaType},
		"a form of parts":    {sent{contentType: "multipart/form-data; boundary=x", body: one("x")}, http.StatusUnsupportedMediaType},
		"nothing said":       {sent{body: one("x")}, http.StatusUnsupportedMediaType},
		"too large":          {sent{contentType: protobuf, body: big}, http.StatusRequestEntityTooLarge},
		"too large unzipped": {sent{contentType: protobuf, encoding: "gzip", body: zipped(t, big)}, http.StatusRequestEntityTooLarge},
		"GET":                {sent{method: http.MethodGet}, http.StatusMethodNotAllowed},
		"may I? (CORS)":      {sent{method: http.MethodOptions}, http.StatusMethodNotAllowed},
		"logs":               {sent{path: "/v1/logs", contentType: protobuf}, http.StatusNotFound},
	} {
		code, contentType, body := send(t, server.URL, test.sent)
		wantType := protobuf
		if strings.HasPrefix(test.contentType, jsonText) {
			wantType = jsonText
		}
		if code != test.want || contentType != wantType {
			t.Errorf("%s: %d %s, want %d %s", name, code, contentType, test.want, wantType)
		}
		if contentType == jsonText && !bytes.HasPrefix(body, []byte("{")) || code != http.StatusOK && len(body) == 0 || len(body) > 2000 {
			t.Errorf("%s: %q", name, body)
		}
	}
	for _, name := range []string{"a", "b", "c"} {
		if !strings.Contains(got.all(), name) {
			t.Errorf("%s did not come: %s", name, got.all())
		}
	}
	if strings.Contains(got.all(), "x") {
		t.Errorf("what was refused came: %s", got.all())
	}
}

// Who sends learns what was not taken.
func TestPartialSuccess(t *testing.T) {
	got := taken{reject: 2}
	r := New(got.take)
	server := httptest.NewServer(r)
	defer server.Close()
	body := otlp.AppendRequest(nil, otlptest.Spans("a", "b", "c"))
	var msg collectorpb.ExportTraceServiceResponse
	if _, _, answer := send(t, server.URL, sent{contentType: protobuf, body: body}); proto.Unmarshal(answer, &msg) != nil || msg.GetPartialSuccess().GetRejectedSpans() != 2 || !strings.HasPrefix(msg.GetPartialSuccess().GetErrorMessage(), "2 of 3 spans ") {
		t.Errorf("protobuf: %v", &msg)
	}
	msg.Reset()
	if _, _, answer := send(t, server.URL, sent{contentType: jsonText, body: otlp.AppendJSON(nil, otlptest.Spans("a", "b", "c"))}); protojson.Unmarshal(answer, &msg) != nil || msg.GetPartialSuccess().GetRejectedSpans() != 2 {
		t.Errorf("JSON: %s", answer)
	}
	var in collectorpb.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &in); err != nil {
		t.Fatal(err)
	}
	answer, err := collectorpb.NewTraceServiceClient(dial(t, r)).Export(t.Context(), &in)
	if err != nil || answer.GetPartialSuccess().GetRejectedSpans() != 2 {
		t.Errorf("gRPC: %v, %v", answer, err)
	}
}

func dial(t *testing.T, r *Receiver) *grpc.ClientConn {
	t.Helper()
	c, err := grpc.NewClient(serveGRPC(t, r), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func serveGRPC(t *testing.T, r *Receiver) (address string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := r.GRPC()
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return l.Addr().String()
}

func TestGRPC(t *testing.T) {
	var got taken
	client := collectorpb.NewTraceServiceClient(dial(t, New(got.take)))
	var in collectorpb.ExportTraceServiceRequest
	if err := proto.Unmarshal(otlp.AppendRequest(nil, otlptest.Spans("a")), &in); err != nil {
		t.Fatal(err)
	}
	for _, opts := range [][]grpc.CallOption{nil, {grpc.UseCompressor(grpcgzip.Name)}} {
		if _, err := client.Export(t.Context(), &in, opts...); err != nil {
			t.Error(err)
		}
	}
	if got.all() != "a a" {
		t.Errorf("got %q", got.all())
	}
	bad := &collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{TraceId: []byte("short")}}}}}}}
	if _, err := client.Export(t.Context(), bad); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "trace ID of 5 bytes") {
		t.Errorf("a bad ID: %v", err)
	}
	in.ResourceSpans[0].SchemaUrl = strings.Repeat("x", MaxBody)
	for _, opts := range [][]grpc.CallOption{nil, {grpc.UseCompressor(grpcgzip.Name)}} {
		if _, err := client.Export(t.Context(), &in, opts...); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("too large: %v", err)
		}
	}
}

// OpenTelemetry's own exporters are understood.
func TestExportersOfTheSDK(t *testing.T) {
	var got taken
	r := New(got.take)
	server := httptest.NewServer(r)
	defer server.Close()
	overHTTP, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(server.URL+path), otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	if err != nil {
		t.Fatal(err)
	}
	overGRPC, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpoint(serveGRPC(t, r)), otlptracegrpc.WithInsecure(), otlptracegrpc.WithCompressor(grpcgzip.Name))
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]sdktrace.SpanExporter{"http": overHTTP, "grpc": overGRPC} {
		if err := e.ExportSpans(t.Context(), otlptest.Spans(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := e.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(got.all(), name) {
			t.Errorf("%s did not come", name)
		}
	}
}

// Whatever is sent, there is an answer, and it is short.
func FuzzHTTP(f *testing.F) {
	f.Add(otlp.AppendRequest(nil, otlptest.Spans("a")), protobuf, "")
	f.Add(otlp.AppendJSON(nil, otlptest.Spans("a")), jsonText, "gzip")
	r := New(func([]sdktrace.ReadOnlySpan) int { return 0 })
	f.Fuzz(func(t *testing.T, body []byte, contentType, encoding string) {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body))
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("Content-Encoding", encoding)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if w.Body.Len() > 4<<10 || w.Code == 0 {
			t.Errorf("%d: %d bytes", w.Code, w.Body.Len())
		}
	})
}
