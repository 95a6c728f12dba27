package sdk_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/sdk"
	"github.com/riffletrace/riffle/internal/otlptest"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // what the servers think of the handshakes
	goleak.VerifyTestMain(m)
}

// settings are the keys that both exporters have.
type settings struct {
	endpoint    string
	insecure    *bool
	headers     map[string]component.Secret
	compression string
	tls         sdk.TLS
}

// build makes either exporter, and shuts it down after the test.
func build(t *testing.T, protocol string, s settings) sdktrace.SpanExporter {
	t.Helper()
	e, err := entry(protocol, s).Build(t.Context(), component.Settings{})
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

func entry(protocol string, s settings) component.Plan[sdktrace.SpanExporter] {
	if protocol == "grpc" {
		return component.Use(sdk.GRPC, "", sdk.GRPCConfig{
			Endpoint: s.endpoint, Insecure: s.insecure, Headers: s.headers, Compression: s.compression, TLS: s.tls,
		})
	}
	return component.Use(sdk.HTTP, "", sdk.HTTPConfig{
		Endpoint: s.endpoint, Insecure: s.insecure, Headers: s.headers, Compression: s.compression, TLS: s.tls,
	})
}

func receiver(t *testing.T, protocol string, cfg *tls.Config) *otlptest.Receiver {
	t.Helper()
	if protocol == "grpc" {
		return otlptest.GRPC(t, cfg)
	}
	return otlptest.HTTP(t, cfg, "/v1/traces")
}

// localhost is the address by name, as people write it.
func localhost(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return "localhost:" + port
}

// A user must learn from an error what to change.
func TestErrorsSayWhatToDo(t *testing.T) {
	ca := otlptest.NewAuthority(t)
	strangerCert, strangerKey := otlptest.NewAuthority(t).Issue(t, "stranger", "stranger")
	certificates := ca.Server(t, "localhost")
	mutual := ca.MutualServer(t, "localhost")
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<html>hello</html>")
	})

	type starter func(t *testing.T) (address string)
	grpcServer := func(cfg *tls.Config) starter {
		return func(t *testing.T) string { return otlptest.GRPC(t, cfg).Address }
	}
	httpServer := func(cfg *tls.Config) starter {
		return func(t *testing.T) string { return otlptest.HTTP(t, cfg, "/v1/traces").Address }
	}
	web := func(cfg *tls.Config, h http.Handler) starter {
		return func(t *testing.T) string { return otlptest.Web(t, cfg, h) }
	}
	refusing := func(code codes.Code) starter {
		return func(t *testing.T) string {
			r := otlptest.GRPC(t, nil)
			r.RespondWith(status.Error(code, "no"))
			return r.Address
		}
	}
	secure, plain := settings{insecure: new(false)}, settings{insecure: new(true)}
	trusting := settings{insecure: new(false), tls: sdk.TLS{CAFile: ca.File}}
	stranger := settings{insecure: new(false), tls: sdk.TLS{CAFile: ca.File, CertFile: strangerCert, KeyFile: strangerKey}}
	https, http1 := settings{endpoint: "https://"}, settings{endpoint: "http://"}

	const (
		wantsCert  = "ADDR wants a client certificate that it trusts: set tls.cert_file and tls.key_file"
		mayWant    = "ADDR hung up after the TLS handshake: it may want a client certificate that it trusts: set tls.cert_file and tls.key_file"
		ownCert    = "take the client certificate: check that tls.cert_file has not expired, and is of an authority that it trusts"
		takesNot   = "ADDR does not " + ownCert
		hungUp     = "ADDR hung up during the TLS handshake: if it takes plain text, set insecure: true"
		mayTakeNot = "ADDR hung up after the TLS handshake: it may not " + ownCert
		webPage    = "ADDR answered with a web page: it is no OTLP receiver; the usual port is 4318"
		notGRPC    = "ADDR speaks HTTP, not gRPC: use protocol http/protobuf, or the port for OTLP over gRPC (usually 4317)"
		notHTTP    = "ADDR speaks gRPC: use protocol grpc, or the port for OTLP over HTTP (usually 4318)"
		otherName  = "ADDR has a certificate for another name: set tls.server_name (certificate is valid for elsewhere, not localhost)"
	)
	tests := []struct {
		name     string
		protocol string // "": both
		server   starter
		settings settings
		want     []string // any of them: what arrives first is not always the same
	}{
		{"TLS to plaintext gRPC", "", grpcServer(nil), secure, []string{"ADDR answered in plain text: set insecure: true"}},
		{"TLS to plaintext HTTP", "", httpServer(nil), secure, []string{"ADDR answered in plain text: set insecure: true"}},
		{"https to plaintext", "", httpServer(nil), https, []string{"ADDR answered in plain text: write http:// in the endpoint"}},

		{"plaintext to TLS", "grpc", grpcServer(certificates), plain, []string{"ADDR hung up on plain text: if it wants TLS, set insecure: false"}},
		{"http to TLS", "grpc", grpcServer(certificates), http1, []string{"ADDR hung up on plain text: if it wants TLS, write https:// in the endpoint"}},
		{"plaintext to TLS", "http", httpServer(certificates), plain, []string{"ADDR wants TLS: set insecure: false"}},
		{"http to TLS", "http", httpServer(certificates), http1, []string{"ADDR wants TLS: write https:// in the endpoint"}},

		{"hangs up", "", hangsUp, plain, []string{"ADDR hung up on plain text: if it wants TLS, set insecure: false"}},
		{"hangs up on TLS", "grpc", hangsUp, secure, []string{hungUp}},
		{"hangs up on TLS", "http", hangsUp, secure, []string{hungUp + "; if it wants a client certificate, set tls.cert_file and tls.key_file"}},

		{"unknown authority", "grpc", grpcServer(certificates), secure, []string{"ADDR has a certificate of an unknown authority: set tls.ca_file"}},
		{"unknown authority", "http", httpServer(certificates), secure, []string{"ADDR has a certificate of an unknown authority: set tls.ca_file"}},
		{"other name", "grpc", grpcServer(ca.Server(t, "elsewhere")), trusting, []string{otherName}},
		{"other name", "http", httpServer(ca.Server(t, "elsewhere")), trusting, []string{otherName}},
		{"no client certificate", "grpc", grpcServer(mutual), trusting, []string{wantsCert, mayWant}},
		{"no client certificate", "http", httpServer(mutual), trusting, []string{wantsCert, mayWant}},
		{"stranger's certificate", "grpc", grpcServer(mutual), stranger, []string{takesNot, mayTakeNot}},
		{"stranger's certificate", "http", httpServer(mutual), stranger, []string{takesNot, mayTakeNot}},

		{"gRPC's port", "http", grpcServer(nil), settings{}, []string{notHTTP}},
		{"HTTP's port", "grpc", httpServer(nil), settings{}, []string{notGRPC}},
		{"web server", "http", web(nil, page), settings{}, []string{webPage}},
		{"web server", "grpc", web(nil, page), settings{}, []string{notGRPC}},
		{"web server with TLS", "http", web(certificates, page), trusting, []string{webPage}},
		{"web server with TLS", "grpc", web(certificates, page), trusting, []string{notGRPC}},
		{"path", "http", web(nil, http.NotFoundHandler()), settings{}, []string{"ADDR takes no traces at /v1/traces: check the path"}},
		{"gRPC without traces", "grpc", bareGRPC, settings{}, []string{"ADDR takes no traces: unknown service opentelemetry.proto.collector.trace.v1.TraceService"}},
		{"credentials", "grpc", refusing(codes.Unauthenticated), settings{}, []string{"ADDR refused the credentials: check headers"}},
		{"other status", "grpc", refusing(codes.InvalidArgument), settings{}, []string{"sending to ADDR: rpc error: code = InvalidArgument desc = no"}},
		{"nobody there", "", dead, settings{}, []string{"ADDR refused the connection: nothing listens there"}},
		{"silent", "", silent, settings{}, []string{"ADDR did not answer in time"}},
	}
	for _, tt := range tests {
		protocols := []string{tt.protocol}
		if tt.protocol == "" {
			protocols = []string{"grpc", "http"}
		}
		for _, protocol := range protocols {
			t.Run(protocol+"/"+tt.name, func(t *testing.T) {
				address := localhost(tt.server(t))
				s := tt.settings
				s.endpoint += address
				e := build(t, protocol, s)
				within := 10 * time.Second
				if tt.name == "silent" {
					within = 200 * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), within)
				defer cancel()
				began := time.Now()
				err := e.ExportSpans(ctx, otlptest.Spans("a"))
				if err == nil {
					t.Fatal("no error")
				}
				if took := time.Since(began); took > within+3*time.Second {
					t.Errorf("took %v, its context %v", took, within)
				}
				if got := strings.ReplaceAll(err.Error(), address, "ADDR"); !slices.Contains(tt.want, got) {
					t.Errorf("got  %s\nwant %s\nfrom %v", got, strings.Join(tt.want, "\n  or "), errors.Unwrap(err))
				}
				if errors.Unwrap(err) == nil {
					t.Error("the cause is lost")
				}
			})
		}
	}
}

