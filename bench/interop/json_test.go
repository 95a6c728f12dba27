package interop

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/testspans"
)

// TestJSON holds riffle's JSON to that of the Collector, in both directions.
// Either comes to the same spans through protobuf.
func TestJSON(t *testing.T) {
	batches := map[string][]sdktrace.ReadOnlySpan{
		"no spans":  nil,
		"a service": testspans.Service(t, 100),
		"not a number": tracetest.SpanStubs{{Attributes: []attribute.KeyValue{
			attribute.Float64Slice("nan", []float64{math.NaN(), 1e-7, 1e21, math.MaxFloat64, math.SmallestNonzeroFloat64}),
		}}}.Snapshots(),
		"characters": tracetest.SpanStubs{{Name: everyCharacter()}}.Snapshots(),
	}
	for seed := range uint64(500) {
		batches[fmt.Sprint("random ", seed)] = testspans.Random(seed)
	}
	for name, spans := range batches {
		t.Run(name, func(t *testing.T) {
			line := otlp.AppendJSON(nil, spans)
			want := fromProto(t, otlp.AppendRequest(nil, spans))
			got, err := new(ptrace.JSONUnmarshaler).UnmarshalTraces(line)
			if err != nil {
				t.Fatalf("%v\n%s", err, line)
			}
			if w, g := toProto(t, want), toProto(t, got); !bytes.Equal(w, g) {
				t.Errorf("the Collector reads other spans from JSON than from protobuf (-want +got):\n%s", cmp.Diff(toJSON(t, want), toJSON(t, got)))
			}
			if w, g := inBoth(toJSON(t, want)), inBoth(string(line)); w != g {
				t.Errorf("riffle writes another text (-Collector +riffle):\n%s", cmp.Diff(w, g))
			}

			giveIDs(want)
			text := toJSON(t, want)
			fromJSON, err := otlp.DecodeJSON([]byte(text))
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			fromProto, err := otlp.Decode(toProto(t, want))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(otlp.AppendRequest(nil, fromProto), otlp.AppendRequest(nil, fromJSON)) {
				t.Errorf("riffle reads other spans from JSON than from protobuf (-want +got):\n%s",
					cmp.Diff(string(otlp.AppendJSON(nil, fromProto)), string(otlp.AppendJSON(nil, fromJSON))))
			}
		})
	}
}

// everyCharacter is a text of the first characters and some others.
func everyCharacter() string {
	var s strings.Builder
	for r := range rune(0x180) {
		s.WriteRune(r)
	}
	return s.String() + "\u2028\u2029\uFFFD\uFFFF🙂"
}

// inBoth leaves out what one of the two always writes and the other only if it is
// there: for the Collector, that is resources and scopes, for riffle IDs. The SDK
// leaves none of them empty but the IDs of a link.
func inBoth(text string) string {
	return strings.NewReplacer(
		`"resource":{},`, ``,
		`"scope":{},`, ``,
		`"traceId":"00000000000000000000000000000000",`, ``,
		`"spanId":"0000000000000000",`, ``,
	).Replace(text)
}

// giveIDs gives IDs to spans and links that have none, as the Collector leaves
// them out, which riffle does not take.
func giveIDs(traces ptrace.Traces) {
	traceID, spanID := pcommon.TraceID{1}, pcommon.SpanID{1}
	for _, rs := range traces.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				if s.TraceID().IsEmpty() {
					s.SetTraceID(traceID)
				}
				if s.SpanID().IsEmpty() {
					s.SetSpanID(spanID)
				}
				for _, l := range s.Links().All() {
					if l.TraceID().IsEmpty() {
						l.SetTraceID(traceID)
					}
					if l.SpanID().IsEmpty() {
						l.SetSpanID(spanID)
					}
				}
			}
		}
	}
}

func fromProto(tb testing.TB, b []byte) ptrace.Traces {
	tb.Helper()
	traces, err := new(ptrace.ProtoUnmarshaler).UnmarshalTraces(b)
	if err != nil {
		tb.Fatal(err)
	}
	return traces
}

func toProto(tb testing.TB, traces ptrace.Traces) []byte {
	tb.Helper()
	b, err := new(ptrace.ProtoMarshaler).MarshalTraces(traces)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func toJSON(tb testing.TB, traces ptrace.Traces) string {
	tb.Helper()
	return string(marshal(tb, traces))
}

func marshal(tb testing.TB, traces ptrace.Traces) []byte {
	tb.Helper()
	b, err := new(ptrace.JSONMarshaler).MarshalTraces(traces)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// BenchmarkJSON takes spans to a line. The Collector's marshaler works on
// messages, which spans become by way of protobuf; impl=pdata-marshaler has them
// already.
func BenchmarkJSON(b *testing.B) {
	const batch = 512
	spans := testspans.Service(b, batch)
	messages := fromProto(b, otlp.AppendRequest(nil, spans))
	var buf, request []byte
	for _, impl := range []struct {
		name   string
		encode func()
	}{
		{"riffle", func() { buf = otlp.AppendJSON(buf[:0], spans) }},
		{"pdata", func() {
			request = otlp.AppendRequest(request[:0], spans)
			marshal(b, fromProto(b, request))
		}},
		{"pdata-marshaler", func() { marshal(b, messages) }},
	} {
		b.Run(fmt.Sprintf("impl=%s/spans=%d", impl.name, batch), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				impl.encode()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/span")
		})
	}
}
