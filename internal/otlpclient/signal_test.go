package otlpclient_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlpstatus"
)

// Metrics have variables of their own, a path of their own, and no part in those of traces.
func TestMetrics(t *testing.T) {
	const http = otlpclient.HTTP
	tests := []struct {
		name   string
		env    map[string]string
		config otlpclient.Config
		want   string
	}{
		{"default", nil, otlpclient.Config{Protocol: http}, "http://localhost:4318/v1/metrics"},
		{"base", nil, otlpclient.Config{Protocol: http, Endpoint: "https://a/b"}, "https://a:443/b/v1/metrics"},
		{"whole", nil, otlpclient.Config{Protocol: http, Endpoint: "https://a/b/v1/metrics"}, "https://a:443/b/v1/metrics"},
		{"a path of traces", nil, otlpclient.Config{Protocol: http, Endpoint: "https://a/v1/traces"}, "https://a:443/v1/traces/v1/metrics"},
		{"variable for everything", map[string]string{"ENDPOINT": "http://a:1"}, otlpclient.Config{Protocol: http}, "http://a:1/v1/metrics"},
		{"variable for metrics", map[string]string{"ENDPOINT": "http://a:1", "METRICS_ENDPOINT": "http://b:2/c"}, otlpclient.Config{Protocol: http}, "http://b:2/c"},
		{"variable for traces", map[string]string{"TRACES_ENDPOINT": "http://b:2/c", "TRACES_PROTOCOL": "grpc"}, otlpclient.Config{Protocol: http}, "http://localhost:4318/v1/metrics"},
		{"protocol", map[string]string{"PROTOCOL": "grpc", "METRICS_PROTOCOL": "http/protobuf"}, otlpclient.Config{}, "http://localhost:4318/v1/metrics"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(variables+k, v)
			}
			tt.config.Signal = otlpclient.Metrics
			resolved, err := tt.config.Resolve()
			if err != nil {
				t.Fatal(err)
			}
			if got := resolved.Endpoint(); got != tt.want {
				t.Error(cmp.Diff(tt.want, got))
			}
		})
	}
}

// What an endpoint lacks is told by the name of the signal.
func TestTakesNone(t *testing.T) {
	for signal, want := range map[otlpclient.Signal]string{
		otlpclient.Traces: "a:1 takes no traces: unknown service", otlpclient.Metrics: "a:1 takes no metrics: unknown service",
	} {
		resolved, err := otlpclient.Config{Signal: signal, Endpoint: "a:1", NoEnv: true}.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		answer := &otlpstatus.GRPCError{Status: status.New(codes.Unimplemented, "unknown service")}
		var advised *otlpclient.Error
		if err := resolved.Fail(answer, false); !errors.As(err, &advised) || advised.Message != want {
			t.Error(cmp.Diff(want, err.Error()))
		}
	}
}
