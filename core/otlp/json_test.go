package otlp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/testspans"
)

// testdata/full.json is indented for those who read it.
func TestAppendJSONOfEverything(t *testing.T) {
	indented, err := os.ReadFile("testdata/full.json")
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Compact(&want, indented); err != nil {
		t.Fatal(err)
	}
	line := otlp.AppendJSON(nil, tracetest.SpanStubs{fullSpan()}.Snapshots())
	if !bytes.Equal(want.Bytes(), line) {
		var got bytes.Buffer
		if err := json.Indent(&got, line, "", "  "); err != nil {
			t.Fatalf("%v\n%s", err, line)
		}
		t.Errorf("-want +got:\n%s", gocmp.Diff(string(indented), got.String()))
	}
	spans, err := otlp.DecodeJSON(indented)
	if err != nil {
		t.Fatal(err)
	}
	requireSame(t, tracetest.SpanStubs{fullSpan()}.Snapshots(), spans)
}

const (
	zeroIDs   = `"traceId":"00000000000000000000000000000000","spanId":"0000000000000000","flags":256`
	zeroSpan  = `{` + zeroIDs + `,"status":{}}`
	zeroSpans = `{"scopeSpans":[{"spans":[` + zeroSpan + `]}]}`
)

func TestAppendJSON(t *testing.T) {
	inSpan := func(fields string) string {
		return `{"resourceSpans":[{"scopeSpans":[{"spans":[{` + zeroIDs + fields + `}]}]}]}`
	}
	values := func(vs ...attribute.Value) tracetest.SpanStubs {
		var s tracetest.SpanStub
		for _, v := range vs {
			s.Attributes = append(s.Attributes, attribute.KeyValue{Value: v})
		}
		return tracetest.SpanStubs{s}
	}
	inValues := func(texts ...string) string {
		for i, text := range texts {
			texts[i] = `{"value":{` + text + `}}`
		}
		return inSpan(`,"attributes":[` + strings.Join(texts, ",") + `],"status":{}`)
	}
	for name, tc := range map[string]struct {
		spans tracetest.SpanStubs
		want  string
	}{
		"no spans": {nil, `{}`},
		"zero":     {tracetest.SpanStubs{{}}, `{"resourceSpans":[` + zeroSpans + `]}`},
		"empty resource": {
			tracetest.SpanStubs{{Resource: resource.Empty()}},
			`{"resourceSpans":[{"resource":{},"scopeSpans":[{"spans":[` + zeroSpan + `]}]}]}`,
		},
		"schema URLs alone": {
			tracetest.SpanStubs{{Resource: resource.NewWithAttributes("a"), InstrumentationScope: instrumentation.Scope{Name: "n", SchemaURL: "b"}}},
			`{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{"name":"n"},"spans":[` + zeroSpan + `],"schemaUrl":"b"}],"schemaUrl":"a"}]}`,
		},
		"several of all": {
			tracetest.SpanStubs{{}, {InstrumentationScope: instrumentation.Scope{Name: "n"}}, {}, {Resource: resource.NewSchemaless(attribute.Bool("a", true))}},
			`{"resourceSpans":[{"scopeSpans":[{"spans":[` + zeroSpan + `,` + zeroSpan + `]},{"scope":{"name":"n"},"spans":[` + zeroSpan + `]}]},` +
				`{"resource":{"attributes":[{"key":"a","value":{"boolValue":true}}]},"scopeSpans":[{"spans":[` + zeroSpan + `]}]}]}`,
		},
		"out of range": {
			tracetest.SpanStubs{{DroppedAttributes: -1, DroppedEvents: math.MaxInt, StartTime: time.Unix(-1, 0), SpanKind: 99, Status: sdktrace.Status{Code: 99}}},
			inSpan(`,"droppedEventsCount":4294967295,"status":{}`),
		},
		"empty event and link": {
			tracetest.SpanStubs{{Events: make([]sdktrace.Event, 2), Links: make([]sdktrace.Link, 2)}},
			inSpan(`,"events":[{},{}],"links":[{` + zeroIDs + `},{` + zeroIDs + `}],"status":{}`),
		},
		"doubles": {
			values(attribute.Float64SliceValue([]float64{
				math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1, -1.5, 0.1, 1e-6, 9.99e-7, 1e21, 123456789012345680000, math.MaxFloat64, math.SmallestNonzeroFloat64,
			})),
			inValues(`"arrayValue":{"values":[{"doubleValue":"NaN"},{"doubleValue":"Infinity"},{"doubleValue":"-Infinity"},{"doubleValue":0},{"doubleValue":-0},` +
				`{"doubleValue":1},{"doubleValue":-1.5},{"doubleValue":0.1},{"doubleValue":0.000001},{"doubleValue":9.99e-07},{"doubleValue":1e+21},` +
				`{"doubleValue":123456789012345680000},{"doubleValue":1.7976931348623157e+308},{"doubleValue":5e-324}]}`),
		},
		"integers": {
			values(attribute.Int64SliceValue([]int64{0, math.MaxInt64, math.MinInt64})),
			inValues(`"arrayValue":{"values":[{"intValue":"0"},{"intValue":"9223372036854775807"},{"intValue":"-9223372036854775808"}]}`),
		},
		"bytes": {
			values(attribute.ByteSliceValue(nil), attribute.ByteSliceValue([]byte{0xfb}), attribute.ByteSliceValue([]byte{0xff, 0xef, 0xff})),
			inValues(`"bytesValue":""`, `"bytesValue":"+w=="`, `"bytesValue":"/+//"`),
		},
		"empty values": {
			values(attribute.Value{}, attribute.StringValue(""), attribute.SliceValue(), attribute.MapValue(), attribute.SliceValue(attribute.Value{})),
			inValues("", `"stringValue":""`, `"arrayValue":{}`, `"kvlistValue":{}`, `"arrayValue":{"values":[{}]}`),
		},
		"strings": {
			values(attribute.StringValue("\x00\b\t\n\v\f\r\x1f \"\\/<>&\x7fü\u2028世🙂"), attribute.StringValue("a\xff\xfeb\xc3")),
			inValues(`"stringValue":"\u0000\u0008\t\n\u000b\u000c\r\u001f \"\\/<>&`+"\x7fü\u2028世🙂"+`"`, `"stringValue":"a`+"\uFFFDb\uFFFD"+`"`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := otlp.AppendJSON(nil, tc.spans.Snapshots())
			if diff := gocmp.Diff(tc.want, string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			requireJSONRoundTrip(t, tc.spans.Snapshots())
		})
	}
}

// A tracestate may hold quotes and backslashes.
func TestAppendJSONEscapesTraceState(t *testing.T) {
	state, err := trace.ParseTraceState(`a="\,b=c`)
	if err != nil {
		t.Fatal(err)
	}
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceState: state})
	spans := tracetest.SpanStubs{{SpanContext: sc, Links: []sdktrace.Link{{SpanContext: sc}}}}.Snapshots()
	if got := otlp.AppendJSON(nil, spans); bytes.Count(got, []byte(`"traceState":"a=\"\\,b=c"`)) != 2 {
		t.Errorf("got %s", got)
	}
	requireJSONRoundTrip(t, spans)
}

