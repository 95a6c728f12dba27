package otlp_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/internal/otlptest"
)

func build(t testing.TB, c otlp.Config) sdktrace.SpanExporter {
	t.Helper()
	e, err := component.Use(otlp.Factory, "", c).Build(t.Context(), component.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return e
}

func TestSend(t *testing.T) {
	tests := []struct {
		name     string
		protocol otlp.Protocol
		env      string
		start    func(*testing.T) *otlptest.Receiver
	}{
		{"default", "", "", func(t *testing.T) *otlptest.Receiver { return otlptest.GRPC(t, nil) }},
		{"grpc", otlp.GRPC, "http/protobuf", func(t *testing.T) *otlptest.Receiver { return otlptest.GRPC(t, nil) }},
		{"http", otlp.HTTP, "", func(t *testing.T) *otlptest.Receiver { return otlptest.HTTP(t, nil, "/v1/traces") }},
		{"environment", "", "http/protobuf", func(t *testing.T) *otlptest.Receiver { return otlptest.HTTP(t, nil, "/v1/traces") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", tt.env)
			r := tt.start(t)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+r.Address)
			e := build(t, otlp.Config{Endpoint: r.Address, Protocol: tt.protocol})
			if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
				t.Fatal(err)
			}
			if got := len(r.Requests()); got != 1 {
				t.Errorf("%d requests, want 1", got)
			}
		})
	}
}

// With a backend that is not there, an export ends with its context, although
// it is repeated, and tells why.
func TestDeadBackend(t *testing.T) {
	for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
		t.Run(string(protocol), func(t *testing.T) {
			address := otlptest.Dead(t)
			e := build(t, otlp.Config{Endpoint: address, Protocol: protocol})
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			began := time.Now()
			err := e.ExportSpans(ctx, otlptest.Spans("a"))
			want := address + " refused the connection: nothing listens there"
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	check := func(c otlp.Config) error { return component.Use(otlp.Factory, "", c).Err() }
	if err := check(otlp.Config{}); err != nil {
		t.Error(err)
	}
	err := check(otlp.Config{Protocol: "http/json"})
	if want := `protocol: "http/json" is not one of grpc, http/protobuf`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func Example() {
	entry := component.Use(otlp.Factory, "collector", otlp.Config{
		Endpoint: "otlp.example.com:4317",
		Headers:  map[string]component.Secret{"x-api-key": "s3cret"},
	})
	e, err := entry.Build(context.Background(), component.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = e.Shutdown(context.Background()) }()
	fmt.Println(e.(delivery.Exporter).Traits().Endpoint)
	// Output: otlp.example.com:4317
}
