package tree_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/exporters/stdout/tree"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files")

var (
	start   = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	traceID = trace.TraceID{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36}
	shop    = resource.NewSchemaless(attribute.String("service.name", "shop"))
)

// span is a span that tests write down.
type span struct {
	trace      byte // replaces the first byte of the trace ID, if not 0
	id, parent byte
	remote     bool
	name       string
	kind       trace.SpanKind
	at, took   time.Duration
	state      string
	status     sdktrace.Status
	attrs      []attribute.KeyValue
	events     []sdktrace.Event
	resource   *resource.Resource
}

func (s span) snapshot() sdktrace.ReadOnlySpan {
	id := traceID
	if s.trace != 0 {
		id[0] = s.trace
	}
	state, err := trace.ParseTraceState(s.state)
	if err != nil {
		panic(err)
	}
	sc := trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{7: s.id}, TraceFlags: trace.FlagsSampled, TraceState: state}
	parent := trace.SpanContextConfig{}
	if s.parent != 0 {
		parent = trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{7: s.parent}, Remote: s.remote}
	}
	res := s.resource
	if res == nil {
		res = shop
	}
	return tracetest.SpanStub{
		Name:        s.name,
		SpanContext: trace.NewSpanContext(sc),
		Parent:      trace.NewSpanContext(parent),
		SpanKind:    s.kind,
		StartTime:   start.Add(s.at),
		EndTime:     start.Add(s.at + s.took),
		Attributes:  s.attrs,
		Events:      s.events,
		Status:      s.status,
		Resource:    res,
	}.Snapshot()
}

func snapshots(spans []span) []sdktrace.ReadOnlySpan {
	all := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, s := range spans {
		all[i] = s.snapshot()
	}
	return all
}

const (
	us = time.Microsecond
	ms = time.Millisecond
)

func failure(text string) sdktrace.Status {
	return sdktrace.Status{Code: codes.Error, Description: text}
}

func exception(kind, message string) []sdktrace.Event {
	return []sdktrace.Event{{Name: "exception", Attributes: []attribute.KeyValue{
		attribute.String("exception.type", kind),
		attribute.String("exception.message", message),
	}}}
}

// checkout is a trace with a bit of everything, children before parents as
// they end.
var checkout = []span{
	{
		id: 2, parent: 1, name: "auth.verify", at: 2100 * us, took: 3400 * us,
	},
	{
		id: 3, parent: 1, name: "SELECT orders", kind: trace.SpanKindClient, at: 6 * ms, took: 11800 * us,
		attrs: []attribute.KeyValue{
			attribute.String("db.system.name", "postgresql"),
			attribute.String("db.query.text", "SELECT id, total\n  FROM orders\n  WHERE customer = $1"),
		},
	},
	{
		id: 5, parent: 4, remote: true, name: "POST /charge", kind: trace.SpanKindServer, at: 24 * ms, took: 370 * ms,
		attrs: []attribute.KeyValue{
			attribute.String("http.request.method", "POST"),
			attribute.String("http.route", "/charge"),
			attribute.Int("http.response.status_code", 502),
			attribute.String("sampling.sampler", "slow"),
		},
		status:   failure(""),
		resource: resource.NewSchemaless(attribute.String("service.name", "payments")),
	},
	{
		id: 4, parent: 1, name: "HTTP POST", kind: trace.SpanKindClient, at: 20 * ms, took: 390 * ms,
		attrs: []attribute.KeyValue{
			attribute.String("http.request.method", "POST"),
			attribute.String("url.full", "http://payments.local/charge"),
			attribute.Int("http.response.status_code", 502),
			attribute.String("error.type", "502"),
		},
		status: failure("bad gateway"),
	},
	{
		id: 6, parent: 1, name: "orders publish", kind: trace.SpanKindProducer, at: 410 * ms, took: 90 * us,
		attrs: []attribute.KeyValue{
			attribute.String("messaging.system", "kafka"),
			attribute.String("messaging.operation.name", "publish"),
			attribute.String("messaging.destination.name", "orders"),
		},
	},
	{
		id: 1, name: "POST /checkout/{id}", kind: trace.SpanKindServer, took: 412 * ms, state: "ot=th:0",
		attrs: []attribute.KeyValue{
			attribute.String("http.request.method", "POST"),
			attribute.String("http.route", "/checkout/{id}"),
			attribute.Int("http.response.status_code", 500),
			attribute.String("sampling.sampler", "error"),
		},
		status: failure("card declined"),
		events: exception("*errors.errorString", "card declined"),
	},
}