func TestAppendJSONAppends(t *testing.T) {
	spans := append(testspans.Service(t, 3), nil)
	for _, n := range []int{0, 1, 100, 10_000} {
		dst := slices.Grow([]byte(`{"kept":[`), n)
		got, rest := otlp.AppendJSON(dst, spans), otlp.AppendJSON(nil, spans)
		if string(got) != `{"kept":[`+string(rest) {
			t.Errorf("with %d bytes to spare, dst was not kept or its extension is wrong: %s", n, got)
		}
	}
}

func TestJSONOfInvalidUTF8(t *testing.T) {
	const bad, good = "a\xff\xfeb\xc3", "a\uFFFDb\uFFFD"
	span := func(s string) []sdktrace.ReadOnlySpan {
		attrs := []attribute.KeyValue{attribute.String("k"+s, s), {Key: "map", Value: attribute.MapValue(attribute.String("k"+s, s))}}
		return tracetest.SpanStubs{{
			Name:                 s,
			Attributes:           attrs,
			Events:               []sdktrace.Event{{Name: s, Attributes: attrs}},
			Links:                []sdktrace.Link{{Attributes: attrs}},
			Status:               sdktrace.Status{Code: codes.Error, Description: s},
			Resource:             resource.NewWithAttributes(s, attrs...),
			InstrumentationScope: instrumentation.Scope{Name: s, Version: s, SchemaURL: s, Attributes: attribute.NewSet(slices.Clone(attrs)...)},
		}}.Snapshots()
	}
	if diff := gocmp.Diff(string(otlp.AppendJSON(nil, span(good))), string(otlp.AppendJSON(nil, span(bad)))); diff != "" {
		t.Errorf("JSON differs from that of the repaired strings (-want +got):\n%s", diff)
	}
}

