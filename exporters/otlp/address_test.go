package otlp_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/exporters/sdk"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// The URL that is requested is the one that was written.
func TestURLsToTheLetter(t *testing.T) {
	var mu sync.Mutex
	var got string
	web := otlptest.Web(t, nil, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = r.RequestURI
	}))
	check := func(t *testing.T, e sdktrace.SpanExporter, want string) {
		t.Helper()
		if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if got != want {
			t.Errorf("requested %s, want %s", got, want)
		}
	}
	for endpoint, want := range map[string]string{
		"/a%20b/team%2F1":                "/a%20b/team%2F1/v1/traces",
		"/a%2fb/v1/traces":               "/a%2fb/v1/traces",
		"/%7Eteam/v1/traces/":            "/%7Eteam/v1/traces/",
		"/base?key=a%20b&x=%2F":          "/base/v1/traces?key=a%20b&x=%2F",
		"/v1/traces?key=a+b":             "/v1/traces?key=a+b",
		"/@team;v=1/v1/traces?a=b?c&e=@": "/@team;v=1/v1/traces?a=b?c&e=@",
	} {
		t.Run(endpoint, func(t *testing.T) {
			exporters(t, otlp.HTTP, "http://"+web+endpoint, func(t *testing.T, e sdktrace.SpanExporter) { check(t, e, want) })
		})
	}
	for _, path := range []string{"/c%20d/team%2F1?key=a%20b&x=1", "/@team;v=1/?a=b?c", "/"} {
		t.Run("environment "+path, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://"+web+path)
			exporters(t, otlp.HTTP, "", func(t *testing.T, e sdktrace.SpanExporter) { check(t, e, path) })
		})
	}
	t.Run("url_path", func(t *testing.T) {
		e, err := component.Use(sdk.HTTP, "", sdk.HTTPConfig{Endpoint: web, URLPath: "/c%2Fd?x=%20"}).Build(t.Context(), component.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		check(t, e, "/c%2Fd?x=%20")
		if err := e.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A target of gRPC is dialed as it was written.
func TestTargets(t *testing.T) {
	serve := func(t *testing.T, network, address string) string {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		s := grpc.NewServer()
		coltracepb.RegisterTraceServiceServer(s, accepting{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = s.Serve(l)
		}()
		t.Cleanup(func() {
			s.Stop()
			<-done
		})
		_, port, _ := net.SplitHostPort(l.Addr().String())
		return port
	}
	t.Chdir(t.TempDir())
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	serve(t, "unix", "otlp.sock")
	port := serve(t, "tcp", "127.0.0.1:0")
	targets := []string{
		"unix:otlp.sock", "unix:" + wd + "/otlp.sock", "unix://" + wd + "/otlp.sock",
		"dns:///127.0.0.1:" + port, "dns:127.0.0.1:" + port, "passthrough:///127.0.0.1:" + port, "127.0.0.1:" + port, "http://127.0.0.1:" + port,
	}
	for _, target := range targets {
		t.Run(target, func(t *testing.T) {
			exporters(t, otlp.GRPC, target, func(t *testing.T, e sdktrace.SpanExporter) {
				if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// An address can have a zone, as a URL has it or as people write it.
func TestZones(t *testing.T) {
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			ip, ok := a.(*net.IPNet)
			if !ok || ip.IP.To4() != nil || !ip.IP.IsLoopback() && !ip.IP.IsLinkLocalUnicast() {
				continue
			}
			for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
				zoned := fmt.Sprintf("%s%%%s", ip.IP, i.Name)
				l, err := net.Listen("tcp", net.JoinHostPort(zoned, "0"))
				if err != nil {
					t.Logf("%s: %v", zoned, err)
					continue
				}
				_, port, _ := net.SplitHostPort(l.Addr().String())
				_ = l.Close()
				r := &otlptest.Scripted{Address: net.JoinHostPort(zoned, port)}
				r.Start(t, string(protocol))
				for _, percent := range []string{"%25", "%"} {
					exporters(t, protocol, fmt.Sprintf("http://[%s%s%s]:%s", ip.IP, percent, i.Name, port), func(t *testing.T, e sdktrace.SpanExporter) {
						if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
							t.Error(err)
						}
					})
				}
			}
		}
	}
}

type accepting struct {
	coltracepb.UnimplementedTraceServiceServer
}

func (accepting) Export(context.Context, *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	return &coltracepb.ExportTraceServiceResponse{}, nil
}
