package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
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
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/exportertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func build(t testing.TB, endpoint string) sdktrace.SpanExporter {
	t.Helper()
	return exportertest.Plan(entry(endpoint))(t)
}

func entry(endpoint string) component.Plan[sdktrace.SpanExporter] {
	return component.Use(Factory, "", Config{
		Endpoint: endpoint,
		Headers:  map[string]component.Secret{"Authorization": "Bearer sesame"},
		Timeout:  component.Duration(time.Second),
	})
}

func TestConformance(t *testing.T) {
	accepts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer accepts.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the end of the connection is noticed then
		<-r.Context().Done()
	}))
	defer silent.Close()
	for backend, url := range map[string]string{"accepts": accepts.URL, "silent": silent.URL, "dead": dead(t)} {
		t.Run(backend, func(t *testing.T) { exportertest.Run(t, exportertest.Plan(entry(url))) })
	}
}

// dead is an address that nobody listens on.
func dead(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return "http://" + l.Addr().String()
}

func context128(t *testing.T, id byte) trace.SpanContext {
	t.Helper()
	state, err := trace.ParseTraceState("ot=th:c")
	if err != nil {
		t.Fatal(err)
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0: 0xab, 15: 1}, SpanID: trace.SpanID{7: id}, TraceFlags: trace.FlagsSampled, TraceState: state,
	})
}

// What is posted is what Zipkin's API describes.
func TestWire(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	const traceID = "ab000000000000000000000000000001"
	tests := []struct {
		name string
		stub tracetest.SpanStub
		want map[string]any
	}{
		{
			"everything",
			tracetest.SpanStub{
				Name: "POST", SpanContext: context128(t, 2), Parent: context128(t, 1), SpanKind: trace.SpanKindClient,
				StartTime: at, EndTime: at.Add(1500 * time.Microsecond),
				Attributes: []attribute.KeyValue{
					attribute.String("server.address", "bank.example"), attribute.Int("http.response.status_code", 502),
					attribute.StringSlice("list", []string{"a", "b"}),
				},
				Events: []sdktrace.Event{
					{Name: "retry", Time: at.Add(time.Millisecond)},
					{Name: "ex|ception", Time: at.Add(time.Millisecond), Attributes: []attribute.KeyValue{attribute.Int("n", 1)}, DroppedAttributeCount: 3},
				},
				Links:                []sdktrace.Link{{SpanContext: context128(t, 3)}},
				Status:               sdktrace.Status{Code: codes.Error, Description: "bad gateway"},
				DroppedEvents:        2,
				Resource:             resource.NewSchemaless(attribute.String("service.name", "shop"), attribute.String("host.name", "h1")),
				InstrumentationScope: instrumentation.Scope{Name: "lib", Version: "1.2"},
			},
			map[string]any{
				"traceId": traceID, "id": "0000000000000002", "parentId": "0000000000000001", "name": "POST", "kind": "CLIENT",
				"timestamp": 1767323045000006.0, "duration": 1500.0,
				"localEndpoint": map[string]any{"serviceName": "shop"}, "remoteEndpoint": map[string]any{"serviceName": "bank.example"},
				"annotations": []any{
					map[string]any{"timestamp": 1767323045001006.0, "value": "retry"},
					map[string]any{"timestamp": 1767323045001006.0, "value": `ex/ception|{"n":1}|3`},
				},
				"tags": map[string]any{
					"server.address": "bank.example", "http.response.status_code": "502", "list": `["a","b"]`, "host.name": "h1",
					"otel.scope.name": "lib", "otel.scope.version": "1.2", "otel.status_code": "STATUS_CODE_ERROR", "error": "true", "otel.status_description": "bad gateway",
					"otel.dropped_events_count": "2", "w3c.tracestate": "ot=th:c",
					"otlp.link.0": traceID + "|0000000000000003|ot=th:c|{}|0",
				},
			},
		},
		{
			"a root without a name, shorter than a microsecond",
			tracetest.SpanStub{SpanContext: context128(t, 1), SpanKind: trace.SpanKindInternal, StartTime: at, EndTime: at.Add(1)},
			map[string]any{
				"traceId": traceID, "id": "0000000000000001", "timestamp": 1767323045000006.0, "duration": 1.0,
				"tags": map[string]any{"w3c.tracestate": "ot=th:c", "span.kind": "internal"},
			},
		},
		{
			"a span that ends before it starts",
			tracetest.SpanStub{Name: "x", SpanContext: context128(t, 1), StartTime: at, EndTime: at.Add(-1)},
			map[string]any{
				"traceId": traceID, "id": "0000000000000001", "name": "x", "timestamp": 1767323045000006.0,
				"tags": map[string]any{"w3c.tracestate": "ot=th:c"},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []map[string]any
			backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if kind, key := r.Header.Get("Content-Type"), r.Header.Get("Authorization"); kind != "application/json" || key != "Bearer sesame" {
					t.Errorf("Content-Type is %q, Authorization %q", kind, key)
				}
				if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
					t.Error(err)
				}
				w.WriteHeader(http.StatusAccepted)
			}))
			defer backend.Close()
			e := build(t, backend.URL)
			// The first has no ID: it does not take the other with it.
			if err := e.ExportSpans(t.Context(), tracetest.SpanStubs{{}, tt.stub}.Snapshots()); err != nil {
				t.Error(err)
			}
			if err := e.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff([]map[string]any{tt.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The host learns what is to become of a batch.
func TestOutcome(t *testing.T) {
	status := 0
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Location", "/elsewhere")
		http.Error(w, "no\nroom", status)
	}))
	defer backend.Close()
	e := build(t, backend.URL)
	defer e.Shutdown(context.Background())
	spans := tracetest.SpanStubs{{SpanContext: context128(t, 1)}}.Snapshots()
	for _, tt := range []struct {
		status int
		want   delivery.ExportError
	}{
		{400, delivery.ExportError{Outcome: delivery.Refused}},
		{307, delivery.ExportError{Outcome: delivery.Refused}},
		{413, delivery.ExportError{Outcome: delivery.TooLarge}},
		{429, delivery.ExportError{Outcome: delivery.Retry, RetryAfter: 7 * time.Second, Throttled: true}},
		{503, delivery.ExportError{Outcome: delivery.Retry, RetryAfter: 7 * time.Second}},
	} {
		status = tt.status
		var got *delivery.ExportError
		if err := e.ExportSpans(t.Context(), spans); !errors.As(err, &got) {
			t.Fatalf("%d: %v is no ExportError", tt.status, err)
		}
		want := backend.URL + ": " + strconv.Itoa(tt.status) + " " + http.StatusText(tt.status) + ": no room"
		if got.Error() != want {
			t.Errorf("%d: %q, want %q", tt.status, got, want)
		}
		got.Err = nil
		if diff := cmp.Diff(tt.want, *got); diff != "" {
			t.Errorf("%d: %s", tt.status, diff)
		}
	}
}

func TestValidate(t *testing.T) {
	for endpoint, want := range map[string]string{
		"localhost:9411":   `endpoint: "localhost:9411" is no URL to post to: want one such as http://localhost:9411/api/v2/spans` + "\ntimeout: 0s is no time: want more than 0s",
		"http://localhost": "timeout: 0s is no time: want more than 0s",
	} {
		c := Config{Endpoint: endpoint}
		if err := c.Validate(); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", endpoint, err, want)
		}
	}
}