func TestWrite(t *testing.T) {
	deep := make([]span, 30)
	for i := range deep {
		deep[i] = span{id: byte(i + 1), parent: byte(i), name: fmt.Sprintf("level %d", i), at: time.Duration(i) * ms, took: 100*ms - time.Duration(i)*2*ms}
	}
	tests := []struct {
		name    string
		spans   []span
		options tree.Options
	}{
		{"checkout", checkout, tree.Options{}},
		{"checkout_color", checkout, tree.Options{Color: true}},
		{"checkout_narrow", checkout, tree.Options{Width: 1}},
		{"checkout_wide", checkout, tree.Options{Width: 160}},
		{"deep", deep, tree.Options{}},
		{"one", []span{{id: 1, name: "tick", took: 800}}, tree.Options{}},
		{"no_duration", []span{{id: 1, name: "a"}, {id: 2, parent: 1, name: "b"}}, tree.Options{}},
		{"ends_before_start", []span{{id: 1, name: "a", took: -time.Second}, {id: 2, parent: 1, name: "b", at: ms, took: ms}}, tree.Options{}},
		{"weights", []span{
			{trace: 1, id: 1, name: "one in ten", took: ms, state: "ot=rv:ffffffffffffff;th:e666"},
			{trace: 2, id: 1, name: "unknown", at: ms, took: ms},
		}, tree.Options{}},
		{"orphans", []span{
			{id: 3, parent: 2, name: "child of one that is missing", took: ms},
			{id: 4, parent: 9, remote: true, name: "called from elsewhere", at: ms, took: ms},
			{id: 5, parent: 3, name: "grandchild", at: ms / 2, took: ms / 4},
		}, tree.Options{}},
		{"circles", []span{
			{id: 1, parent: 1, name: "its own parent", took: ms},
			{id: 2, parent: 3, name: "two", took: ms},
			{id: 3, parent: 2, name: "three", at: ms, took: ms},
			{id: 4, parent: 3, name: "below the circle", at: ms, took: ms},
			{id: 4, parent: 3, name: "an ID seen twice", at: ms, took: ms},
		}, tree.Options{}},
		{"hostile", []span{
			{id: 1, name: "\x1b[2J\x1b]0;owned\x07 GET /\r\nfake line", took: ms, status: failure("a\u202eb\x00c"), attrs: []attribute.KeyValue{
				attribute.String("http.request.method", "GET"),
				attribute.String("url.path", "/\x1b[31m\x9b31m\u2028\xff"),
				attribute.String("http.response.status_code", "\x1b[1m"+strings.Repeat("9", 200)),
				attribute.String("sampling.sampler", "\x1b]8;;http://evil\x07"),
			}},
			{id: 2, parent: 1, name: "", took: ms},
			{id: 3, parent: 1, name: strings.Repeat("long ", 100), took: ms},
			{id: 4, parent: 1, name: "日本語の名前", took: ms},
		}, tree.Options{Color: true}},
		{"calls", []span{
			{id: 1, name: "batch", took: 2 * time.Second, attrs: []attribute.KeyValue{
				attribute.Bool("sampling.partial", true), attribute.Int("sampling.spans_forgotten", 7), attribute.Bool("sampling.parent_missing", true),
			}},
			{id: 2, parent: 1, name: "shop.Cart/Add", kind: trace.SpanKindClient, took: time.Second, attrs: []attribute.KeyValue{
				attribute.String("rpc.system", "grpc"), attribute.String("rpc.service", "shop.Cart"), attribute.String("rpc.method", "Add"), attribute.Int("rpc.grpc.status_code", 0),
			}},
			{id: 3, parent: 1, name: "call", kind: trace.SpanKindClient, at: time.Second, took: 125 * ms, status: failure("deadline"), attrs: []attribute.KeyValue{
				attribute.String("rpc.system", "grpc"), attribute.String("rpc.service", "shop.Cart"), attribute.String("rpc.method", "Add"), attribute.Int("rpc.grpc.status_code", 4),
			}},
			{id: 4, parent: 1, name: "redis", kind: trace.SpanKindClient, at: 1500 * ms, took: 999700 * us, attrs: []attribute.KeyValue{
				attribute.String("db.system", "redis"), attribute.String("db.operation", "GET"),
			}},
		}, tree.Options{}},
		{"none", nil, tree.Options{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := tree.Write(&b, snapshots(tt.spans), tt.options); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", tt.name+".golden")
			if *update {
				if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// A span's text must not reach a terminal as anything but text.
func FuzzWrite(f *testing.F) {
	f.Add("GET /\x1b[2J", "\u202e", "\x9b", 80)
	f.Add("\xff\xfe", "a\nb\tc", "日本語", 60)
	f.Fuzz(func(t *testing.T, name, value, description string, width int) {
		width = max(min(width, 400), 0)
		spans := snapshots([]span{
			{id: 1, name: name, took: ms, status: failure(description), events: exception(value, description), attrs: []attribute.KeyValue{
				attribute.String("http.request.method", value), attribute.String("url.full", value), attribute.String("http.response.status_code", value),
				attribute.String("db.system", value), attribute.String("db.statement", value),
				attribute.String("sampling.sampler", value), attribute.String("error.type", name),
			}, resource: resource.NewSchemaless(attribute.String("service.name", value))},
			{id: 2, parent: 1, name: value, took: ms},
		})
		var b bytes.Buffer
		if err := tree.Write(&b, spans, tree.Options{Width: width}); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.String() {
			if r != '\n' && !unicode.IsPrint(r) || !utf8.ValidString(b.String()) {
				t.Fatalf("%q in %q", r, b.String())
			}
		}
	})
}

func Example() {
	spans := snapshots([]span{
		{id: 1, name: "GET /users/{id}", kind: trace.SpanKindServer, took: 12 * ms, state: "ot=rv:ffffffffffffff;th:e666", attrs: []attribute.KeyValue{
			attribute.Int("http.response.status_code", 200),
			attribute.String("sampling.sampler", "ratio"),
		}},
		{id: 2, parent: 1, name: "SELECT users", kind: trace.SpanKindClient, at: ms, took: 8 * ms, attrs: []attribute.KeyValue{
			attribute.String("db.system.name", "postgresql"),
		}},
	})
	if err := tree.Write(os.Stdout, spans, tree.Options{Width: 80}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// trace 4bf92f3577b34da6a3ce929d0e0e4736 · shop · 12ms · 2 spans
	// 2026-01-02T15:04:05.000Z · kept by ratio · weight 10
	//
	//   GET /users/{id} 200  server        12ms  █████████████████████████████████████
	//   └─ SELECT users      client  +1ms   8ms     ████████████████████████▊
	//         postgresql
}
