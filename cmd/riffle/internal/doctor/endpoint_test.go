package doctor

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"

	"github.com/riffletrace/riffle/internal/otlptest"
)

// exporter is a file with an exporter to the address; more are keys of its entry.
func exporter(protocol, endpoint string, more ...string) string {
	keys := append([]string{"type: otlp", "protocol: " + protocol, fmt.Sprintf("endpoint: %q", endpoint)}, more...)
	return tracing("exporters:", "  - {"+strings.Join(keys, ", ")+"}")
}

const (
	overHTTP = "http/protobuf"
	overGRPC = "grpc"
)

// impatient gives up soon, where something hangs.
const impatient = time.Second

func answers(status int, contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		if status/100 == 3 {
			w.Header().Set("Location", "https://elsewhere.example/otlp?key="+secret)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

const page = "<!doctype html><html><body>welcome</body></html>"

// Each of these is one fault, which is named with what to do.
func TestEndpoints(t *testing.T) {
	authority := otlptest.NewAuthority(t)
	ca := fmt.Sprintf("tls: {ca_file: %q}", authority.File)
	web := func(h http.Handler) func(*testing.T) string {
		return func(t *testing.T) string { return exporter(overHTTP, "http://"+otlptest.Web(t, nil, h)) }
	}
	pair := func(end time.Time, name string) *tls.Config {
		cert, err := tls.LoadX509KeyPair(authority.IssueUntil(t, strings.ReplaceAll(name, ".", "-")+end.Format("150405"), end, name))
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	expired := pair(time.Now().Add(-time.Hour), "127.0.0.1")
	with := func(server *tls.Config) func(t *testing.T, protocol string, more ...string) string {
		return func(t *testing.T, protocol string, more ...string) string {
			if protocol == overGRPC {
				return exporter(protocol, "https://"+otlptest.GRPC(t, server).Address, more...)
			}
			return exporter(protocol, "https://"+otlptest.HTTP(t, server, "/v1/traces").Address, more...)
		}
	}
	own := authority.Server(t, "127.0.0.1")
	tests := []struct {
		name             string
		yaml             func(t *testing.T) string
		check, found, do string
		timeout          time.Duration
	}{
		{name: "port closed", check: "connect", found: "connection refused", do: "start the receiver", yaml: func(t *testing.T) string { return exporter(overGRPC, otlptest.Dead(t)) }},
		{name: "name not found", check: "resolve", found: "collector.invalid, cannot be resolved: no such host", do: "correct the name in endpoint", yaml: func(*testing.T) string { return exporter(overGRPC, "collector.invalid:4317") }},
		{name: "gRPC's port given HTTP", check: "export", found: "speaks gRPC", do: "use protocol grpc", yaml: func(t *testing.T) string { return exporter(overHTTP, "http://"+otlptest.GRPC(t, nil).Address) }},
		{name: "HTTP's port given gRPC", check: "export", found: "speaks HTTP, not gRPC", do: "use protocol http/protobuf", yaml: func(t *testing.T) string { return exporter(overGRPC, otlptest.HTTP(t, nil, "/v1/traces").Address) }},
		{name: "TLS to plain text over HTTP", check: "export", found: "answered in plain text", do: "write http:// in the endpoint", yaml: func(t *testing.T) string {
			return exporter(overHTTP, "https://"+otlptest.HTTP(t, nil, "/v1/traces").Address)
		}},
		{name: "TLS to plain text over gRPC", check: "export", found: "answered in plain text", do: "set insecure: true", yaml: func(t *testing.T) string {
			return exporter(overGRPC, otlptest.GRPC(t, nil).Address, "insecure: false")
		}},
		{name: "plain text to TLS over HTTP", check: "export", found: "wants TLS", do: "write https:// in the endpoint", yaml: func(t *testing.T) string {
			return exporter(overHTTP, "http://"+otlptest.HTTP(t, own, "/v1/traces").Address)
		}},
		{name: "plain text to TLS over gRPC", check: "export", found: "wants TLS", do: "set insecure: false", yaml: func(t *testing.T) string {
			return exporter(overGRPC, otlptest.GRPC(t, own).Address, "insecure: true")
		}},
		{name: "an expired certificate", check: "tls", found: "has expired", do: "renew the certificate", yaml: func(t *testing.T) string { return with(expired)(t, overGRPC, ca) }},
		{name: "an expired certificate over HTTP", check: "tls", found: "has expired", do: "renew the certificate", yaml: func(t *testing.T) string { return with(expired)(t, overHTTP, ca) }},
		{name: "a foreign certificate", check: "export", found: "of an unknown authority", do: "set tls.ca_file", yaml: func(t *testing.T) string { return with(own)(t, overGRPC) }},
		{name: "a foreign certificate over HTTP", check: "export", found: "of an unknown authority", do: "set tls.ca_file", yaml: func(t *testing.T) string { return with(own)(t, overHTTP) }},
		{name: "a certificate of another name", check: "export", found: "for another name", do: "set tls.server_name", yaml: func(t *testing.T) string { return with(authority.Server(t, "other.example"))(t, overGRPC, ca) }},
		{name: "a certificate of another name over HTTP", check: "export", found: "for another name", do: "set tls.server_name", yaml: func(t *testing.T) string { return with(authority.Server(t, "other.example"))(t, overHTTP, ca) }},
		{name: "no client certificate", check: "export", found: "", do: "tls.cert_file and tls.key_file", yaml: func(t *testing.T) string { return with(authority.MutualServer(t, "127.0.0.1"))(t, overGRPC, ca) }},
		{name: "no client certificate over HTTP", check: "export", found: "", do: "tls.cert_file and tls.key_file", yaml: func(t *testing.T) string { return with(authority.MutualServer(t, "127.0.0.1"))(t, overHTTP, ca) }},

		{name: "an old TLS", check: "export", found: "speaks no version of TLS that is taken", do: "1.2 or a newer one", yaml: func(t *testing.T) string {
			old := authority.Server(t, "127.0.0.1")
			old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 //nolint:gosec // it is what is refused
			return with(old)(t, overHTTP, ca)
		}},
		{name: "301", check: "export", found: "it sends elsewhere, to https://elsewhere.example/otlp", do: "write the address that it leads to", yaml: web(answers(301, "", ""))},
		{name: "400", check: "export", found: "400 Bad Request", do: "it may be no OTLP receiver", yaml: web(answers(400, "text/plain", "what?"))},
		{name: "401", check: "export", found: "refused the credentials", do: "check headers; it does not know who sends", yaml: web(answers(401, "", ""))},
		{name: "403", check: "export", found: "refused the credentials", do: "check headers; it knows who sends", yaml: web(answers(403, "", ""))},
		{name: "404", check: "export", found: "takes no traces at /v1/traces", do: "check the path", yaml: web(http.NotFoundHandler())},
		{name: "405", check: "export", found: "takes no traces at /v1/traces", do: "check the path", yaml: web(answers(405, "", ""))},
		{name: "415", check: "export", found: "does not know compression gzip", do: "set compression: none", yaml: web(answers(415, "", ""))},
		{name: "429", check: "export", found: "429 Too Many Requests", do: "raise the quota", yaml: web(answers(429, "", ""))},
		{name: "500", check: "export", found: "500 Internal Server Error", do: "the log of the receiver", yaml: web(answers(500, "", ""))},
		{name: "503", check: "export", found: "503 Service Unavailable", do: "not ready or overloaded", yaml: web(answers(503, "", ""))},
		{name: "a page with 200", check: "export", found: "answered with a web page", do: "write the endpoint of the receiver", yaml: web(answers(200, "text/html", page))},
		{name: "a page with 502", check: "export", found: "502 Bad Gateway", do: "a proxy answers, and does not reach the receiver", yaml: web(answers(502, "text/html", page))},
		{name: "a page given gRPC", check: "export", found: "speaks HTTP, not gRPC", do: "use protocol http/protobuf", yaml: func(t *testing.T) string {
			return exporter(overGRPC, otlptest.Web(t, nil, answers(200, "text/html", page)))
		}},
		{name: "no traces over gRPC", check: "export", found: "takes no traces", do: "a gRPC server that takes no traces", yaml: func(t *testing.T) string { return exporter(overGRPC, otlptest.BareGRPC(t)) }},
		{name: "hangs over HTTP", timeout: impatient, check: "export", found: "did not answer in time", do: "whether it is an OTLP receiver", yaml: func(t *testing.T) string { return exporter(overHTTP, "http://"+otlptest.Silent(t)) }},
		{name: "hangs over gRPC", timeout: impatient, check: "export", found: "did not answer in time", do: "whether it is an OTLP receiver", yaml: func(t *testing.T) string { return exporter(overGRPC, otlptest.Silent(t)) }},
		{name: "hangs in the handshake", timeout: impatient, check: "export", found: "did not answer in time", do: "whether it is an OTLP receiver", yaml: func(t *testing.T) string { return exporter(overHTTP, "https://"+otlptest.Silent(t)) }},
		{name: "another protocol", check: "export", found: `greets with "SSH-2.0-OpenSSH_9.2p1"`, do: "correct the port", yaml: func(t *testing.T) string { return exporter(overHTTP, "http://"+banner(t)) }},
		{name: "another protocol given gRPC", check: "export", found: `greets with "SSH-2.0-OpenSSH_9.2p1"`, do: "correct the port", yaml: func(t *testing.T) string { return exporter(overGRPC, banner(t)) }},
		{name: "HTTP/1 that does not say so, given gRPC", check: "export", found: "speaks HTTP, not gRPC", do: "use protocol http/protobuf", yaml: func(t *testing.T) string {
			return exporter(overGRPC, onlyHTTP1(t))
		}},
		{name: "TLS without HTTP/2, given gRPC", check: "export", found: "speaks TLS, but not HTTP/2", do: "let the proxy in front of it speak HTTP/2", yaml: func(t *testing.T) string {
			return exporter(overGRPC, "https://"+withoutALPN(t, authority.Server(t, "127.0.0.1")), ca)
		}},
		{name: "a refused client certificate", check: "export", found: "take the client certificate", do: "check that tls.cert_file", yaml: func(t *testing.T) string {
			cert, key := otlptest.NewAuthority(t).IssueUntil(t, "stranger", time.Now().Add(time.Hour), "client")
			mutual := authority.MutualServer(t, "127.0.0.1")
			return with(mutual)(t, overHTTP, fmt.Sprintf("tls: {ca_file: %q, cert_file: %q, key_file: %q}", authority.File, cert, key))
		}},
		{name: "hangs up", check: "export", found: "hung up", do: "answers neither TLS nor HTTP", yaml: func(t *testing.T) string { return exporter(overHTTP, "http://"+otlptest.HangsUp(t)) }},
		{name: "a socket that is not there", check: "connect", found: "no such file", do: "the path of its socket", yaml: func(t *testing.T) string {
			return exporter(overGRPC, "unix://"+filepath.Join(t.TempDir(), "s"))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t, tt.yaml(t)) // certificates are files of the authority's
			t.Parallel()
			if tt.timeout > 0 {
				o.Timeout = tt.timeout
			}
			oneFault(t, o, tt.check, tt.found, tt.do)
		})
	}
}

// banner is the address of a server that speaks first, and no HTTP.
func banner(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2p1\r\n")
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// onlyHTTP1 is the address of a server that answers what is no HTTP/1 with nothing but a text,
// and hangs up.
func onlyHTTP1(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				line, _ := bufio.NewReader(c).ReadString('\n')
				if strings.HasSuffix(line, " HTTP/1.1\r\n") {
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					return
				}
				_, _ = io.WriteString(c, "what?\r\n")
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// withoutALPN is the address of a server that ends TLS and agrees on no protocol.
func withoutALPN(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: answers(200, "", ""), ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return l.Addr().String()
}

// A gRPC server answers with each of these codes.
func TestCodes(t *testing.T) {
	for code, w := range map[string]struct{ found, do string }{
		"UNAUTHENTICATED":    {"refused the credentials", "it does not know who sends"},
		"PERMISSION_DENIED":  {"refused the credentials", "the right to write traces"},
		"UNIMPLEMENTED":      {"takes no traces", "a gRPC server that takes no traces"},
		"RESOURCE_EXHAUSTED": {"ResourceExhausted", "raise the quota"},
		"UNAVAILABLE":        {"Unavailable", "not ready or overloaded"},
		"INVALID_ARGUMENT":   {"InvalidArgument", "an old receiver"},
		"INTERNAL":           {"Internal", "the log of the receiver"},
		"DEADLINE_EXCEEDED":  {"did not answer in time", "overloaded"},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			r := otlptest.GRPC(t, nil)
			r.RespondWithCode(t, code)
			oneFault(t, options(t, exporter(overGRPC, r.Address)), "export", w.found, w.do)
		})
	}
}

// What works is said to, over both protocols and with TLS.
func TestEndpointsThatWork(t *testing.T) {
	authority := otlptest.NewAuthority(t)
	ca := fmt.Sprintf("tls: {ca_file: %q}", authority.File)
	cert, key := authority.Issue(t, "client", "client")
	mutual := fmt.Sprintf("tls: {ca_file: %q, cert_file: %q, key_file: %q}", authority.File, cert, key)
	for name, yaml := range map[string]string{
		"http":               exporter(overHTTP, "http://"+otlptest.HTTP(t, nil, "/v1/traces").Address),
		"grpc":               exporter(overGRPC, otlptest.GRPC(t, nil).Address),
		"https":              exporter(overHTTP, "https://"+otlptest.HTTP(t, authority.Server(t, "127.0.0.1"), "/v1/traces").Address, ca),
		"grpc with a scheme": exporter(overGRPC, "http://"+otlptest.GRPC(t, nil).Address),
		"a target of grpc":   exporter(overGRPC, "dns:///"+otlptest.GRPC(t, nil).Address),
		"mutual":             exporter(overGRPC, "https://"+otlptest.GRPC(t, authority.MutualServer(t, "127.0.0.1")).Address, mutual),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t, yaml)
			if r := diagnose(t, o, want{"connect", OK, "answers", ""}, want{"export", OK, "it took an empty export", ""}); !r.OK {
				t.Errorf("%+v", r)
			}
			o.Live = true
			if r := diagnose(t, o, want{"export", OK, "it took one span, of trace ", ""}); !r.OK {
				t.Errorf("%+v", r)
			}
		})
	}
	// A certificate of an hour is one that ends soon.
	diagnose(t, options(t, exporter(overHTTP, "https://"+otlptest.HTTP(t, authority.Server(t, "127.0.0.1"), "/v1/traces").Address, ca)),
		want{"tls", Warning, `certificate of "server" by "test authority" until`, "renew the certificate"})
}

