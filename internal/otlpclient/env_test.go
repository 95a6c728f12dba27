package otlpclient_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlptest"
)

const variables = "OTEL_EXPORTER_OTLP_"

// resolved sums up what a configuration becomes with variables, which are named without
// what all begin with.
func resolved(t *testing.T, env map[string]string, c otlpclient.Config) (summary, warnings string) {
	t.Helper()
	for k, v := range env {
		t.Setenv(variables+k, v)
	}
	if summary = summed(c); strings.HasPrefix(summary, "error: ") {
		return summary, ""
	}
	if again := summed(taking(t, c)); again != summary {
		t.Errorf("with the values of its variables it is\n%s, and it is\n%s", again, summary)
	}
	var lines []string
	for _, w := range c.IgnoredVariables() {
		lines = append(lines, strings.TrimPrefix(w.Error(), variables))
	}
	return summary, strings.Join(lines, "\n")
}

// taking is a configuration that says itself what it takes from variables.
func taking(t *testing.T, c otlpclient.Config) otlpclient.Config {
	t.Helper()
	for _, v := range c.TakenVariables() {
		value := string(v.Value)
		if !strings.HasPrefix(v.Name, variables) || v.Hidden != (v.Path[0] == "headers") {
			t.Errorf("%+v", v)
		}
		switch path := strings.Join(v.Path, "."); path {
		case "endpoint":
			c.Endpoint = value
		case "url_path":
			c.URLPath = value
		case "protocol":
			c.Protocol = otlpclient.Protocol(value)
		case "insecure":
			insecure := value == "true"
			c.Insecure = &insecure
		case "compression":
			c.Compression = delivery.Compression(value)
		case "timeout":
			if err := c.Timeout.UnmarshalText([]byte(value)); err != nil {
				t.Error(err)
			}
		case "tls.ca_file":
			c.TLS.CAFile = value
		case "tls.cert_file":
			c.TLS.CertFile = value
		case "tls.key_file":
			c.TLS.KeyFile = value
		default:
			if c.Headers = maps.Clone(c.Headers); c.Headers == nil {
				c.Headers = map[string]component.Secret{}
			}
			c.Headers[v.Path[1]] = v.Value
		}
	}
	c.NoEnv = true
	return c
}

func summed(c otlpclient.Config) string {
	r, err := c.Resolve()
	if err != nil {
		return "error: " + err.Error()
	}
	summary := r.Address
	if r.Protocol == http {
		summary = r.URL()
	}
	if r.TLS != nil {
		summary += " TLS"
		if r.TLS.VerifyConnection != nil {
			summary += " CA"
		}
		if r.TLS.GetClientCertificate != nil {
			summary += " mutual"
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.Headers)) {
		summary += fmt.Sprintf(" %s=%s", key, r.Headers[key])
	}
	if r.Compression != "none" {
		summary += " " + string(r.Compression)
	}
	if r.Timeout.String() != "10s" {
		summary += " " + r.Timeout.String()
	}
	return summary
}