func TestJSONRoundTrip(t *testing.T) {
	requireJSONRoundTrip(t, testspans.Service(t, 700))
	for seed := range uint64(200) {
		requireJSONRoundTrip(t, testspans.Random(seed))
	}
}

// requireJSONRoundTrip fails unless JSON carries what protobuf carries.
func requireJSONRoundTrip(t *testing.T, spans []sdktrace.ReadOnlySpan) {
	t.Helper()
	line := otlp.AppendJSON(nil, spans)
	if bytes.ContainsAny(line, "\n\r") {
		t.Fatalf("more than a line: %q", line)
	}
	decoded, err := otlp.DecodeJSON(line)
	if err != nil {
		t.Fatalf("%v\n%s", err, line)
	}
	requireSame(t, spans, decoded)
	if again := otlp.AppendJSON(nil, decoded); !bytes.Equal(line, again) {
		t.Fatalf("encoding the decoded spans gave another line:\n%s", gocmp.Diff(string(line), string(again)))
	}
}

// requireSame fails unless the spans are the same in protobuf.
func requireSame(t *testing.T, want, got []sdktrace.ReadOnlySpan) {
	t.Helper()
	if !bytes.Equal(otlp.AppendRequest(nil, want), otlp.AppendRequest(nil, got)) {
		t.Fatalf("other spans came back (-want +got):\n%s",
			gocmp.Diff(string(otlp.AppendJSON(nil, want)), string(otlp.AppendJSON(nil, got))))
	}
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add(otlp.AppendJSON(nil, tracetest.SpanStubs{fullSpan()}.Snapshots()))
	f.Add([]byte(nestedJSON(10)))
	for _, text := range foreign {
		f.Add([]byte(text))
	}
	for seed := range uint64(20) {
		f.Add(otlp.AppendJSON(nil, testspans.Random(seed)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spans, err := otlp.DecodeJSON(data)
		if err != nil {
			return
		}
		// Valid counts brackets instead of messages, and goes to 10,000.
		if len(data) < 10_000 && !json.Valid(data) {
			t.Fatal("decoded what is not JSON")
		}
		requireJSONRoundTrip(t, spans)
		requireRoundTrip(t, spans)
	})
}

func TestJSONConcurrentSafe(t *testing.T) {
	batches := [][]sdktrace.ReadOnlySpan{testspans.Service(t, 50), testspans.Random(1), testspans.Random(2), testspans.Random(3)}
	want := make([][]byte, len(batches))
	for i, spans := range batches {
		want[i] = otlp.AppendJSON(nil, spans)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				i = (g + i) % len(batches)
				line := otlp.AppendJSON(nil, batches[i])
				if !bytes.Equal(line, want[i]) {
					t.Error("other goroutines changed the line")
					return
				}
				if _, err := otlp.DecodeJSON(line); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func ExampleAppendJSON() {
	line := otlp.AppendJSON(nil, tracetest.SpanStubs{{Name: "GET /"}}.Snapshots())
	fmt.Println(string(line))
	spans, err := otlp.DecodeJSON(line)
	fmt.Println(spans[0].Name(), err)
	// Output:
	// {"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000000","spanId":"0000000000000000","flags":256,"name":"GET /","status":{}}]}]}]}
	// GET / <nil>
}