// The SDK's exporters, which send nothing without spans, are examined as well.
func TestExportersOfTheSDK(t *testing.T) {
	for _, protocol := range []string{"otlptracegrpc", "otlptracehttp"} {
		t.Run(protocol, func(t *testing.T) {
			entry := func(address string) Options {
				return options(t, tracing("exporters:", fmt.Sprintf("  - {type: %s, endpoint: 'http://%s', headers: {x-key: %s}}", protocol, address, secret)))
			}
			fine, refuses := otlptest.GRPC(t, nil), otlptest.GRPC(t, nil)
			refuses.RespondWithCode(t, "UNAUTHENTICATED")
			refusing := refuses.Address
			if protocol == "otlptracehttp" {
				fine, refusing = otlptest.HTTP(t, nil, "/v1/traces"), otlptest.Web(t, nil, answers(401, "", ""))
			}
			diagnose(t, entry(fine.Address), want{"export", OK, "it took an empty export", ""})
			oneFault(t, entry(refusing), "export", "refused the credentials", "check headers")
			o := entry(fine.Address)
			o.Live = true
			diagnose(t, o, want{"export", OK, "it took one span", ""})
			if len(fine.Requests()) < 3 || fine.Requests()[0].Headers.Get("X-Key") != secret {
				t.Errorf("%+v", fine.Requests())
			}
		})
	}
	diagnose(t, options(t, tracing("exporters: [{type: otlptracehttp, endpoint: 'http://collector.invalid:4318', proxy: 'http://127.0.0.1:1'}]")),
		want{"connect", Skipped, "its entry has a proxy", ""}, want{"export", Skipped, "--live has it send one", ""})
}

