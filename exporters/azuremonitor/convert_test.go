package azuremonitor_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/exporters/azuremonitor"
	"github.com/riffletrace/riffle/internal/azuretest"
)

var update = flag.Bool("update", false, "write the golden files anew")

var at = time.Date(2026, 1, 2, 15, 4, 5, 678_900_000, time.UTC)

func id(n byte) trace.SpanContext {
	state, err := trace.ParseTraceState("ot=th:c")
	if err != nil {
		panic(err)
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0: 1, 15: 7}, SpanID: trace.SpanID{0: 1, 7: n}, TraceFlags: trace.FlagsSampled, TraceState: state})
}

var service = resource.NewSchemaless(
	attribute.String("service.name", "fluxbase"), attribute.String("service.namespace", "shop"), attribute.String("service.version", "1.2.3"),
	attribute.String("service.instance.id", "pod-1"), attribute.String("telemetry.sdk.name", "opentelemetry"),
)

func str(k, v string) attribute.KeyValue { return attribute.String(k, v) }

// Each kind of span, and each thing that a span can be about.
func TestGolden(t *testing.T) {
	tests := map[string]tracetest.SpanStub{
		"server": {
			Name: "GET /checkout/{id}", SpanKind: trace.SpanKindServer, Parent: id(9).WithRemote(true),
			Attributes: []attribute.KeyValue{
				str("http.request.method", "GET"), attribute.Int("http.response.status_code", 503), str("url.scheme", "https"), str("url.path", "/checkout/7"), str("url.query", "a=b"),
				str("server.address", "shop.example.com"), attribute.Int("server.port", 8443), str("client.address", "203.0.113.7"), str("http.route", "/checkout/{id}"),
			},
			Status: sdktrace.Status{Code: codes.Error, Description: "no stock"},
			Events: []sdktrace.Event{
				{Name: "exception", Time: at.Add(time.Second), Attributes: []attribute.KeyValue{str("exception.type", "*errors.errorString"), str("exception.message", "no stock"), str("exception.stacktrace", "main.go:7"), attribute.Bool("exception.escaped", true)}},
				{Name: "retry", Time: at.Add(2 * time.Second), Attributes: []attribute.KeyValue{attribute.Int("n", 2)}, DroppedAttributeCount: 3},
			},
			Links:             []sdktrace.Link{{SpanContext: id(8)}},
			DroppedAttributes: 1, DroppedEvents: 2, DroppedLinks: 3,
			InstrumentationScope: instrumentation.Scope{Name: "otelhttp", Version: "0.1"},
		},
		"consumer": {Name: "orders process", SpanKind: trace.SpanKindConsumer, Parent: id(9), Attributes: []attribute.KeyValue{str("messaging.system", "kafka"), str("messaging.destination.name", "orders")}},
		"client_http": {Name: "POST", SpanKind: trace.SpanKindClient, Parent: id(9), Attributes: []attribute.KeyValue{
			str("http.request.method", "POST"), str("url.full", "https://pay.example.com:444/charge?x=1"), str("server.address", "pay.example.com"), attribute.Int("server.port", 444), attribute.Int("http.response.status_code", 402),
		}},
		"client_old_http": {Name: "HTTP GET", SpanKind: trace.SpanKindClient, Attributes: []attribute.KeyValue{
			str("http.method", "GET"), str("http.scheme", "http"), str("net.peer.name", "pay.example.com"), str("http.target", "charge"), attribute.Int("http.status_code", 200),
		}},
		"client_db": {Name: "SELECT orders", SpanKind: trace.SpanKindClient, Parent: id(9), Status: sdktrace.Status{Code: codes.Ok}, Attributes: []attribute.KeyValue{
			str("db.system.name", "postgresql"), str("db.query.text", "SELECT * FROM orders WHERE id = $1"), str("db.namespace", "shop"), str("server.address", "db"), attribute.Int("server.port", 5432),
		}},
		"client_rpc":      {Name: "shop.Stock/Get", SpanKind: trace.SpanKindClient, Attributes: []attribute.KeyValue{str("rpc.system", "grpc"), attribute.Int("rpc.grpc.status_code", 14), str("server.address", "::1"), attribute.Int("server.port", 50051)}, Status: sdktrace.Status{Code: codes.Error}},
		"client_anything": {Name: "ldap", SpanKind: trace.SpanKindClient, Attributes: []attribute.KeyValue{str("peer.service", "directory")}, Status: sdktrace.Status{Code: codes.Error}},
		"producer":        {Name: "orders publish", SpanKind: trace.SpanKindProducer, Attributes: []attribute.KeyValue{str("messaging.system", "kafka"), str("messaging.destination.name", "orders"), str("server.address", "broker")}},
		"internal":        {Name: "price", SpanKind: trace.SpanKindInternal, Parent: id(9), Attributes: []attribute.KeyValue{attribute.Float64("total", 1.5), attribute.StringSlice("items", []string{"a", "b"})}},
		"unspecified":     {Name: "", Resource: resource.Empty()},
	}
	for name, stub := range tests {
		t.Run(name, func(t *testing.T) {
			stub.StartTime, stub.EndTime = at, at.Add(26*time.Hour+3*time.Minute+4*time.Second+5_678_900*time.Nanosecond)
			if name == "unspecified" {
				stub.EndTime = at.Add(-time.Hour)
			} else {
				stub.SpanContext, stub.Resource = id(1), service
			}
			var got bytes.Buffer
			for _, b := range azuremonitor.Convert(stub.Snapshot(), "00000000-1111-2222-3333-444444444444") {
				if _, err := azuretest.Parse(b); err != nil {
					t.Errorf("%v:\n%s", err, b)
				}
				if err := json.Indent(&got, b, "", "\t"); err != nil {
					t.Fatal(err)
				}
				got.WriteByte('\n')
			}
			file := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Whatever is in a span, its items are what the schema allows.
func TestLengths(t *testing.T) {
	long := strings.Repeat("ü<", 40<<10)
	var attrs []attribute.KeyValue
	for _, k := range []string{
		"url.full", "client.address", "server.address", "db.query.text", "db.system", "db.namespace", "messaging.destination.name", "rpc.system",
		"http.request.method", "rpc.grpc.status_code", "peer.service", "", strings.Repeat("k", 151), strings.Repeat("ü", 150), "exception.type",
		"exception.message", "exception.stacktrace", "bad \xff key", "a", "b", "c", "d", "e", "f", "g",
	} {
		attrs = append(attrs, str(k, long))
	}
	links := make([]sdktrace.Link, 1000)
	for kind := trace.SpanKindUnspecified; kind <= trace.SpanKindConsumer; kind++ {
		for _, drop := range []int{0, 1, 3, 4, 8, 9} { // so that each kind of dependency has its turn
			stub := tracetest.SpanStub{
				Name: long, SpanKind: kind, SpanContext: id(1), StartTime: at, EndTime: at, Attributes: attrs[drop:], Links: links,
				Resource: resource.NewSchemaless(str("service.name", long), str("service.version", long), str("service.instance.id", long), str("bad", "\xff")),
				Events:   []sdktrace.Event{{Name: long, Attributes: attrs}, {Name: "exception", Attributes: attrs}, {Name: "exception"}, {}},
				Status:   sdktrace.Status{Code: codes.Error, Description: long},
			}
			for i, b := range azuremonitor.Convert(stub.Snapshot(), "key") {
				item, err := azuretest.Parse(b)
				if err != nil {
					t.Fatalf("%v, item %d: %v", kind, i, err)
				}
				properties, _ := item.Data.BaseData["properties"].(map[string]any)
				if i < 3 && properties["otel.dropped_attributes_count"] == nil {
					t.Errorf("%v, item %d: what was dropped is not counted", kind, i)
				}
			}
		}
	}
}

func TestSampleRate(t *testing.T) {
	for state, want := range map[string]float64{
		"": 0, "ot=th:0": 100, "ot=th:c": 25, "ot=rv:11112222333344;th:8": 50, "ot=th:zz": 0, "ot=rv:11112222333344": 0, "vendor=th:8": 0,
	} {
		ts, err := trace.ParseTraceState(state)
		if err != nil {
			t.Fatal(err)
		}
		item, err := azuretest.Parse(azuremonitor.Convert(tracetest.SpanStub{Name: "a", SpanContext: id(1).WithTraceState(ts), StartTime: at, EndTime: at}.Snapshot(), "key")[0])
		if err != nil {
			t.Fatal(err)
		}
		if item.SampleRate != want {
			t.Errorf("%q: %v, want %v", state, item.SampleRate, want)
		}
	}
}
