package otlp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// What is sent is what arrives, however it is compressed.
func TestCompressions(t *testing.T) {
	for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
		for _, compression := range []delivery.Compression{"", delivery.None, delivery.Gzip, delivery.Zstd} {
			t.Run(string(protocol)+"/"+string(compression), func(t *testing.T) {
				r := &otlptest.Scripted{Address: otlptest.Dead(t)}
				r.Start(t, string(protocol))
				e := build(t, otlp.Config{Endpoint: r.Address, Protocol: protocol, Compression: compression})
				err := e.ExportSpans(t.Context(), otlptest.Spans("a", "b"))
				if protocol == otlp.GRPC && compression == delivery.Zstd {
					// The receiver here does not know it; the Collector does.
					want := r.Address + " does not know compression zstd: set compression: gzip"
					if err == nil || err.Error() != want {
						t.Errorf("got  %v\nwant %s", err, want)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]string{"a", "b"}, r.Names()); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if protocol == otlp.GRPC {
					return
				}
				want := string(compression)
				switch compression {
				case "":
					want = "gzip"
				case delivery.None:
					want = ""
				}
				if got := r.Headers().Get("Content-Encoding"); got != want {
					t.Errorf("encoding %q, want %q", got, want)
				}
			})
		}
	}
}

func TestHeaders(t *testing.T) {
	r := &otlptest.Scripted{Address: otlptest.Dead(t)}
	r.Start(t, string(otlp.HTTP))
	e := build(t, otlp.Config{Endpoint: r.Address, Protocol: otlp.HTTP, Headers: map[string]component.Secret{
		"X-Api-Key": "s3cret", "Content-Type": "text/plain", "host": "collector.example.com",
	}})
	if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
		t.Fatal(err)
	}
	h := r.Headers()
	if h.Get("X-Api-Key") != "s3cret" || h.Get("Content-Type") != "application/x-protobuf" || !strings.HasPrefix(h.Get("User-Agent"), "riffle-otlp-exporter-go") {
		t.Errorf("headers: %v", h)
	}
	if _, ok := h["Idempotency-Key"]; ok {
		t.Error("an idempotency key was sent")
	}
}

// A redirect is not followed: headers are for the one they were given for.
func TestRedirect(t *testing.T) {
	var followed atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	defer elsewhere.Close()
	r := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/login?token=s3cret", http.StatusTemporaryRedirect))
	defer r.Close()
	e := build(t, otlp.Config{Endpoint: r.URL, Protocol: otlp.HTTP})
	err := e.ExportSpans(t.Context(), otlptest.Spans("a"))
	if err == nil || followed.Load() {
		t.Fatalf("followed: %t, error: %v", followed.Load(), err)
	}
	if !strings.Contains(err.Error(), elsewhere.URL+"/login") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error: %v", err)
	}
	if f := (*delivery.ExportError)(nil); !errors.As(err, &f) || f.Outcome != delivery.Refused {
		t.Errorf("%#v is not refused", err)
	}
}

// An authority that is replaced while the exporter runs is trusted at the next
// connection, and one for another name or address never is.
func TestRenewedAuthority(t *testing.T) {
	for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
		t.Run(string(protocol), func(t *testing.T) {
			before, after := otlptest.NewAuthority(t), otlptest.NewAuthority(t)
			start := func(cfg *tls.Config) *otlptest.Receiver {
				if protocol == otlp.GRPC {
					return otlptest.GRPC(t, cfg)
				}
				return otlptest.HTTP(t, cfg, "/v1/traces")
			}
			r := start(after.Server(t, "127.0.0.1"))
			config := otlp.Config{Endpoint: "https://" + r.Address, Protocol: protocol, TLS: otlp.TLS{CAFile: before.File}}
			e := build(t, config)
			err := e.ExportSpans(t.Context(), otlptest.Spans("a"))
			if err == nil || !strings.Contains(err.Error(), "unknown authority") {
				t.Fatalf("with the old authority: %v", err)
			}
			pem, err := os.ReadFile(after.File)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(before.File, pem, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
				t.Errorf("with the new authority: %v", err)
			}

			other := start(after.Server(t, "127.0.0.2"))
			config.Endpoint, config.TLS.CAFile = "https://"+other.Address, after.File
			err = build(t, config).ExportSpans(t.Context(), otlptest.Spans("a"))
			if err == nil || !strings.Contains(err.Error(), "certificate for another name") {
				t.Errorf("with a certificate of another address: %v", err)
			}
		})
	}
}

// A certificate that has expired is told from one that nobody trusts.
func TestExpiredCertificate(t *testing.T) {
	authority := otlptest.NewAuthority(t)
	pair, err := tls.LoadX509KeyPair(authority.IssueUntil(t, "server", time.Now().Add(-time.Hour), "127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	server := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	for protocol, address := range map[otlp.Protocol]string{otlp.GRPC: otlptest.GRPC(t, server).Address, otlp.HTTP: otlptest.HTTP(t, server, "/v1/traces").Address} {
		e := build(t, otlp.Config{Endpoint: "https://" + address, Protocol: protocol, TLS: otlp.TLS{CAFile: authority.File}})
		err := e.ExportSpans(t.Context(), otlptest.Spans("a"))
		if err == nil || !strings.Contains(err.Error(), "has a certificate that has expired, or is not valid yet (current time ") || !strings.HasSuffix(err.Error(), "renew it, or set the clock of this machine") {
			t.Errorf("%s: %v", protocol, err)
		}
	}
}

// Proxies are the environment's, which a process reads once: the exporter runs
// in another one.
func TestProxy(t *testing.T) {
	const child = "RIFFLE_TEST_PROXY_CHILD"
	if protocol := os.Getenv(child); protocol != "" {
		e := build(t, otlp.Config{Endpoint: "http://collector.example.com:4317", Protocol: otlp.Protocol(protocol)})
		if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
		t.Run(string(protocol), func(t *testing.T) {
			r := &otlptest.Scripted{Address: otlptest.Dead(t)}
			r.Start(t, string(protocol))
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if !strings.HasPrefix(req.Host, "collector.example.com") {
					t.Errorf("the proxy was asked for %s", req.Host)
				}
				if req.Method != http.MethodConnect {
					r.ServeHTTP(w, req)
					return
				}
				c, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
				to, err := net.Dial("tcp", r.Address)
				if err != nil {
					return
				}
				defer to.Close()
				go func() { _, _ = io.Copy(to, c) }()
				_, _ = io.Copy(c, to)
			}))
			t.Cleanup(proxy.Close)
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxy$")
			cmd.Env = append(os.Environ(), child+"="+string(protocol), "HTTP_PROXY="+proxy.URL, "HTTPS_PROXY="+proxy.URL)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if diff := cmp.Diff([]string{"a"}, r.Names()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// A backend that is restarted is found again at once: a broken connection is
// not waited for.
func TestRestart(t *testing.T) {
	for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
		t.Run(string(protocol), func(t *testing.T) {
			address := otlptest.Dead(t)
			e := build(t, otlp.Config{Endpoint: address, Protocol: protocol})
			for range 5 { // gRPC would wait for seconds by now
				if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err == nil {
					t.Fatal("nobody is there")
				}
			}
			r := &otlptest.Scripted{Address: address}
			r.Start(t, string(protocol))
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			err := e.ExportSpans(ctx, otlptest.Spans("a"))
			for end := time.Now().Add(500 * time.Millisecond); err != nil && time.Now().Before(end); {
				// An attempt to connect may have begun before it was restarted.
				err = e.ExportSpans(ctx, otlptest.Spans("a"))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}