// The secrets of headers are in no report, though the server repeats them.
func TestSecrets(t *testing.T) {
	repeats := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no such key: "+r.Header.Get("X-Key"), http.StatusUnauthorized)
	})
	oneFault(t, options(t, exporter(overHTTP, "http://"+otlptest.Web(t, nil, repeats), "headers: {x-key: "+secret+"}")), "export", "refused the credentials", "check headers")
}

// What is taken out of the spans of a service is taken out of those of --live.
func TestLiveRedacts(t *testing.T) {
	for name, rules := range map[string][2]string{"of the entry": {"", "redact: {rules: [{keys: [customer]}]}"}, "of all": {"redact: {rules: [{keys: [customer]}]}", "name: x"}} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var bodies []byte
			receiver := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				mu.Lock()
				defer mu.Unlock()
				bodies = append(bodies, body...)
			})
			o := options(t, exporter(overHTTP, "http://"+otlptest.Web(t, nil, receiver), "compression: none", rules[1])+"    resource: {customer: "+secret+"}\n    "+rules[0]+"\n")
			o.Live = true
			diagnose(t, o, want{"export", OK, "it took one span", ""})
			mu.Lock()
			defer mu.Unlock()
			if text := string(bodies); !strings.Contains(text, "customer") || strings.Contains(text, secret) {
				t.Errorf("sent:\n%q", text)
			}
		})
	}
}

