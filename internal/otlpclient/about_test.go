package otlpclient

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/component"
)

func TestWarn(t *testing.T) {
	const http, grpc = "port 4317 is usually that of OTLP over gRPC, and this is HTTP: write protocol: grpc, or port 4318",
		"port 4318 is usually that of OTLP over HTTP, and this is gRPC: write protocol: http/protobuf, or port 4317"
	jaeger := func(port string) string {
		return "port " + port + " is usually that of Jaeger's own protocol, which does not take OTLP: OTLP is taken at port 4317 (gRPC) or 4318 (HTTP)"
	}
	for _, tt := range []struct {
		protocol       Protocol
		endpoint, want string
	}{
		{GRPC, "", ""},
		{HTTP, "", ""},
		{GRPC, "a:4317", ""},
		{HTTP, "http://a:4318/x", ""},
		{GRPC, "a:443", ""},
		{GRPC, "unix:/tmp/4318", ""},
		{GRPC, "a:4318", grpc},
		{GRPC, "dns:///a:4318", grpc},
		{GRPC, "https://a:4318", grpc},
		{HTTP, "a:4317", http},
		{HTTP, "https://a:4317/v1/traces", http},
		{HTTP, "a:14268", jaeger("14268")},
		{GRPC, "a:14250", jaeger("14250")},
		{HTTP, "http://a:9411", "port 9411 is usually that of Zipkin's protocol, which does not take OTLP: OTLP is taken at port 4317 (gRPC) or 4318 (HTTP)"},
		{GRPC, "a:6831", "port 6831 is usually that of Jaeger's agent, which does not take OTLP: OTLP is taken at port 4317 (gRPC) or 4318 (HTTP)"},
		{HTTP, "http://a:80/v1/traces/v1/traces", "the path has /v1/traces twice: it is added to an endpoint that does not end in it"},
		{HTTP, "http://a:80/v1/traces/x", "the path has /v1/traces twice: it is added to an endpoint that does not end in it"},
		{HTTP, "http://a:80/api/v2/spans", "the path is that of Zipkin's or Jaeger's own protocol: OTLP is taken at /v1/traces"},
	} {
		r, err := Config{Protocol: tt.protocol, Endpoint: tt.endpoint, Native: true, NoEnv: true}.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, e := range component.FieldErrors(r.Warn()) {
			if got = e.Err.Error(); e.Path != "endpoint" {
				t.Errorf("%s: about %q", tt.endpoint, e.Path)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.protocol, tt.endpoint, diff)
		}
	}
}

func TestConnection(t *testing.T) {
	no := false
	for _, tt := range []struct {
		c    Config
		want component.Connection
	}{
		{Config{Protocol: GRPC}, component.Connection{Endpoint: "localhost:4317", Protocol: "grpc", TLS: "off"}},
		{Config{Protocol: HTTP, Endpoint: "https://a/x?key=s3cret"}, component.Connection{Endpoint: "https://a:443/x/v1/traces", Protocol: "http/protobuf", TLS: "on"}},
		{
			Config{Protocol: GRPC, Insecure: &no, Headers: map[string]component.Secret{"b": "s3cret", "a": "s3cret"}, TLS: TLS{InsecureSkipVerify: true}},
			component.Connection{Endpoint: "localhost:4317", Protocol: "grpc", TLS: "on, any certificate is accepted", Headers: []string{"a", "b"}},
		},
	} {
		tt.c.Native, tt.c.NoEnv = true, true
		r, err := tt.c.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, r.Connection()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