func bareGRPC(t *testing.T) string { return otlptest.BareGRPC(t) }
func dead(t *testing.T) string     { return otlptest.Dead(t) }
func silent(t *testing.T) string   { return otlptest.Silent(t) }
func hangsUp(t *testing.T) string  { return otlptest.HangsUp(t) }

// A server that hangs up after it has taken spans is no reason to doubt the
// configuration.
func TestHangUpAfterSuccess(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepts atomic.Bool
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if !accepts.Load() {
			panic(http.ErrAbortHandler)
		}
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })

	e := build(t, "http", settings{endpoint: l.Addr().String()})
	accepts.Store(true)
	if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
		t.Fatal(err)
	}
	accepts.Store(false)
	err = e.ExportSpans(t.Context(), otlptest.Spans("b"))
	if err == nil || strings.Contains(err.Error(), "insecure") {
		t.Errorf("got %v, want an error that says nothing of insecure", err)
	}
}

func TestSend(t *testing.T) {
	ca := otlptest.NewAuthority(t)
	certFile, keyFile := ca.Issue(t, "client", "client")
	tests := []struct {
		name     string
		server   *tls.Config
		settings settings
	}{
		{"plaintext on loopback", nil, settings{}},
		{"http", nil, settings{endpoint: "http://"}},
		{"insecure", nil, settings{insecure: new(true)}},
		{"https", ca.Server(t, "localhost"), settings{endpoint: "https://", tls: sdk.TLS{CAFile: ca.File}}},
		{"secure", ca.Server(t, "localhost"), settings{insecure: new(false), tls: sdk.TLS{CAFile: ca.File, MinVersion: "1.3"}}},
		{"skip verify", ca.Server(t, "elsewhere"), settings{insecure: new(false), tls: sdk.TLS{InsecureSkipVerify: true}}},
		{"server name", ca.Server(t, "elsewhere"), settings{insecure: new(false), tls: sdk.TLS{CAFile: ca.File, ServerName: "elsewhere"}}},
		{"mutual", ca.MutualServer(t, "localhost"), settings{insecure: new(false), tls: sdk.TLS{CAFile: ca.File, CertFile: certFile, KeyFile: keyFile}}},
		{"headers", nil, settings{headers: map[string]component.Secret{"X-Api-Key": "s3cret"}}},
		{"gzip", nil, settings{compression: "gzip"}},
	}
	for _, protocol := range []string{"grpc", "http"} {
		for _, tt := range tests {
			t.Run(protocol+"/"+tt.name, func(t *testing.T) {
				// What the environment says is overruled.
				t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:1")
				if tt.settings.headers != nil {
					t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=other,x-more=1")
				}
				r := receiver(t, protocol, tt.server)
				s := tt.settings
				s.endpoint += localhost(r.Address)
				e := build(t, protocol, s)
				if err := e.ExportSpans(t.Context(), otlptest.Spans("a", "b")); err != nil {
					t.Fatal(err)
				}
				requests := r.Requests()
				if len(requests) != 1 {
					t.Fatalf("%d requests, want 1", len(requests))
				}
				got := requests[0]
				if diff := cmp.Diff([]string{"a", "b"}, got.Spans); diff != "" {
					t.Errorf("spans: -want +got:\n%s", diff)
				}
				if tt.settings.headers != nil && (got.Headers.Get("X-Api-Key") != "s3cret" || got.Headers.Get("X-More") != "") {
					t.Errorf("headers: %v", got.Headers)
				}
				if want := tt.settings.compression; want != "" && got.Encoding != want {
					t.Errorf("encoding %q, want %q", got.Encoding, want)
				}
				if want := localhost(r.Address); !strings.Contains(e.(delivery.Exporter).Traits().Endpoint, want) {
					t.Errorf("endpoint %q, want one with %q", e.(delivery.Exporter).Traits().Endpoint, want)
				}
			})
		}
	}
}