func TestSlow(t *testing.T) {
	t.Parallel()
	late := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			time.Sleep(slow) // it is what is tested
		}
	})
	diagnose(t, options(t, exporter(overHTTP, "http://"+otlptest.Web(t, nil, late))), want{"export", Warning, "slowly", "find out why"})
}

// What is too large is found out with --live alone, and how large that is.
func TestTooLarge(t *testing.T) {
	for _, protocol := range []string{overHTTP, overGRPC} {
		t.Run(protocol, func(t *testing.T) {
			r := &otlptest.Scripted{Script: otlptest.Script{MaxBytes: 4 << 10}, Address: otlptest.Dead(t)}
			r.Start(t, protocol)
			endpoint := r.Address
			if protocol == overHTTP {
				endpoint = "http://" + endpoint
			}
			o := options(t, exporter(protocol, endpoint, "compression: none"))
			diagnose(t, o, want{"export", OK, "an empty export", ""})
			o.Live = true
			oneFault(t, o, "export", "as too large, and takes one of 3", "batch: {max_bytes: 3KiB}")
		})
	}
	t.Run("rejected", func(t *testing.T) {
		r := &otlptest.Scripted{Address: otlptest.Dead(t), Script: otlptest.Script{Respond: func(n int) *coltracepb.ExportTraceServiceResponse {
			return &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: int64(n), ErrorMessage: "too old\x1b[2J"}}
		}}}
		r.Start(t, overGRPC)
		o := options(t, exporter(overGRPC, r.Address))
		o.Live = true
		oneFault(t, o, "export", "rejected 1 of 1 spans: too old", "the log of the receiver")
	})
}