// The variables fill what a configuration leaves open. What is wrong with one is told,
// and that one is not used.
func TestEnvironment(t *testing.T) {
	ca := otlptest.NewAuthority(t)
	certFile, keyFile := ca.Issue(t, "client", "client")
	_, otherKey := ca.Issue(t, "other", "other")
	missing := filepath.Join(t.TempDir(), "missing.pem")
	tests := []struct {
		name     string
		env      map[string]string
		config   otlpclient.Config
		want     string
		warnings string
	}{
		{"base", map[string]string{"ENDPOINT": "http://a:1/base"}, otlpclient.Config{Protocol: http}, "http://a:1/base/v1/traces", ""},
		{"whole", map[string]string{"ENDPOINT": "http://a:1", "TRACES_ENDPOINT": "http://b:2/c"}, otlpclient.Config{Protocol: http}, "http://b:2/c", ""},
		{"whole without a path", map[string]string{"TRACES_ENDPOINT": "http://b:2"}, otlpclient.Config{Protocol: http}, "http://b:2/", ""},
		{"whole with a query", map[string]string{"TRACES_ENDPOINT": "http://b:2/c%2Fd/?key=a%20b&x"}, otlpclient.Config{Protocol: http}, "http://b:2/c%2Fd/?key=a%20b&x", ""},
		{"whole with a query alone", map[string]string{"TRACES_ENDPOINT": "http://b:2?x"}, otlpclient.Config{Protocol: http}, "http://b:2/?x", ""},
		{"base with a query", map[string]string{"ENDPOINT": "http://b:2/c?x=1"}, otlpclient.Config{Protocol: http}, "http://b:2/c/v1/traces?x=1", ""},
		{"path of the config with a query", nil, otlpclient.Config{Protocol: http, Endpoint: "http://b:2", URLPath: "/c%20d?x=1"}, "http://b:2/c%20d?x=1", ""},
		{"gRPC", map[string]string{"TRACES_ENDPOINT": "http://b:2"}, otlpclient.Config{}, "b:2", ""},
		{"spaces", map[string]string{"ENDPOINT": " http://b:2 ", "PROTOCOL": " grpc ", "TIMEOUT": " 1 ", "COMPRESSION": " gzip ", "HEADERS": " a = b , c = d "}, otlpclient.Config{}, "b:2 a=b c=d gzip 1ms", ""},
		{"empty", map[string]string{"ENDPOINT": " ", "PROTOCOL": " ", "TIMEOUT": " ", "COMPRESSION": " ", "HEADERS": " ", "INSECURE": " ", "CERTIFICATE": " ", "CLIENT_KEY": " "}, otlpclient.Config{}, "localhost:4317", ""},
		{"bad endpoint", map[string]string{"ENDPOINT": "a:b"}, otlpclient.Config{}, "localhost:4317", `ENDPOINT: port "b" is not a number from 1 to 65535: ignored`},
		{"bad endpoint for traces", map[string]string{"TRACES_ENDPOINT": "a:b", "ENDPOINT": "http://b:2"}, otlpclient.Config{}, "b:2", `TRACES_ENDPOINT: port "b" is not a number from 1 to 65535: ignored`},
		{"endpoint of another protocol", map[string]string{"ENDPOINT": "http://a:1/v1/traces"}, otlpclient.Config{}, "localhost:4317", `ENDPOINT: gRPC has no use for the path "/v1/traces": write a:1 alone, or choose OTLP over HTTP: ignored`},
		{"endpoint against the config", map[string]string{"ENDPOINT": "https://a:1"}, otlpclient.Config{Insecure: new(true)}, "localhost:4317", `ENDPOINT: insecure: true contradicts the https:// of the endpoint: write http://, or leave insecure out: ignored`},
		{"endpoint and a path of the config", map[string]string{"TRACES_ENDPOINT": "http://a:1/x"}, otlpclient.Config{Protocol: http, URLPath: "/y"}, "http://localhost:4318/y", `TRACES_ENDPOINT: url_path: the endpoint has a path too ("/x"): write one of them: ignored`},

		{"protocol", map[string]string{"PROTOCOL": "HTTP/Protobuf"}, otlpclient.Config{}, "http://localhost:4318/v1/traces", ""},
		{"protocol for traces", map[string]string{"PROTOCOL": "http/protobuf", "TRACES_PROTOCOL": "gRPC"}, otlpclient.Config{}, "localhost:4317", ""},
		{"JSON", map[string]string{"TRACES_PROTOCOL": "http/JSON"}, otlpclient.Config{}, "http://localhost:4318/v1/traces", `TRACES_PROTOCOL: "http/json" is not spoken: http/protobuf is used`},
		{"bad protocol", map[string]string{"TRACES_PROTOCOL": "http", "PROTOCOL": "http/protobuf"}, otlpclient.Config{}, "http://localhost:4318/v1/traces", `TRACES_PROTOCOL: "http" is not one of grpc, http/protobuf: ignored`},

		{"insecure", map[string]string{"INSECURE": "TRUE", "ENDPOINT": "b:2"}, otlpclient.Config{Protocol: http}, "http://b:2/v1/traces", ""},
		{"insecure for traces", map[string]string{"INSECURE": "true", "TRACES_INSECURE": "False"}, otlpclient.Config{Protocol: http}, "https://localhost:4318/v1/traces TLS", ""},
		{"insecure with a scheme", map[string]string{"INSECURE": "1", "ENDPOINT": "https://b:2"}, otlpclient.Config{Protocol: http}, "https://b:2/v1/traces TLS", ""},
		{"insecure with a target", map[string]string{"INSECURE": "true", "ENDPOINT": "dns:///b:2"}, otlpclient.Config{}, "dns:///b:2", ""},
		{"bad insecure", map[string]string{"TRACES_INSECURE": "1", "INSECURE": "true"}, otlpclient.Config{}, "localhost:4317 TLS", `TRACES_INSECURE: "1" is neither true nor false: false is taken`},
		{"insecure against the config", map[string]string{"INSECURE": "true", "ENDPOINT": "b:2"}, otlpclient.Config{TLS: otlpclient.TLS{CAFile: ca.File}}, "b:2 TLS CA", `INSECURE: tls: b:2 is sent to in plain text: set insecure: false, or leave tls out: ignored`},

		{"timeout", map[string]string{"TIMEOUT": "1500"}, otlpclient.Config{}, "localhost:4317 1.5s", ""},
		{"no timeout", map[string]string{"TIMEOUT": "1500", "TRACES_TIMEOUT": "0"}, otlpclient.Config{}, "localhost:4317 596h31m23.647s", ""},
		{"negative timeout", map[string]string{"TRACES_TIMEOUT": "-1", "TIMEOUT": "5"}, otlpclient.Config{}, "localhost:4317 5ms", `TRACES_TIMEOUT: "-1" is not a number of milliseconds from 0 to 2147483647: ignored`},
		{"timeout with a unit", map[string]string{"TIMEOUT": "10s"}, otlpclient.Config{}, "localhost:4317", `TIMEOUT: "10s" is not a number of milliseconds from 0 to 2147483647 (did you mean 10000?): ignored`},

		{"compression", map[string]string{"COMPRESSION": "GZIP"}, otlpclient.Config{}, "localhost:4317 gzip", ""},
		{"no compression", map[string]string{"COMPRESSION": "gzip", "TRACES_COMPRESSION": "None"}, otlpclient.Config{}, "localhost:4317", ""},
		{"riffle's compression", map[string]string{"COMPRESSION": "ZSTD"}, otlpclient.Config{Native: true}, "localhost:4317 zstd", ""},
		{"bad compression", map[string]string{"TRACES_COMPRESSION": "zstd", "COMPRESSION": "gzip"}, otlpclient.Config{}, "localhost:4317 gzip", `TRACES_COMPRESSION: "zstd" is not one of none, gzip: ignored`},

		{"headers", map[string]string{"HEADERS": "a=b%20c,d=e;f=g"}, otlpclient.Config{}, "localhost:4317 a=b c d=e;f=g", ""},
		{"headers for traces", map[string]string{"HEADERS": "a=1", "TRACES_HEADERS": "b=2"}, otlpclient.Config{}, "localhost:4317 b=2", ""},
		{"header for HTTP", map[string]string{"HEADERS": "x!team=Z%C3%BCrich"}, otlpclient.Config{Protocol: http}, "http://localhost:4318/v1/traces x!team=Zürich", ""},
		{"bad header for gRPC", map[string]string{"HEADERS": "x-team=Z%C3%BCrich,b=2"}, otlpclient.Config{}, "localhost:4317 b=2", `HEADERS: header "x-team": the value is not of printable ASCII, which is all that gRPC takes unless the name ends in -bin: ignored`},
		{"bad headers", map[string]string{"HEADERS": "a=1,b=s3cret%,s3cret,"}, otlpclient.Config{}, "localhost:4317 a=1", `HEADERS: entry 2 is not percent-encoded (a % is written %25), entry 3 is not key=value, entry 4 is empty: ignored`},
		{"no headers", map[string]string{"TRACES_HEADERS": "s3cret", "HEADERS": "a=1"}, otlpclient.Config{}, "localhost:4317 a=1", `TRACES_HEADERS: entry 1 is not key=value: ignored`},

		{"certificate and loopback", map[string]string{"CERTIFICATE": ca.File}, otlpclient.Config{Protocol: http}, "https://localhost:4318/v1/traces TLS CA", ""},
		{"certificate and http", map[string]string{"CERTIFICATE": ca.File, "ENDPOINT": "http://b:2"}, otlpclient.Config{Protocol: http}, "http://b:2/v1/traces", ""},
		{"certificate that is missing", map[string]string{"CERTIFICATE": missing}, otlpclient.Config{}, "localhost:4317 TLS", `CERTIFICATE: open MISSING: no such file or directory: ignored`},
		{"certificate of all", map[string]string{"TRACES_CERTIFICATE": missing, "CERTIFICATE": ca.File}, otlpclient.Config{}, "localhost:4317 TLS CA", `TRACES_CERTIFICATE: open MISSING: no such file or directory: ignored`},
		{"pair", map[string]string{"CLIENT_CERTIFICATE": certFile, "CLIENT_KEY": keyFile}, otlpclient.Config{}, "localhost:4317 TLS mutual", ""},
		{"pair of two", map[string]string{"TRACES_CLIENT_CERTIFICATE": certFile, "CLIENT_KEY": keyFile}, otlpclient.Config{}, "localhost:4317 TLS mutual", ""},
		{"half a pair", map[string]string{"CLIENT_CERTIFICATE": certFile}, otlpclient.Config{}, "localhost:4317 TLS", `CLIENT_CERTIFICATE: OTEL_EXPORTER_OTLP_CLIENT_KEY is not set, which it needs: ignored`},
		{"other half", map[string]string{"CLIENT_KEY": keyFile}, otlpclient.Config{}, "localhost:4317 TLS", `CLIENT_KEY: OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is not set, which it needs: ignored`},
		{"pair that is none", map[string]string{"CLIENT_CERTIFICATE": certFile, "CLIENT_KEY": otherKey}, otlpclient.Config{}, "localhost:4317 TLS", `CLIENT_KEY: OTHER does not go with CERT: tls: private key does not match public key: ignored`},
		{"pair of all", map[string]string{"CLIENT_CERTIFICATE": certFile, "CLIENT_KEY": keyFile, "TRACES_CLIENT_KEY": missing}, otlpclient.Config{}, "localhost:4317 TLS mutual", `TRACES_CLIENT_KEY: open MISSING: no such file or directory: ignored`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, warnings := resolved(t, tt.env, tt.config)
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			warnings = strings.NewReplacer(missing, "MISSING", otherKey, "OTHER", certFile, "CERT").Replace(warnings)
			if diff := cmp.Diff(tt.warnings, warnings); diff != "" {
				t.Errorf("warnings: -want +got:\n%s", diff)
			}
		})
	}
}