func TestEnvironment(t *testing.T) {
	ca := otlptest.NewAuthority(t)
	certFile, keyFile := ca.Issue(t, "client", "client")
	for _, protocol := range []string{"grpc", "http"} {
		t.Run(protocol, func(t *testing.T) {
			r := receiver(t, protocol, ca.MutualServer(t, "localhost"))
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://"+localhost(r.Address))
			t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.File)
			t.Setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certFile)
			t.Setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", keyFile)
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=a%20b")
			t.Setenv("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip")
			e := build(t, protocol, settings{})
			if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
				t.Fatal(err)
			}
			requests := r.Requests()
			if len(requests) != 1 || requests[0].Headers.Get("X-Api-Key") != "a b" || requests[0].Encoding != "gzip" {
				t.Errorf("got %+v", requests)
			}
		})
	}
}

// Certificates in the environment are no reason to refuse an endpoint that is
// plaintext.
func TestEnvironmentWithPlaintext(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", otlptest.NewAuthority(t).File)
	for _, protocol := range []string{"grpc", "http"} {
		e := build(t, protocol, settings{endpoint: "http://" + receiver(t, protocol, nil).Address})
		if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
			t.Errorf("%s: %v", protocol, err)
		}
	}
}

// No connection outlives Shutdown.
func TestShutdownCloses(t *testing.T) {
	var open sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Done()
		}
	}
	server.Start()
	t.Cleanup(server.Close)

	e := build(t, "http", settings{endpoint: server.URL})
	if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
		t.Fatal(err)
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		open.Wait()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("a connection is still open")
	}
}