// Of three addresses two are dead: it works, and is told.
func TestDeadAddresses(t *testing.T) {
	r := otlptest.GRPC(t, nil)
	_, port, _ := net.SplitHostPort(r.Address)
	o := options(t, exporter(overGRPC, "localhost:"+port))
	o.lookup = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.1")}, nil
	}
	report := diagnose(t, o, want{"resolve", OK, "localhost is 127.0.0.1, 127.0.0.2, 127.0.0.3", ""},
		want{"connect", Warning, "127.0.0.1:" + port + " answers, 2 of 3 addresses do not", "take the dead addresses out of DNS"}, want{"export", OK, "it took", ""})
	if !report.OK {
		t.Errorf("%+v", report)
	}
}

// A DNS server that does not answer is told from a name that is not there.
func TestResolverHangs(t *testing.T) {
	o := options(t, exporter(overGRPC, "collector:4317"))
	o.Timeout = 50 * time.Millisecond
	o.lookup = func(ctx context.Context, _ string) ([]netip.Addr, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	diagnose(t, o, want{"resolve", Fault, "no answer in time", "/etc/resolv.conf"})
}

// A name that a container has for itself.
func TestContainer(t *testing.T) {
	o := options(t, exporter(overGRPC, otlptest.Dead(t)))
	if err := os.WriteFile(filepath.Join(o.system, ".dockerenv"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	oneFault(t, o, "connect", "connection refused", "localhost is the container itself")
}

func TestClock(t *testing.T) {
	for off, w := range map[time.Duration]want{
		0:                 {"clock", OK, "within 5s", ""},
		time.Minute:       {"clock", Warning, "behind that of the receiver", "NTP"},
		-time.Hour:        {"clock", Fault, "1h0m", "NTP"},
		100 * time.Minute: {"clock", Fault, "behind", "NTP"},
	} {
		clock := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		})
		diagnose(t, options(t, exporter(overHTTP, "http://"+otlptest.Web(t, nil, clock))), w)
	}
}
