package otlpclient

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
)

// Protocol is how OTLP travels.
type Protocol string

// The protocols, as OTEL_EXPORTER_OTLP_PROTOCOL names them.
const (
	GRPC Protocol = "grpc"
	HTTP Protocol = "http/protobuf"
)

// ConfigSchema lists the values.
func (Protocol) ConfigSchema() component.Schema { return component.Enum(GRPC, HTTP) }

func (p Protocol) check() error {
	if p != GRPC && p != HTTP {
		return fmt.Errorf("%q is not one of %s, %s", string(p), GRPC, HTTP)
	}
	return nil
}

const (
	defaultTimeout = 10 * time.Second
	tracesPath     = "/v1/traces"
)

// Config is what users set, the same keys in all exporters. What is empty is
// filled from the environment, and then with defaults, by [Config.Resolve].
type Config struct {
	Protocol    Protocol
	Endpoint    string
	URLPath     string // HTTP only; empty: from the endpoint
	Insecure    *bool
	Headers     map[string]component.Secret
	Compression delivery.Compression
	Timeout     component.Duration
	TLS         TLS

	// Native is for riffle's own exporter. It knows zstd too, and its default
	// over HTTP is gzip.
	Native bool

	// NoEnv leaves the environment out: it is about another backend, and so are
	// its headers.
	NoEnv bool

	// KeyAt is the key where users set who they are; empty: headers.
	KeyAt string
}

// Resolved says where to send and how. It is a [Config] without questions left.
type Resolved struct {
	Protocol Protocol
	// Address is host:port, or unix:///path for gRPC.
	Address string
	// Path is that of the URL; empty for gRPC.
	Path string
	// TLS is nil for plaintext.
	TLS         *tls.Config
	Headers     map[string]string
	Compression delivery.Compression
	// Timeout bounds one export; it is positive.
	Timeout time.Duration

	// keyAt is what to check if the receiver refuses who sends.
	keyAt string
	// scheme is the one that the endpoint was written with; "" if none.
	scheme string
}

// Resolve completes the configuration and finds every mistake in it. It reads
// the environment and the TLS files. Its errors are [component.FieldError]s, joined.
func (c Config) Resolve() (*Resolved, error) {
	if c.Protocol != "" {
		if err := c.Protocol.check(); err != nil {
			return nil, &component.FieldError{Path: "protocol", Err: err}
		}
	}
	getenv := os.Getenv
	if c.NoEnv {
		getenv = func(string) string { return "" }
	}
	c, envErr := c.withEnv(getenv)
	resolved, err := c.resolve()
	if err := errors.Join(envErr, err); err != nil {
		return nil, err
	}
	return resolved, nil
}

func (c Config) resolve() (*Resolved, error) {
	var errs []error
	fail := func(path string, err error) {
		errs = append(errs, &component.FieldError{Path: path, Err: err})
	}
	resolved := &Resolved{
		Protocol:    c.Protocol,
		keyAt:       cmp.Or(c.KeyAt, "headers"),
		Timeout:     cmp.Or(time.Duration(c.Timeout), defaultTimeout),
		Compression: cmp.Or(c.Compression, c.defaultCompression()),
	}
	if err := c.checkCompression(resolved.Compression); err != nil {
		fail("compression", err)
	}
	if c.Timeout < 0 {
		fail("timeout", fmt.Errorf("%v is negative", c.Timeout))
	}
	for key, value := range c.Headers {
		if err := checkHeader(key, string(value)); err != nil {
			fail("headers."+key, err)
			continue
		}
		if resolved.Headers == nil {
			resolved.Headers = make(map[string]string, len(c.Headers))
		}
		resolved.Headers[key] = string(value)
	}

	e, err := parseEndpoint(c.Endpoint, c.Protocol)
	tlsConfig, tlsErr := c.TLS.Load(e.host)
	errs = append(errs, tlsErr)
	if err != nil {
		fail("endpoint", err)
		return nil, errors.Join(errs...)
	}
	resolved.Address, resolved.scheme = e.address, e.scheme
	if resolved.Path, err = c.path(e); err != nil {
		fail("url_path", err)
	}
	plaintext := e.loopback && !c.TLS.fromEnv
	switch {
	case e.scheme == "http" && c.Insecure != nil && !*c.Insecure:
		fail("insecure", errors.New("false contradicts the http:// of the endpoint: write https://, or leave insecure out"))
	case e.scheme == "https" && c.Insecure != nil && *c.Insecure:
		fail("insecure", errors.New("true contradicts the https:// of the endpoint: write http://, or leave insecure out"))
	case e.scheme != "":
		plaintext = e.scheme != "https"
	case c.Insecure != nil:
		plaintext = *c.Insecure
	}
	switch {
	case !plaintext:
		resolved.TLS = tlsConfig
	case c.TLS.set() && !c.TLS.fromEnv:
		fail("tls", fmt.Errorf("%s is sent to in plain text: %s, or leave tls out", e.address, resolved.secureAdvice()))
	}
	return resolved, errors.Join(errs...)
}

func (c Config) defaultCompression() delivery.Compression {
	if c.Native && c.Protocol == HTTP {
		return delivery.Gzip
	}
	return delivery.None
}

func (c Config) checkCompression(v delivery.Compression) error {
	if !c.Native && v != delivery.None && v != delivery.Gzip {
		return fmt.Errorf("%q is not one of none, gzip", string(v))
	}
	return v.Valid()
}

// path is the path of the URL to post to. That of an endpoint is a base, as
// in OTEL_EXPORTER_OTLP_ENDPOINT, unless it names the traces already.
func (c Config) path(e endpoint) (string, error) {
	switch {
	case c.Protocol == GRPC:
		return "", nil
	case c.URLPath == "":
		base := strings.TrimRight(e.path, "/")
		if strings.HasSuffix(base, tracesPath) {
			return base, nil
		}
		return base + tracesPath, nil
	case strings.Trim(e.path, "/") != "":
		return "", fmt.Errorf("the endpoint has a path too (%q): write one of them", e.path)
	}
	u, err := url.Parse(c.URLPath)
	if err != nil || !strings.HasPrefix(c.URLPath, "/") || u.Path != c.URLPath || u.Host != "" {
		return "", fmt.Errorf("%q is not a path: want one such as %s", c.URLPath, tracesPath)
	}
	return c.URLPath, nil
}

// Endpoint is where spans are sent to, for people: "localhost:4317",
// "http://localhost:4318/v1/traces".
func (r *Resolved) Endpoint() string {
	if r.Protocol == GRPC {
		return r.Address
	}
	return r.URL()
}

// URL is where requests are posted to over HTTP.
func (r *Resolved) URL() string {
	u := url.URL{Scheme: "https", Host: r.Address, Path: r.Path}
	if r.TLS == nil {
		u.Scheme = "http"
	}
	return u.String()
}

// checkHeader refuses what HTTP cannot carry. The value is never shown.
func checkHeader(key, value string) error {
	if key == "" || strings.Trim(strings.ToLower(key), "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~") != "" {
		return errors.New("the name is not one that HTTP can carry")
	}
	for i := range len(value) {
		if b := value[i]; b < ' ' || b == 0x7f {
			return errors.New("the value has a control character in it (a line break at its end?)")
		}
	}
	return nil
}
