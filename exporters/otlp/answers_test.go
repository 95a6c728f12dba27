package otlp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/exporters/sdk"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// builders make the exporters of a protocol: riffle's own, and the SDK's.
var builders = map[otlp.Protocol]map[string]func(endpoint string) component.Plan[sdktrace.SpanExporter]{
	otlp.GRPC: {
		"otlp": func(endpoint string) component.Plan[sdktrace.SpanExporter] {
			return component.Use(otlp.Factory, "", otlp.Config{Endpoint: endpoint, Protocol: otlp.GRPC})
		},
		"sdk": func(endpoint string) component.Plan[sdktrace.SpanExporter] {
			return component.Use(sdk.GRPC, "", sdk.GRPCConfig{Endpoint: endpoint, Retry: sdk.Retry{}})
		},
	},
	otlp.HTTP: {
		"otlp": func(endpoint string) component.Plan[sdktrace.SpanExporter] {
			return component.Use(otlp.Factory, "", otlp.Config{Endpoint: endpoint, Protocol: otlp.HTTP})
		},
		"sdk": func(endpoint string) component.Plan[sdktrace.SpanExporter] {
			return component.Use(sdk.HTTP, "", sdk.HTTPConfig{Endpoint: endpoint, Retry: sdk.Retry{}})
		},
	},
}

// exporters runs a test with each exporter of the protocol.
func exporters(t *testing.T, protocol otlp.Protocol, endpoint string, run func(t *testing.T, e sdktrace.SpanExporter)) {
	t.Helper()
	for name, plan := range builders[protocol] {
		t.Run(string(protocol)+"/"+name, func(t *testing.T) {
			e, err := plan(endpoint).Build(t.Context(), component.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := e.Shutdown(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			}()
			run(t, e)
		})
	}
}

// words are what the transport says too, of this side.
var words = []string{
	"dial tcp 10.0.0.1:9: connect: connection refused",
	"lookup tempo: no such host",
	"x509: certificate signed by unknown authority",
	"unexpected EOF",
	"stream terminated by RST_STREAM",
	"context deadline exceeded",
	"403 Forbidden",
}

// What a server says of what is behind it is no advice about the way to it.
func TestServersWords(t *testing.T) {
	for _, said := range words {
		t.Run(said, func(t *testing.T) {
			r := &otlptest.Scripted{Address: otlptest.Dead(t), Script: otlptest.Script{GRPC: func(int64, context.Context, int) (*coltracepb.ExportTraceServiceResponse, error) {
				return nil, status.Error(codes.Internal, said)
			}}}
			r.Start(t, string(otlp.GRPC))
			web := otlptest.Web(t, nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, said, http.StatusInternalServerError)
			}))
			for protocol, to := range map[otlp.Protocol]struct{ address, want string }{
				otlp.GRPC: {r.Address, "rpc error: code = Internal desc = " + said},
				otlp.HTTP: {web, "500 Internal Server Error: " + said},
			} {
				exporters(t, protocol, to.address, func(t *testing.T, e sdktrace.SpanExporter) {
					err := e.ExportSpans(t.Context(), otlptest.Spans("a"))
					if want := "sending to " + to.address + ": " + to.want; err == nil || err.Error() != want {
						t.Errorf("got  %v\nwant %s", err, want)
					}
					if f := delivery.Classify(err); f.Outcome != delivery.Refused {
						t.Errorf("outcome %v, want refused", f.Outcome)
					}
				})
			}
		})
	}
}

// A proxy that does not reach the receiver answers with a page, also to gRPC.
func TestProxyPage(t *testing.T) {
	for _, tt := range []struct {
		name         string
		code         int
		after        bool // a success
		want         string
		wantsOutcome delivery.Outcome
	}{
		{"503", 503, false, "answered 503 Service Unavailable, which is not gRPC: it may be of a proxy in front of the receiver", delivery.Retry},
		{"503 after a success", 503, true, "answered 503 Service Unavailable, which is not gRPC: it may be of a proxy in front of the receiver", delivery.Retry},
		{"404", 404, false, "speaks HTTP, not gRPC: use protocol http/protobuf, or the port for OTLP over gRPC (usually 4317)", delivery.Refused},
		{"404 after a success", 404, true, "answered 404 Not Found, which is not gRPC: it may be of a proxy in front of the receiver", delivery.Refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var up atomic.Bool
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if up.Load() {
					w.Header().Set("Content-Type", "application/grpc")
					w.Header().Set("Trailer", "Grpc-Status")
					_, _ = w.Write(make([]byte, 5)) // an empty message
					w.Header().Set("Grpc-Status", "0")
					return
				}
				w.Header().Set("Content-Type", "text/html")
				w.WriteHeader(tt.code)
				_, _ = io.WriteString(w, "<html>connection refused, x509: certificate signed by unknown authority</html>")
			}))
			server.Config.Protocols = new(http.Protocols)
			server.Config.Protocols.SetUnencryptedHTTP2(true)
			server.Start()
			t.Cleanup(server.Close)
			address := server.Listener.Addr().String()
			exporters(t, otlp.GRPC, address, func(t *testing.T, e sdktrace.SpanExporter) {
				if tt.after {
					up.Store(true)
					if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
						t.Fatal(err)
					}
				}
				up.Store(false)
				err := e.ExportSpans(t.Context(), otlptest.Spans("a"))
				if want := address + " " + tt.want; err == nil || err.Error() != want {
					t.Errorf("got  %v\nwant %s", err, want)
				}
				if f := delivery.Classify(err); f.Outcome != tt.wantsOutcome {
					t.Errorf("outcome %v, want %v", f.Outcome, tt.wantsOutcome)
				}
			})
		})
	}
}

// A page with status 200 accepts nothing, typed or not.
func TestLoginPage(t *testing.T) {
	for _, kind := range []string{"text/html", ""} {
		web := otlptest.Web(t, nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{kind}
			_, _ = io.WriteString(w, "<!DOCTYPE html><html>login</html>")
		}))
		exporters(t, otlp.HTTP, web, func(t *testing.T, e sdktrace.SpanExporter) {
			err := e.ExportSpans(t.Context(), otlptest.Spans("a"))
			if want := web + " answered with a web page: it is no OTLP receiver; the usual port is 4318"; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if f := delivery.Classify(err); f.Outcome != delivery.Refused {
				t.Errorf("outcome %v, want refused", f.Outcome)
			}
		})
	}
}

// Of a rate limit without a time, the batch is kept, whatever its text; a size is
// told by the codes and words of gRPC.
func TestResourceExhausted(t *testing.T) {
	for said, want := range map[string]delivery.Outcome{
		"attribute count exceeds maximum, message size too large": delivery.Retry,
		"grpc: received message larger than max (5 vs. 4)":        delivery.TooLarge,
	} {
		r := &otlptest.Scripted{Address: otlptest.Dead(t), Script: otlptest.Script{GRPC: func(int64, context.Context, int) (*coltracepb.ExportTraceServiceResponse, error) {
			return nil, status.Error(codes.ResourceExhausted, said)
		}}}
		r.Start(t, string(otlp.GRPC))
		exporters(t, otlp.GRPC, r.Address, func(t *testing.T, e sdktrace.SpanExporter) {
			err := e.ExportSpans(t.Context(), otlptest.Spans("a"))
			var f *delivery.ExportError
			if !errors.As(err, &f) || f.Outcome != want || f.Throttled != (want == delivery.Retry) || !strings.Contains(err.Error(), said) {
				t.Errorf("%#v: %v", f, err)
			}
		})
	}
}