// A connection is made from one source: nothing of variables that are about another
// endpoint than that of the configuration is used for it.
func TestOneSource(t *testing.T) {
	ca := otlptest.NewAuthority(t)
	certFile, keyFile := ca.Issue(t, "client", "client")
	all := map[string]string{
		"PROTOCOL": "http/protobuf", "INSECURE": "true", "HEADERS": "key=s3cret", "COMPRESSION": "gzip", "TIMEOUT": "5000",
		"CERTIFICATE": ca.File, "CLIENT_CERTIFICATE": certFile, "CLIENT_KEY": keyFile,
	}
	const (
		none       = "a:4317 TLS"
		noneSecure = "http://a:4318/v1/traces"
		every      = "http://a:4318/v1/traces key=s3cret gzip 5s"
		everyTLS   = "https://a:4318/v1/traces TLS CA mutual key=s3cret gzip 5s"
	)
	for _, tt := range []struct {
		name   string
		env    map[string]string
		config otlpclient.Config
		want   string
	}{
		{"another", map[string]string{"ENDPOINT": "http://b:4317"}, otlpclient.Config{Endpoint: "a:4317"}, none},
		{"another port", map[string]string{"ENDPOINT": "a:4316"}, otlpclient.Config{Endpoint: "a:4317"}, none},
		{"another for traces", map[string]string{"ENDPOINT": "a:4318", "TRACES_ENDPOINT": "b:4318"}, otlpclient.Config{Endpoint: "a:4317"}, none},
		{"another path", map[string]string{"ENDPOINT": "http://a:4318/x"}, otlpclient.Config{Protocol: http, Endpoint: "http://a:4318"}, noneSecure},
		{"another scheme", map[string]string{"ENDPOINT": "https://a:4318"}, otlpclient.Config{Protocol: http, Endpoint: "http://a:4318"}, noneSecure},
		{"one that is none", map[string]string{"ENDPOINT": "a:b"}, otlpclient.Config{Endpoint: "a:4317"}, none},
		{"none", nil, otlpclient.Config{Endpoint: "a:4317"}, none},
		{"a preset", map[string]string{"ENDPOINT": "a:4317"}, otlpclient.Config{Endpoint: "a:4317", NoEnv: true}, none},

		{"another socket", map[string]string{"PROTOCOL": "grpc", "ENDPOINT": "unix:/A"}, otlpclient.Config{Endpoint: "unix:/a"}, "unix:/a"},

		{"the default", nil, otlpclient.Config{Endpoint: "localhost:4318"}, "http://localhost:4318/v1/traces key=s3cret gzip 5s"},
		{"nowhere", nil, otlpclient.Config{}, "http://localhost:4318/v1/traces key=s3cret gzip 5s"},
		{"theirs", map[string]string{"ENDPOINT": "a:4318"}, otlpclient.Config{}, every},
		{"the same", map[string]string{"ENDPOINT": "A:4318"}, otlpclient.Config{Endpoint: "a:4318"}, every},
		{"the same with a scheme", map[string]string{"ENDPOINT": "https://a:4318"}, otlpclient.Config{Endpoint: "https://a:4318/v1/traces"}, everyTLS},
		{"the same with a scheme in one", map[string]string{"ENDPOINT": "http://a:4318"}, otlpclient.Config{Endpoint: "a"}, every},
		{"the same for traces", map[string]string{"ENDPOINT": "b:4318", "TRACES_ENDPOINT": "http://a:4318/v1/traces"}, otlpclient.Config{Endpoint: "a"}, every},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := maps.Clone(all)
			maps.Copy(env, tt.env)
			if got, _ := resolved(t, env, tt.config); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Variables without an endpoint of their own may be meant for that of the
// configuration, whose keys would say the same.
func TestUnused(t *testing.T) {
	headers := map[string]component.Secret{"a": "b"}
	for _, tt := range []struct {
		env    map[string]string
		config otlpclient.Config
		want   string
	}{
		{map[string]string{"HEADERS": "a=s3cret"}, otlpclient.Config{Endpoint: "a"}, "HEADERS: it is not for an endpoint that is set elsewhere, unless OTEL_EXPORTER_OTLP_ENDPOINT is the same: ignored"},
		{map[string]string{"TRACES_PROTOCOL": "?"}, otlpclient.Config{Endpoint: "a"}, "TRACES_PROTOCOL: it is not for an endpoint that is set elsewhere, unless OTEL_EXPORTER_OTLP_ENDPOINT is the same: ignored"},
		{map[string]string{"HEADERS": "a=s3cret"}, otlpclient.Config{Endpoint: "a", Headers: headers}, ""},
		{map[string]string{"HEADERS": "a=s3cret", "ENDPOINT": "b"}, otlpclient.Config{Endpoint: "a"}, ""},
		{map[string]string{"HEADERS": "a=s3cret"}, otlpclient.Config{}, ""},
	} {
		t.Run("", func(t *testing.T) {
			if _, warnings := resolved(t, tt.env, tt.config); warnings != tt.want {
				t.Errorf("got  %s\nwant %s", warnings, tt.want)
			}
		})
	}
}

// Where nothing bounds an export, connecting is bounded.
func TestConnectTimeout(t *testing.T) {
	for value, want := range map[string]time.Duration{"0": 10 * time.Second, "20000": 20 * time.Second, "": 10 * time.Second} {
		t.Setenv(variables+"TIMEOUT", value)
		r, err := otlpclient.Config{}.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		if got := r.ConnectTimeout(); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
