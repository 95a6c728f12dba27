package spanfile_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/riffletrace/riffle/cmd/riffle/internal/spanfile"
	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/exporters/file"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// testdata/jaeger.json is written by hand after internal/uimodel of Jaeger v1.76.0, which
// its API and its page's download encode.
func TestJaeger(t *testing.T) {
	data, err := os.ReadFile("testdata/jaeger.json")
	if err != nil {
		t.Fatal(err)
	}
	parent := trace.SpanID{0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31}
	traceID := trace.TraceID{8: 0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6}
	for name, text := range map[string][]byte{
		"indented": data, "twice": append(data, data...), "gzip": gzipped(data),
		"in one line":   compact(t, data),
		"another order": []byte(`{"errors":null,"data":` + strings.TrimSpace(string(data[strings.Index(string(data), "["):strings.LastIndex(string(data), "]")+1])) + `}`),
	} {
		t.Run(name, func(t *testing.T) {
			spans, err := read(t, "-", text)
			if err != nil {
				t.Fatal(err)
			}
			if name == "twice" {
				wantSame(t, spans[:2], spans[2:])
			}
			server, query := spans[0], spans[1]
			got := tracetest.SpanStubFromReadOnlySpan(server)
			if got.Name != "GET /orders/{id}" || got.SpanContext.TraceID() != traceID || got.SpanContext.SpanID() != parent ||
				!got.SpanContext.IsSampled() || got.SpanContext.TraceState().String() != "ot=th:8" || got.Parent.IsValid() ||
				got.SpanKind != trace.SpanKindServer || got.StartTime.UnixNano() != 1767366245000123000 || got.EndTime.Sub(got.StartTime).String() != "45ms" ||
				got.Status.Code != codes.Error || got.Status.Description != "no such order" ||
				got.InstrumentationScope.Name != "example.com/orders" || got.InstrumentationScope.Version != "1.2.3" ||
				got.Resource.String() != "host.name=web-1,service.name=orders" {
				t.Errorf("got %+v", got)
			}
			attrs := []attribute.KeyValue{
				attribute.Int("http.response.status_code", 500), attribute.Float64("quota", .5), attribute.Bool("cached", false),
				{Key: "raw", Value: attribute.ByteSliceValue([]byte{1, 2})},
			}
			if diff := cmp.Diff(attrs, got.Attributes, cmp.Comparer(func(a, b attribute.Value) bool { return a.Type() == b.Type() && a.String() == b.String() })); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if e := got.Events[0]; e.Name != "exception" || e.Time.UnixMicro() != 1767366245001123 || len(e.Attributes) != 1 {
				t.Errorf("got %+v", e)
			}
			got = tracetest.SpanStubFromReadOnlySpan(query)
			if got.Parent.SpanID() != parent || got.SpanContext.SpanID().String() != "0000007169203331" || got.Status.Code != codes.Unset || len(got.Links) != 2 ||
				got.Links[0].SpanContext.SpanID() != (trace.SpanID{7: 1}) || got.Links[0].Attributes[0] != attribute.String("opentracing.ref_type", "follows_from") ||
				got.Links[1].SpanContext.TraceID().String() != "4bf92f3577b34da6a3ce929d0e0e4736" || got.Attributes[0] != attribute.String("error", "timed out") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func compact(t *testing.T, text []byte) []byte {
	t.Helper()
	lines := strings.Split(string(text), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSpace(l)
	}
	return []byte(strings.Join(lines, ""))
}

// testdata/collector.json is written by hand after the README of the Collector's
// exporter "file", which a pipeline of traces and one of logs may share:
// https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/fileexporter
func TestCollector(t *testing.T) {
	spans, err := read(t, "testdata/collector.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(spans); got != "checkout pay" || spans[1].Status().Description != "declined" {
		t.Errorf("got %s", got)
	}
}

// What is wrong is said with its place, and costs as little as can be.
func TestMistakes(t *testing.T) {
	a, b := string(otlp.AppendJSON(nil, otlptest.Spans("a")))+"\n", string(otlp.AppendJSON(nil, otlptest.Spans("b")))+"\n"
	pretty := string(indented(t, []byte(a)))
	message := string(otlp.AppendRequest(nil, otlptest.Spans("a")))
	jaeger, err := os.ReadFile("testdata/jaeger.json")
	if err != nil {
		t.Fatal(err)
	}
	sdk, err := os.ReadFile(exported(t, file.JSON, otlptest.Spans("a")))
	if err != nil {
		t.Fatal(err)
	}
	const cut = ": it is cut: the file ends in the middle"
	deep := strings.Repeat("[", 100_000)
	for name, tc := range map[string]struct {
		in, spans, want string
		some            bool // the error is ErrIncomplete
	}{
		"nothing":               {"", "", "stdin: no spans in it: want OTLP", false},
		"space":                 {" \n\n", "", "stdin: no spans in it", false},
		"text":                  {"hello\n" + a, "", "stdin: no spans in it", false},
		"binary":                {"\x7fELF\x02\x01", "", "stdin: no spans in it", false},
		"logs":                  {`{"resourceLogs":[]}`, "", "stdin: no spans in it", false},
		"list":                  {"[" + a + "]", "", "stdin:1: want a JSON object: OTLP's with resourceSpans", false},
		"other JSON":            {`{"a":1}` + "\n", "", "stdin:1: want a JSON object", false},
		"other lines":           {strings.Repeat(`{"a":1}`+"\n", 9), "", "; and 4 more that could not be read", false},
		"last line":             {a + b[:40], "a", "stdin:2" + cut, true},
		"last line, not quoted": {a + b[:18], "a", "stdin:2" + cut, true},
		"line in the middle":    {a + b[:40] + "\n" + b + a, "a b a", "stdin:2" + cut, true},
		"the same, not quoted":  {a + b[:18] + "\n" + b + a, "a b a", "stdin:2" + cut, true},
		"first line":            {a[:40] + "\n" + b, "b", "stdin:1" + cut, true},
		"no object":             {a + "hello\n" + b, "a b", "stdin:2: want a JSON object", true},
		"a field":               {a + `{"resourceSpans":[{"scopeSpans":7}]}` + "\n" + b, "a b", "stdin:2: decoding OTLP: resourceSpans[0].scopeSpans: a number instead of an array", true},
		"a line, indented":      {pretty + `{"resourceSpans":7}`, "a", "stdin:" + itoa(strings.Count(pretty, "\n")+1) + ": decoding OTLP", true},
		"indented":              {a + pretty[:len(pretty)/2], "a", "stdin:2" + cut, true},
		"deep":                  {a + `{"resourceSpans":[{"a":` + deep + "\n", "a", "stdin:2" + cut, true},
		"deep, other":           {a + `{"a":` + deep + strings.Repeat("]", len(deep)) + "}\n", "a", "stdin:2: not JSON: ", true},
		"deep, of the SDK":      {string(sdk) + strings.Replace(string(sdk), `"Attributes":null`, `"Attributes":[{"Key":"k","Value":`+strings.Repeat(`{"Type":"SLICE","Value":[`, 1000)+strings.Repeat("]}", 1000)+"}]", 1), "a", "stdin:2: a span of the SDK: \"a\": attribute \"k\": values nest deeper than 64", true},
		"IDs of the SDK":        {a + `{"Name":"x","SpanContext":{"TraceID":"x"}}`, "a", `stdin:2: a span of the SDK: "x": TraceID "x" is not 1 to 32 hex digits`, true},
		"gzip":                  {string(gzipped([]byte(a + b))[:60]), "", "stdin:", false},
		"gzip, after a line":    {string(gzipped([]byte(a))) + string(gzipped([]byte(b)))[:30], "a", "stdin:2" + cut, true},
		"Jaeger's trace":        {`{"data":[{"traceID":"1","spans":[{"spanID":"1","operationName":"x"}]},` + "\n" + `{"traceID":"1","spans":[{"spanID":"y","operationName":"z"}]}]}`, "x", `stdin:2: a trace of Jaeger: spans[0] "z": spanID "y" is not 1 to 16 hex digits`, true},
		"Jaeger's times":        {`{"data":[{"traceID":"1","spans":[{"spanID":"1","startTime":-1}]}]}`, "", "startTime: -1 µs is no time that can be told", false},
		"Jaeger's file":         {string(jaeger[:2000]), "", "stdin:38" + cut, false},
		"Jaeger's error":        {`{"data":null,"errors":[{"code":404,"msg":"trace not found"}]}`, "", "stdin: no spans in it", false},
		"protobuf":              {message + message[:20], "a", "stdin: at byte " + itoa(len(message)) + cut, true},
		"protobuf's field":      {message + "\x12\x00", "a", "stdin: at byte " + itoa(len(message)) + ": field 2 of wire type 2", false},
		"protobuf's size":       {message + "\x0a\xff\xff\xff\xff\x0f", "a", "more than 67108864 are not read", false},
		"protobuf's claim":      {message + "\x0a\xff\xff\xff\x1f", "a", cut, true},
		"protobuf's span":       {"\x0a\x04\x12\x02\x12\x00" + message, "a", "stdin: at byte 0: decoding OTLP: resource_spans[0].scope_spans[0].spans[0] \"\": trace ID of 0 bytes", true},
		"frames":                {string(framed([]byte(message), []byte(message[:9]), []byte(message))), "a a", "stdin: at byte " + itoa(len(message)+4) + ": decoding OTLP", true},
		"frames' end":           {string(framed([]byte(message))) + "\x00\x00", "a", "stdin: at byte " + itoa(len(message)+4) + cut, true},
		"frames' size":          {string(framed([]byte(message))) + "\x7f\x00\x00\x00", "a", "more than 67108864 are not read", false},
		"frames' bomb":          {string(framed(zstandard(make([]byte, 65<<20)), []byte(message))), "a", "stdin: at byte 0: ", true},
		"batch":                 {"riffle\x00\xb6 and so on", "", "stdin: ", false},
		"hostile text":          {a + `{"Name":"\u001b]0;x\u0007","SpanContext":{"TraceID":"\u001b[2J"}}`, "a", "stdin:2: ", true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := read(t, "-", []byte(tc.in))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
			if some := errors.Is(err, spanfile.ErrIncomplete); some != tc.some {
				t.Errorf("ErrIncomplete is %v, want %v: %v", some, tc.some, err)
			}
			if strings.ContainsAny(err.Error(), "\x1b\x07") || len(err.Error()) > 8<<10 {
				t.Errorf("not fit to be shown: %q", err)
			}
			if names(got) != tc.spans {
				t.Errorf("spans %q, want %q", names(got), tc.spans)
			}
		})
	}
}

func itoa(n int) string { return attribute.IntValue(n).String() }

// A line that is too long costs itself, and not the memory that it would take.
func TestLongLine(t *testing.T) {
	a := string(otlp.AppendJSON(nil, otlptest.Spans("a"))) + "\n"
	in := a + `{"resourceSpans":[` + strings.Repeat(" ", 65<<20) + "]}\n" + a
	got, err := read(t, "-", []byte(in))
	if !errors.Is(err, spanfile.ErrIncomplete) || !strings.Contains(err.Error(), "stdin:2: longer than 64 MiB") || names(got) != "a a" {
		t.Errorf("%s: %v", names(got), err)
	}
}

// Empty messages are larger in memory than in a file: no more are decoded at once than
// any machine has room for.
func TestManyMessages(t *testing.T) {
	const n = 2_000_001
	const span = `{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"b","attributes":[`
	objects := strings.Repeat("{},", n-1) + "{}"
	a := string(otlp.AppendRequest(nil, otlptest.Spans("a")))
	many := protowire.AppendBytes([]byte{0x0a}, protowire.AppendBytes([]byte{0x12}, bytes.Repeat([]byte{0x12, 0}, n)))
	for name, in := range map[string]string{
		"JSON":             string(otlp.AppendJSON(nil, otlptest.Spans("a"))) + "\n" + `{"resourceSpans":[{"scopeSpans":[{"spans":[` + span + objects + `]}]}]}]}`,
		"protobuf":         a + string(many),
		"protobuf, framed": string(framed([]byte(a), many)),
		"Jaeger":           `{"data":[{"traceID":"1","spans":[{"spanID":"1","operationName":"a"}]},{"traceID":"1","spans":[` + objects + `]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := read(t, "-", []byte(in))
			if !errors.Is(err, spanfile.ErrIncomplete) || !strings.Contains(err.Error(), "more than 2000000 messages or objects in one") || names(got) != "a" {
				t.Errorf("%s: %v", names(got), err)
			}
		})
	}
}

// TestDeepProtobuf: values in values end no stack.
func TestDeepProtobuf(t *testing.T) {
	const depth, padding = 300_000, 2 << 20
	in := protowire.AppendBytes([]byte{0x0a}, bytes.Repeat([]byte{'x'}, padding)) // the text of the innermost value
	sizes := []int{len(in)}
	for i := range 2 * depth { // an array in an array and so on
		sizes = append(sizes, 1+protowire.SizeBytes(sizes[i]))
	}
	path := []byte{0x0a, 0x0a, 0x0a, 0x12} // resource_spans, resource, attributes, value
	for range path {
		sizes = append(sizes, 1+protowire.SizeBytes(sizes[len(sizes)-1]))
	}
	var out []byte
	for i := len(sizes) - 2; i >= 0; i-- {
		tag := byte(0x0a)
		switch outer := len(sizes) - 2 - i; {
		case outer < len(path):
			tag = path[outer]
		case i%2 == 1:
			tag = 0x2a
		}
		out = protowire.AppendVarint(append(out, tag), uint64(sizes[i]))
	}
	_, err := read(t, "-", append(out, in...))
	if err == nil || !strings.Contains(err.Error(), "at byte 0: decoding OTLP") {
		t.Errorf("got %v", err)
	}
}

// FuzzRead: whatever a file holds, reading it ends, does not panic, and says what is
// wrong in text that is fit to be shown.
func FuzzRead(f *testing.F) {
	spans := otlptest.Spans("a", "b")
	for _, data := range forms(f, spans) {
		f.Add(data)
		f.Add(gzipped(data))
	}
	for _, name := range []string{"testdata/jaeger.json", "testdata/collector.json"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := read(t, "-", data)
		if err == nil && len(got) == 0 {
			t.Error("nothing was read, and no error")
		}
		if err != nil && errors.Is(err, spanfile.ErrIncomplete) && len(got) == 0 {
			t.Errorf("nothing was read: %v", err)
		}
		otlp.AppendRequest(nil, got) // what comes is fit for who takes it
	})
}
