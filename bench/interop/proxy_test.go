package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/bench/internal/process"
)

// proxiedHost is where configurations behind a proxy send to; only the proxy
// knows where it is.
const proxiedHost = "collector.example.com"

// proxy is an HTTP proxy on the way to one backend.
func proxy(t *testing.T, to backend) string {
	t.Helper()
	place := map[string]string{proxiedHost + ":4317": to.address("grpc"), proxiedHost + ":4318": to.address("http")}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: place[r.In.Host]})
	}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			forward.ServeHTTP(w, r)
			return
		}
		server, err := net.Dial("tcp", place[r.Host])
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer server.Close()
		client, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer client.Close()
		_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() {
			_, _ = io.Copy(server, buffered)
			server.Close()
		}()
		_, _ = io.Copy(client, server)
	}))
	t.Cleanup(s.CloseClientConnections)
	t.Cleanup(s.Close)
	return s.URL
}

// TestInteropProxy sends with the variables for proxies set, which a process
// reads once.
func TestInteropProxy(t *testing.T) {
	needsBackends(t)
	b := newBench(t)
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not there", http.StatusForbidden)
	}))
	t.Cleanup(refusing.Close)
	through, dead := proxy(t, b.plainCollector), "http://"+process.FreePorts(t, "dead").At("dead")

	tests := []struct {
		name, proxy, entry string
		message            string // PROXY is the address of the proxy; "": it arrives
	}{
		{"gRPC", through, `endpoint: "http://collector.example.com:4317"`, ""},
		{"HTTP", through, `endpoint: "http://collector.example.com:4318", protocol: http/protobuf`, ""},
		{"loopback over gRPC", dead, `endpoint: ` + b.plainCollector.address("grpc"), ""},
		{"loopback over HTTP", dead, `protocol: http/protobuf, endpoint: ` + b.plainCollector.address("http"), ""},
		{
			"dead, gRPC", dead, `endpoint: "http://collector.example.com:4317"`,
			"collector.example.com:4317 cannot be reached through the proxy PROXY (connection refused): check HTTPS_PROXY, or add collector.example.com to NO_PROXY",
		},
		{
			"dead, HTTP", dead, `endpoint: "http://collector.example.com:4318", protocol: http/protobuf`,
			"collector.example.com:4318 cannot be reached through the proxy PROXY (connection refused): check HTTP_PROXY, or add collector.example.com to NO_PROXY",
		},
		{
			"dead, HTTPS", dead, `endpoint: "https://collector.example.com:4318", protocol: http/protobuf`,
			"collector.example.com:4318 cannot be reached through the proxy PROXY (connection refused): check HTTPS_PROXY, or add collector.example.com to NO_PROXY",
		},
		{
			"refusing, gRPC", refusing.URL, `endpoint: "http://collector.example.com:4317"`,
			"collector.example.com:4317 cannot be reached through the proxy PROXY (403 Forbidden): check HTTPS_PROXY, or add collector.example.com to NO_PROXY",
		},
		{
			"refusing, HTTP", refusing.URL, `endpoint: "http://collector.example.com:4318", protocol: http/protobuf`,
			"collector.example.com:4318 refused, or the proxy PROXY did: check headers; check HTTP_PROXY, or add collector.example.com to NO_PROXY",
		},
		{
			"refusing, HTTPS", refusing.URL, `endpoint: "https://collector.example.com:4318", protocol: http/protobuf`,
			"collector.example.com:4318 cannot be reached through the proxy PROXY (403 Forbidden): check HTTPS_PROXY, or add collector.example.com to NO_PROXY",
		},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := fmt.Sprint("proxy-", i)
			text := "observability: {tracing: {enabled: true, service_name: fluxbase, exporters: [{type: otlp, timeout: 3s, " + tt.entry + "}]}}"
			cmd, stdout, stderr := riffleDemo(t, b.dir, text, name, 100+i)
			cmd.Env = append(cmd.Env, "HTTP_PROXY="+tt.proxy, "HTTPS_PROXY="+tt.proxy)
			if err := cmd.Run(); err != nil {
				t.Fatalf("riffle demo: %v\n%s", err, stderr)
			}
			if tt.message != "" {
				want := strings.Replace(tt.message, "PROXY", strings.TrimPrefix(tt.proxy, "http://"), 1)
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("no %q in:\n%s", want, stderr)
				}
				return
			}
			var r result
			if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			if stderr.Len() > 0 {
				t.Errorf("riffle demo says:\n%s", stderr)
			}
			arrived(t, b.plainCollector, name, &r, true)
		})
	}
}
