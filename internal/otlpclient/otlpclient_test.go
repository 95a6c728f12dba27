package otlpclient_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	grpc = otlpclient.GRPC
	http = otlpclient.HTTP
)

func TestResolve(t *testing.T) {
	const tls = " TLS"
	tests := []struct {
		protocol otlpclient.Protocol
		endpoint string
		insecure *bool
		want     string // the endpoint, and TLS
	}{
		{"", "", nil, "localhost:4317"},
		{grpc, "", new(false), "localhost:4317" + tls},
		{http, "", nil, "http://localhost:4318/v1/traces"},

		{grpc, "localhost", nil, "localhost:4317"},
		{grpc, "LOCALHOST:4317", nil, "LOCALHOST:4317"},
		{grpc, "otel.localhost:1", nil, "otel.localhost:1"},
		{grpc, "127.0.0.1:4317", nil, "127.0.0.1:4317"},
		{grpc, "127.9.9.9:4317", nil, "127.9.9.9:4317"},
		{grpc, "[::1]:4317", nil, "[::1]:4317"},
		{grpc, "[::1]", nil, "[::1]:4317"},
		{grpc, "[fe80::1%25eth0]:1", nil, "[fe80::1%25eth0]:1" + tls},
		{grpc, "localhost:4317", new(false), "localhost:4317" + tls},
		{grpc, "localhost.example.com:4317", nil, "localhost.example.com:4317" + tls},
		{grpc, "collector:4317", nil, "collector:4317" + tls},
		{grpc, "collector:4317", new(true), "collector:4317"},
		{grpc, "10.0.0.1:4317", nil, "10.0.0.1:4317" + tls},
		{grpc, "0.0.0.0:4317", nil, "0.0.0.0:4317" + tls},

		{grpc, "http://collector:4317", nil, "collector:4317"},
		{grpc, "http://collector:4317/", new(true), "collector:4317"},
		{grpc, "HTTP://collector", nil, "collector:4317"},
		{grpc, "https://collector:4317", nil, "collector:4317" + tls},
		{grpc, "https://localhost:4317", new(false), "localhost:4317" + tls},
		{grpc, "https://api.example.com", nil, "api.example.com:443" + tls},
		{grpc, "unix:///run/otlp.sock", nil, "unix:///run/otlp.sock"},
		{grpc, "unix:otlp.sock", nil, "unix:otlp.sock"},
		{grpc, "unix:/run/otlp.sock", nil, "unix:/run/otlp.sock"},
		{grpc, "unix-abstract:otlp", nil, "unix-abstract:otlp"},
		{grpc, "dns:///collector:4317", nil, "dns:///collector:4317" + tls},
		{grpc, "dns:///collector:4317", new(true), "dns:///collector:4317"},
		{grpc, "dns:///localhost:4317", nil, "dns:///localhost:4317"},
		{grpc, "dns:collector:4317", nil, "dns:collector:4317" + tls},
		{grpc, "dns://10.0.0.53/collector:4317", nil, "dns://10.0.0.53/collector:4317" + tls},
		{grpc, "passthrough:///collector:4317", nil, "passthrough:///collector:4317" + tls},
		{grpc, "dns:4317", nil, "dns:4317" + tls}, // a host of that name
		{grpc, "[::1%25lo]:4317", nil, "[::1%25lo]:4317"},

		{http, "collector", new(true), "http://collector:4318/v1/traces"},
		{http, "collector:1/base/", nil, "https://collector:1/base/v1/traces"},
		{http, "http://collector", nil, "http://collector:80/v1/traces"},
		{http, "https://api.example.com", nil, "https://api.example.com:443/v1/traces"},
		{http, "https://api.example.com/otlp", nil, "https://api.example.com:443/otlp/v1/traces"},
		{http, "https://api.example.com/otlp/v1/traces", nil, "https://api.example.com:443/otlp/v1/traces"},
		{http, "https://api.example.com/otlp/v1/traces/", nil, "https://api.example.com:443/otlp/v1/traces/"},
		{http, "https://api.example.com/a%20b/team%2F1", nil, "https://api.example.com:443/a%20b/team%2F1/v1/traces"},
		{http, "https://api.example.com/@team", nil, "https://api.example.com:443/@team/v1/traces"},
		{http, "https://api.example.com/base?key=s3cret", nil, "https://api.example.com:443/base/v1/traces"}, // people are not shown the key
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %s", tt.protocol, tt.endpoint), func(t *testing.T) {
			c, err := otlpclient.Config{Protocol: tt.protocol, Endpoint: tt.endpoint, Insecure: tt.insecure}.Resolve()
			if err != nil {
				t.Fatal(err)
			}
			got := c.Endpoint()
			if c.TLS != nil && c.Protocol == grpc {
				got += tls
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if c.Timeout != 10*time.Second {
				t.Errorf("timeout %v, want 10s", c.Timeout)
			}
		})
	}
}

