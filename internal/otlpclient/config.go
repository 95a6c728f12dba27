package otlpclient

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/clienttls"
	"github.com/riffletrace/riffle/internal/otelenv"
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
		return fmt.Errorf("%s is not one of %s, %s", component.Shown(string(p)), GRPC, HTTP)
	}
	return nil
}

const defaultTimeout = 10 * time.Second

// TLS is what users set under tls.
type TLS = clienttls.Config

// Config is what users set, the same keys in all exporters. What is empty is
// filled from the environment, and then with defaults, by [Config.Resolve].
type Config struct {
	Signal      Signal
	Protocol    Protocol
	Endpoint    string
	URLPath     string // HTTP only, with or without a query; empty: from the endpoint
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
	Signal   Signal
	Protocol Protocol
	// Address is host:port, or a target of gRPC.
	Address string
	// Path and Query are those of the URL, as they were written; empty for gRPC.
	Path, Query string
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
// What is wrong in the environment is ignored: [Config.Warnings] tells it.
func (c Config) Resolve() (*Resolved, error) {
	if c.Protocol != "" {
		if err := c.Protocol.check(); err != nil {
			return nil, &component.FieldError{Path: "protocol", Err: err}
		}
	}
	c, _ = c.withEnv(os.Getenv)
	resolved, err := c.resolve()
	if err != nil {
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
		Signal:      c.Signal,
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
		if err := c.Protocol.checkHeader(key, string(value)); err != nil {
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
	resolved.Address = e.address
	if e.scheme == "http" || e.scheme == "https" { // a target says nothing of TLS
		resolved.scheme = e.scheme
	}
	if resolved.Path, resolved.Query, err = c.path(e); err != nil {
		fail("url_path", err)
	}
	plaintext := e.loopback && !c.TLS.FromEnv
	switch {
	case e.scheme == "http" && c.Insecure != nil && !*c.Insecure:
		fail("insecure", errors.New("false contradicts the http:// of the endpoint: write https://, or leave insecure out"))
	case e.scheme == "https" && c.Insecure != nil && *c.Insecure:
		fail("insecure", errors.New("true contradicts the https:// of the endpoint: write http://, or leave insecure out"))
	case e.scheme == "http", e.scheme == "https", strings.HasPrefix(e.scheme, "unix"):
		plaintext = e.scheme != "https"
	case c.Insecure != nil:
		plaintext = *c.Insecure
	}
	switch {
	case !plaintext:
		resolved.TLS = tlsConfig
	case c.TLS.IsSet() && !c.TLS.FromEnv:
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
		return fmt.Errorf("%s is not one of none, gzip", component.Shown(string(v)))
	}
	return v.Valid()
}

// path is the path of the URL to post to, and its query. That of an endpoint is a
// base, as in OTEL_EXPORTER_OTLP_ENDPOINT, unless it names the signal already.
func (c Config) path(e endpoint) (path, query string, _ error) {
	switch {
	case c.Protocol == GRPC:
		return "", "", nil
	case c.URLPath == "":
		base := strings.TrimRight(e.path, "/")
		if strings.HasSuffix(base, c.Signal.path()) {
			return e.path, e.query, nil
		}
		return base + c.Signal.path(), e.query, nil
	case strings.Trim(e.path, "/") != "":
		return "", "", fmt.Errorf("the endpoint has a path too (%q): write one of them", e.path)
	case e.query != "":
		return "", "", errors.New("the endpoint has a query, which belongs behind the path")
	}
	path, query, _ = strings.Cut(c.URLPath, "?")
	u, err := url.Parse(path)
	if err != nil || !strings.HasPrefix(path, "/") || u.Host != "" || strings.Contains(c.URLPath, "#") || strings.ContainsFunc(c.URLPath, isSpace) {
		return "", "", fmt.Errorf("%q is not a path: want one such as %s", path, c.Signal.path())
	}
	return path, query, nil
}

// ConnectTimeout bounds what connecting takes, also where nothing bounds an export: a
// server that answers no more is left for another attempt.
func (r *Resolved) ConnectTimeout() time.Duration {
	if r.Timeout == otelenv.NoLimit {
		return defaultTimeout
	}
	return r.Timeout
}

func isSpace(r rune) bool { return r <= ' ' || r == 0x7f }

// Endpoint is where it sends to, for people: "localhost:4317",
// "http://localhost:4318/v1/traces". A query may have a key in it and is left out.
func (r *Resolved) Endpoint() string {
	if r.Protocol == GRPC {
		return r.Address
	}
	without := *r
	without.Query = ""
	return without.URL()
}

// URL is where requests are posted to over HTTP, to the letter.
func (r *Resolved) URL() string {
	scheme, query := "https", ""
	if r.TLS == nil {
		scheme = "http"
	}
	if r.Query != "" {
		query = "?" + r.Query
	}
	return scheme + "://" + r.Target() + r.Path + query
}

// Target is the address as URLs and gRPC's targets have it: a zone in it is encoded.
func (r *Resolved) Target() string {
	host, port, err := net.SplitHostPort(r.Address)
	if err != nil || !strings.Contains(host, "%") || strings.Contains(host, "%25") {
		return r.Address
	}
	return net.JoinHostPort(strings.Replace(host, "%", "%25", 1), port)
}

// checkHeader refuses what the protocol cannot carry. The value is never shown.
// Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Custom-Metadata
func (p Protocol) checkHeader(key, value string) error {
	const lower = "abcdefghijklmnopqrstuvwxyz0123456789"
	name := strings.ToLower(key)
	switch {
	case name == "" || strings.Trim(name, lower+"!#$%&'*+-.^_`|~") != "":
		return errors.New("the name is not one that HTTP can carry")
	case p == GRPC && strings.Trim(name, lower+"_-.") != "":
		return errors.New(`gRPC takes names of letters, digits, "_", "-" and "." alone`)
	case p == GRPC && strings.HasPrefix(name, "grpc-"):
		return errors.New("names that begin with grpc- are gRPC's own")
	}
	for i := range len(value) {
		b := value[i]
		switch {
		case p == GRPC && strings.HasSuffix(name, "-bin"): // it is encoded
		case b < ' ' || b == 0x7f:
			return errors.New("the value has a control character in it (a line break at its end?)")
		case p == GRPC && b > 0x7f:
			return errors.New("the value is not of printable ASCII, which is all that gRPC takes unless the name ends in -bin")
		}
	}
	return nil
}