// What only one of the two has.
func TestHTTPOptions(t *testing.T) {
	r := otlptest.HTTP(t, nil, "/elsewhere")
	entry := component.Use(sdk.HTTP, "", sdk.HTTPConfig{Endpoint: r.Address, URLPath: "/elsewhere", Encoding: sdk.JSON})
	e, err := entry.Build(t.Context(), component.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
		t.Fatal(err)
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	requests := r.Requests()
	if len(requests) != 1 || requests[0].Path != "/elsewhere" || requests[0].Headers.Get("Content-Type") != "application/json" {
		t.Errorf("got %+v", requests)
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name  string
		entry component.Plan[sdktrace.SpanExporter]
		want  string
	}{
		{"defaults", component.Use(sdk.GRPC, "", sdk.GRPCConfig{}), ""},
		{"bad port and interval", component.Use(sdk.GRPC, "", sdk.GRPCConfig{
			Endpoint: "localhost:99999", ReconnectionPeriod: -1, ServiceConfig: "{", Retry: sdk.Retry{Enabled: true, MaxInterval: 1},
		}), `endpoint: port "99999" is not a number from 1 to 65535
retry.initial_interval: 0s is too short
reconnection_period: -1ns is negative
service_config: not JSON`},
		{
			"encoding and proxy", component.Use(sdk.HTTP, "", sdk.HTTPConfig{Encoding: "xml", Proxy: "user:pw@"}),
			`proxy: not a URL such as http://proxy:3128
encoding: "xml" is not one of protobuf, json`,
		},
		{
			"two paths", component.Use(sdk.HTTP, "", sdk.HTTPConfig{Endpoint: "http://a/b", URLPath: "/c"}),
			`url_path: the endpoint has a path too ("/b"): write one of them`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.entry.Err(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// What is above the SDK's own limit is sent in parts.
func TestMaxRequestSize(t *testing.T) {
	for protocol, plan := range map[string]func(address string) component.Plan[sdktrace.SpanExporter]{
		"grpc": func(address string) component.Plan[sdktrace.SpanExporter] {
			return component.Use(sdk.GRPC, "", sdk.GRPCConfig{Endpoint: address, MaxRequestSize: 200})
		},
		"http": func(address string) component.Plan[sdktrace.SpanExporter] {
			return component.Use(sdk.HTTP, "", sdk.HTTPConfig{Endpoint: address, MaxRequestSize: 200})
		},
	} {
		t.Run(protocol, func(t *testing.T) {
			r := receiver(t, protocol, nil)
			e, err := plan(r.Address).Build(t.Context(), component.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			lines := &delivery.Lines{}
			l := lines.Add(e, delivery.Defaults(), delivery.Settings{})
			lines.HandOver(otlptest.Spans("a", "b", "c", "d", "e", "f", "g", "h")...)
			if err := l.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if s := l.Stats(); s.Sent != 8 || s.Split == 0 || len(r.Requests()) < 2 {
				t.Errorf("stats: %+v", s)
			}
		})
	}
}

// A query may have a key in it, and net/http's errors have the URL.
func TestQueryIsNotShown(t *testing.T) {
	accepted := make(chan struct{})
	address := otlptest.Web(t, nil, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(accepted)
		<-r.Context().Done()
	}))
	e := build(t, "http", settings{endpoint: "http://" + address + "/v1/traces?key=s3cret"})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-accepted
		cancel()
	}()
	err := e.ExportSpans(ctx, otlptest.Spans("a"))
	if want := "sending to " + address + `: traces export: Post "http://` + address + `/v1/traces": context canceled`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if endpoint := e.(delivery.Exporter).Traits().Endpoint; endpoint != "http://"+address+"/v1/traces" {
		t.Errorf("the endpoint is shown as %s", endpoint)
	}
}

func TestConcurrentSafe(t *testing.T) {
	for _, protocol := range []string{"grpc", "http"} {
		r := receiver(t, protocol, nil)
		e := build(t, protocol, settings{endpoint: r.Address})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := e.ExportSpans(t.Context(), otlptest.Spans("a")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := len(r.Requests()); got != 8 {
			t.Errorf("%s: %d requests, want 8", protocol, got)
		}
	}
}