func TestResolveErrors(t *testing.T) {
	ca := otlptest.NewAuthority(t)
	certFile, keyFile := ca.Issue(t, "one", "one")
	_, otherKey := ca.Issue(t, "two", "two")
	junk := filepath.Join(t.TempDir(), "junk.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	const missing = "/nonexistent.pem"

	tests := []struct {
		name   string
		config otlpclient.Config
		want   string
	}{
		{"protocol", otlpclient.Config{Protocol: "udp"}, `protocol: "udp" is not one of grpc, http/protobuf`},
		{"port", otlpclient.Config{Endpoint: "a:0"}, `endpoint: port "0" is not a number from 1 to 65535`},
		{"port above all", otlpclient.Config{Endpoint: "http://a:65536"}, `endpoint: port "65536" is not a number from 1 to 65535`},
		{"port of letters", otlpclient.Config{Endpoint: "a:otlp"}, `endpoint: port "otlp" is not a number from 1 to 65535`},
		{"no port", otlpclient.Config{Endpoint: "a:"}, `endpoint: "a:" has no port after its colon`},
		{"no host", otlpclient.Config{Endpoint: ":4317"}, `endpoint: ":4317" names no host: want host:port, such as localhost:4317`},
		{"only a scheme", otlpclient.Config{Protocol: http, Endpoint: "https://"}, `endpoint: "https://" names no host: want host:port, such as localhost:4318`},
		{"scheme", otlpclient.Config{Endpoint: "grpc://a:4317"}, `endpoint: scheme "grpc" is not one of http, https, dns, passthrough, unix, unix-abstract`},
		{"unix for HTTP", otlpclient.Config{Protocol: http, Endpoint: "unix:///a"}, `endpoint: scheme "unix" is not one of http, https`},
		{"space", otlpclient.Config{Endpoint: "a:4317 "}, `endpoint: "a:4317 " has a space or a control character in it`},
		{"host", otlpclient.Config{Endpoint: "a,b:4317"}, `endpoint: host "a,b" has ',' in it, which no host name has`},
		{"IPv6", otlpclient.Config{Endpoint: "::1:4317"}, `endpoint: "::1:4317" has more than one colon: an IPv6 address goes in brackets, such as [::1]:4317`},
		{"brackets", otlpclient.Config{Endpoint: "[a]:4317"}, `endpoint: "[a]:4317" is not an IPv6 address in brackets`},
		{"open brackets", otlpclient.Config{Endpoint: "[::1"}, `endpoint: "[::1" is not an IPv6 address in brackets`},
		{"behind brackets", otlpclient.Config{Endpoint: "[::1]4317"}, `endpoint: "[::1]4317": want a port after the brackets, such as [::1]:4317`},
		{"password", otlpclient.Config{Endpoint: "https://user:s3cret@a"}, `endpoint: user and password do not belong here: put them into headers`},
		{"password with a slash", otlpclient.Config{Protocol: http, Endpoint: "https://user:s3/cret@a"}, `endpoint: user and password do not belong here: put them into headers`},
		{"fragment", otlpclient.Config{Protocol: http, Endpoint: "https://a/#b"}, `endpoint: a fragment (#) does not belong here`},
		{"query for gRPC", otlpclient.Config{Endpoint: "https://a?key=s3cret"}, `endpoint: gRPC has no use for a query (?): choose OTLP over HTTP, or leave it out`},
		{"space in a query", otlpclient.Config{Protocol: http, Endpoint: "https://a?key=s3 cret"}, `endpoint: "https://a" has a space or a control character in it`},
		{"query in the wrong place", otlpclient.Config{Protocol: http, Endpoint: "https://a?key=s3cret", URLPath: "/b"}, `url_path: the endpoint has a query, which belongs behind the path`},
		{"percent", otlpclient.Config{Protocol: http, Endpoint: "https://a/100%"}, `endpoint: the path "/100%" is not percent-encoded: a % is written %25`},
		{"socket", otlpclient.Config{Endpoint: "unix:"}, `endpoint: "unix:" is not a socket: want unix:path, or unix:///path`},
		{"socket of a host", otlpclient.Config{Endpoint: "unix://host/path"}, `endpoint: "unix://host/path" is not a socket: want unix:path, or unix:///path`},
		{"target without a host", otlpclient.Config{Endpoint: "dns:///:4317"}, `endpoint: "dns:///:4317" names no host: want one such as dns:///collector:4317`},
		{"target's port", otlpclient.Config{Endpoint: "dns:///a:otlp"}, `endpoint: port "otlp" is not a number from 1 to 65535`},
		{"path for gRPC", otlpclient.Config{Endpoint: "http://a:4318/v1/traces"}, `endpoint: gRPC has no use for the path "/v1/traces": write a:4318 alone, or choose OTLP over HTTP`},
		{"path", otlpclient.Config{Protocol: http, URLPath: "traces"}, `url_path: "traces" is not a path: want one such as /v1/traces`},
		{"path with a fragment", otlpclient.Config{Protocol: http, URLPath: "/a#b"}, `url_path: "/a#b" is not a path: want one such as /v1/traces`},
		{"path with a space", otlpclient.Config{Protocol: http, URLPath: "/a b"}, `url_path: "/a b" is not a path: want one such as /v1/traces`},
		{"path with a host", otlpclient.Config{Protocol: http, URLPath: "//a/b"}, `url_path: "//a/b" is not a path: want one such as /v1/traces`},

		{
			"https and insecure",
			otlpclient.Config{Endpoint: "https://a", Insecure: new(true)},
			`insecure: true contradicts the https:// of the endpoint: write http://, or leave insecure out`,
		},
		{
			"http and secure",
			otlpclient.Config{Endpoint: "http://a", Insecure: new(false)},
			`insecure: false contradicts the http:// of the endpoint: write https://, or leave insecure out`,
		},
		{
			"TLS to loopback",
			otlpclient.Config{TLS: otlpclient.TLS{CAFile: ca.File}},
			`tls: localhost:4317 is sent to in plain text: set insecure: false, or leave tls out`,
		},
		{
			"TLS to http",
			otlpclient.Config{Endpoint: "http://a:1", TLS: otlpclient.TLS{ServerName: "a"}},
			`tls: a:1 is sent to in plain text: write https:// in the endpoint, or leave tls out`,
		},

		{
			"all of TLS",
			otlpclient.Config{Endpoint: "a", TLS: otlpclient.TLS{CAFile: missing, CertFile: certFile, MinVersion: "1.1"}},
			`tls.min_version: "1.1" is not one of 1.2, 1.3
tls.ca_file: open /nonexistent.pem: no such file or directory
tls.key_file: missing: cert_file needs its key`,
		},
		{"no certificate", otlpclient.Config{Endpoint: "a", TLS: otlpclient.TLS{KeyFile: keyFile}}, `tls.cert_file: missing: key_file needs its certificate`},
		{
			"unreadable certificate",
			otlpclient.Config{Endpoint: "a", TLS: otlpclient.TLS{CertFile: missing, KeyFile: keyFile}},
			`tls.cert_file: open /nonexistent.pem: no such file or directory`,
		},
		{
			"unreadable key",
			otlpclient.Config{Endpoint: "a", TLS: otlpclient.TLS{CertFile: certFile, KeyFile: missing}},
			`tls.key_file: open /nonexistent.pem: no such file or directory`,
		},
		{
			"junk",
			otlpclient.Config{Endpoint: "a", TLS: otlpclient.TLS{CAFile: junk, CertFile: junk, KeyFile: keyFile}},
			"tls.ca_file: JUNK holds no PEM certificate\ntls.cert_file: JUNK holds no PEM certificate",
		},
		{
			"mismatched pair",
			otlpclient.Config{Endpoint: "a", TLS: otlpclient.TLS{CertFile: certFile, KeyFile: otherKey}},
			`tls.key_file: KEY does not go with CERT: tls: private key does not match public key`,
		},

		{"compression", otlpclient.Config{Compression: "zstd"}, `compression: "zstd" is not one of none, gzip`},
		{"timeout", otlpclient.Config{Timeout: -1}, `timeout: -1ns is negative`},
		{"header's name", otlpclient.Config{Headers: map[string]component.Secret{"a b": "s3cret"}}, `headers.a b: the name is not one that HTTP can carry`},
		{"gRPC header's name", otlpclient.Config{Headers: map[string]component.Secret{"x!k": "s3cret"}}, `headers.x!k: gRPC takes names of letters, digits, "_", "-" and "." alone`},
		{"gRPC's own header", otlpclient.Config{Headers: map[string]component.Secret{"grpc-timeout": "1S"}}, `headers.grpc-timeout: names that begin with grpc- are gRPC's own`},
		{"gRPC header's value", otlpclient.Config{Headers: map[string]component.Secret{"x-team": "Zürich"}}, `headers.x-team: the value is not of printable ASCII, which is all that gRPC takes unless the name ends in -bin`},
		{"header's value", otlpclient.Config{Headers: map[string]component.Secret{"a": "s3cret\n"}}, `headers.a: the value has a control character in it (a line break at its end?)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.config.Resolve()
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.NewReplacer(junk, "JUNK", otherKey, "KEY", certFile, "CERT").Replace(err.Error())
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if fe := (*component.FieldError)(nil); !errors.As(err, &fe) {
				t.Error("not a FieldError")
			}
		})
	}
}

// The certificate of a client is renewed while it runs.
func TestRenewedCertificate(t *testing.T) {
	ca := otlptest.NewAuthority(t)
	certFile, keyFile := ca.Issue(t, "client", "client")
	cfg, err := otlpclient.TLS{CertFile: certFile, KeyFile: keyFile}.Load("localhost")
	if err != nil {
		t.Fatal(err)
	}
	serial := func() string {
		t.Helper()
		c, err := cfg.GetClientCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.SerialNumber.String()
	}
	first := serial()
	ca.Issue(t, "client", "client")
	renewed := serial()
	if first == renewed {
		t.Error("the renewed certificate is not used")
	}
	if err := os.WriteFile(certFile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != renewed {
		t.Errorf("got %s with an unreadable file, want the last one that was read, %s", got, renewed)
	}
}

// While the file of the authorities cannot be read, the last ones are trusted.
func TestUnreadableAuthority(t *testing.T) {
	before, after := otlptest.NewAuthority(t), otlptest.NewAuthority(t)
	r := otlptest.HTTP(t, after.Server(t, "127.0.0.1"), "/v1/traces")
	cfg, err := otlpclient.TLS{CAFile: before.File}.Load("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	connect := func() error {
		c, err := tls.Dial("tcp", r.Address, cfg)
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	if err := connect(); err == nil {
		t.Fatal("the new authority is trusted before it is in the file")
	}
	pem, err := os.ReadFile(after.File)
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range [][]byte{pem, nil} {
		if err := os.WriteFile(before.File, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := connect(); err != nil {
			t.Errorf("with %d bytes in the file: %v", len(content), err)
		}
	}
}

func FuzzEndpoint(f *testing.F) {
	const password = "hunter2"
	for _, s := range []string{
		"localhost:4317", "https://[::1]:1/a", "http://a?b", "unix:///x", ":", "[", "a@b", "https://u:" + password + "@h/%zz", "http://[::1%eth0]", "h:1?k=" + password,
		"u:" + password + "@h:1", "dns://u:" + password + "@h/x", " " + password + "@", "https://u:" + password + "?@h:1", "h:" + password + "?a@",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, p := range []otlpclient.Protocol{grpc, http} {
			c, err := otlpclient.Config{Protocol: p, Endpoint: s}.Resolve()
			if err != nil {
				if i := strings.Index(s, password); i >= 0 && strings.ContainsAny(s[i:], "@") && strings.Contains(err.Error(), password) {
					t.Errorf("%q: %v", s, err)
				}
				continue
			}
			if c.Address == "" || strings.ContainsAny(c.Address, " @?#") || strings.Contains(c.Endpoint(), "?") {
				t.Errorf("%q gives %q", s, c.Address)
			}
			if u, err := url.Parse(c.URL()); p == http && (err != nil || u.User != nil || u.Port() == "" || u.Fragment != "") {
				t.Errorf("%q leads to %q: %v", s, c.URL(), err)
			}
		}
	})
}
