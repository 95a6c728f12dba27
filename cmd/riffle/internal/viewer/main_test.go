package viewer

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stub is a span as a test writes it.
type stub struct {
	trace, id, parent byte
	service, name     string
	kind              trace.SpanKind
	from, to          time.Duration // since epoch
	failed            bool
	state             string
	attrs             []attribute.KeyValue
	events            []sdktrace.Event
	links             []sdktrace.Link
}

var epoch = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

func traceID(n byte) trace.TraceID { return trace.TraceID{0: 0xaa, 9: 0xff, 15: n} }
func spanID(n byte) trace.SpanID   { return trace.SpanID{0: 0xbb, 7: n} }

func spans(t testing.TB, stubs ...stub) []sdktrace.ReadOnlySpan {
	t.Helper()
	out := make(tracetest.SpanStubs, len(stubs))
	for i, s := range stubs {
		state, err := trace.ParseTraceState(s.state)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = tracetest.SpanStub{
			Name: s.name, SpanKind: s.kind, StartTime: epoch.Add(s.from), EndTime: epoch.Add(s.to),
			SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID(s.trace), SpanID: spanID(s.id), TraceState: state, TraceFlags: trace.FlagsSampled}),
			Attributes:  s.attrs, Events: s.events, Links: s.links,
			Resource: resource.NewSchemaless(attribute.String("service.name", s.service), attribute.String("host.name", s.service+"-1")),
		}
		if s.parent != 0 {
			out[i].Parent = trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID(s.trace), SpanID: spanID(s.parent)})
		}
		if s.failed {
			out[i].Status = sdktrace.Status{Code: codes.Error, Description: "it broke"}
		}
	}
	return out.Snapshots()
}

// noDetector finds nothing.
var noDetector = Detector{
	Trace:  func([]sdktrace.ReadOnlySpan) []findings.Finding { return nil },
	Across: func([]sdktrace.ReadOnlySpan) []findings.Finding { return nil },
	Merge:  func(all []findings.Finding) []findings.Finding { return all },
}

// until polls for a state.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waiting for " + what)
		}
	}
}

// addresses are where a viewer listens.
type addresses struct{ page, http, grpc string }

func startViewer(tb testing.TB, opts Options) (*Viewer, addresses) {
	tb.Helper()
	const free = "127.0.0.1:0"
	opts.Listen, opts.OTLPHTTP, opts.OTLPGRPC = free, free, free
	v, err := start(tb.Context(), opts, 10*time.Millisecond)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(v.Close)
	return v, addresses{v.URL(), "http://" + v.http.String() + "/", v.grpcAddr.String()}
}
