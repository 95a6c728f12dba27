package outside

import (
	"testing"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Whatever way spans are sent, each is counted.
func TestCounts(t *testing.T) {
	s, err := Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plain, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpoint(s.HTTP), otlptracehttp.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	zipped, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpoint(s.HTTP), otlptracehttp.WithInsecure(),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	if err != nil {
		t.Fatal(err)
	}
	rpc, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpoint(s.GRPC), otlptracegrpc.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range []sdktrace.SpanExporter{plain, zipped, rpc} {
		before := s.Counts()
		p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(e))
		for range 100 * (i + 1) {
			_, span := p.Tracer("test").Start(t.Context(), "span")
			span.End()
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := s.Counts()
		if got := after.Spans - before.Spans; got != uint64(100*(i+1)) {
			t.Errorf("exporter %d: %d spans arrived, want %d", i, got, 100*(i+1))
		}
		if after.Requests == before.Requests || after.Bytes == before.Bytes {
			t.Errorf("exporter %d: %+v, then %+v", i, before, after)
		}
	}
}

// The quick count is that of the decoder, whatever the bytes.
func FuzzCountSpans(f *testing.F) {
	b, err := proto.Marshal(&coltracepb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{
		{ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{Name: "a"}, {}}}, {Spans: []*tracepb.Span{{Name: "b"}}}}},
		{},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("garbage"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := CountSpans(b)
		var m coltracepb.ExportTraceServiceRequest
		if proto.Unmarshal(b, &m) != nil {
			return
		}
		if err != nil {
			t.Fatalf("%v, but it can be decoded", err)
		}
		want := 0
		for _, rs := range m.GetResourceSpans() {
			for _, ss := range rs.GetScopeSpans() {
				want += len(ss.GetSpans())
			}
		}
		if got != want {
			t.Fatalf("%d spans, want %d", got, want)
		}
	})
}
