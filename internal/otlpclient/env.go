package otlpclient

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/clienttls"
	"github.com/riffletrace/riffle/internal/otelenv"
)

// IgnoredVariables tells what is ignored of OpenTelemetry's variables, each with the name of one
// for a path.
func (c Config) IgnoredVariables() []*component.FieldError {
	_, v := c.withEnv(os.Getenv)
	return v.Warnings
}

// variables reads OTEL_EXPORTER_OTLP_*.
type variables struct {
	otelenv.Reader
	signal Signal
	// taken are the names of those that were read, by what follows the prefix.
	taken map[string]string
}

const forAll = "OTEL_EXPORTER_OTLP_"

// prefixes of variables: of those for the signal, and of those for everything.
func (v *variables) prefixes() []string { return []string{v.signal.prefix(), forAll} }

// read reads the variable of a key: that for the signal, or else the one for everything.
func (v *variables) read(key string, read func(name, value string) error) {
	for _, prefix := range v.prefixes() {
		name := prefix + key
		if v.Read(func(value string) error { return read(name, value) }, name) {
			v.taken[key] = name
			return
		}
	}
}

// first returns the name of the first variable of a key that is set; "" if none is.
func (v *variables) first(key string, prefixes []string) string {
	for _, prefix := range prefixes {
		if v.Get(prefix+key) != "" {
			return prefix + key
		}
	}
	return ""
}

// withEnv fills what the configuration leaves open from OpenTelemetry's variables, and
// returns what was read of them. Those for the signal win over those for
// everything, each by itself: both are one source. A connection is made from one source:
// where the configuration has an endpoint, the variables are about it only if theirs is
// the same.
// Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
func (c Config) withEnv(getenv func(string) string) (Config, *variables) {
	v := &variables{otelenv.Reader{Getenv: getenv}, c.Signal, map[string]string{}}
	if c.NoEnv {
		c.Protocol = cmp.Or(c.Protocol, GRPC)
		return c, v
	}
	filled := v.fillProtocol(c)
	if c.Endpoint != "" {
		if theirs := v.fillEndpoint(Config{Signal: c.Signal, Protocol: filled.Protocol}); !filled.sameEndpoint(theirs) {
			v.Warnings = nil // nothing of them is used
			clear(v.taken)
			if theirs.Endpoint == "" {
				v.warnUnused(c)
			}
			c.Protocol = cmp.Or(c.Protocol, GRPC)
			return c, v
		}
		delete(v.taken, "ENDPOINT")
	} else {
		filled = v.fillEndpoint(filled)
	}
	v.fillTLS(&filled)
	v.fillInsecure(&filled)
	v.fillRest(&filled)
	return filled, v
}

// connection are the keys of variables that say nothing but how to send to an endpoint,
// and whether a configuration leaves them open.
var connection = []struct {
	key  string
	open func(Config) bool
}{
	{"PROTOCOL", func(c Config) bool { return c.Protocol == "" }},
	{"INSECURE", func(c Config) bool { return c.Insecure == nil && !saysSecurity(c.Endpoint) }},
	{"HEADERS", func(c Config) bool { return c.Headers == nil }},
	{"COMPRESSION", func(c Config) bool { return c.Compression == "" }},
	{"TIMEOUT", func(c Config) bool { return c.Timeout == 0 }},
	{"CERTIFICATE", func(c Config) bool { return c.TLS.CAFile == "" }},
	{"CLIENT_CERTIFICATE", func(c Config) bool { return c.TLS.CertFile == "" && c.TLS.KeyFile == "" }},
	{"CLIENT_KEY", func(c Config) bool { return c.TLS.CertFile == "" && c.TLS.KeyFile == "" }},
}

// warnUnused tells that variables without an endpoint of their own are not used for that
// of the configuration: who sets them alone may mean just that one.
func (v *variables) warnUnused(c Config) {
	for _, k := range connection {
		if name := v.first(k.key, v.prefixes()); name != "" && k.open(c) {
			v.Warn(name, otelenv.Ignored(fmt.Errorf("it is not for an endpoint that is set elsewhere, unless %sENDPOINT is the same", forAll)))
		}
	}
}

// sameEndpoint reports whether two configurations of one protocol send to one place. An
// empty endpoint is the default.
func (c Config) sameEndpoint(other Config) bool {
	a, errA := parseEndpoint(c.Endpoint, c.Protocol)
	b, errB := parseEndpoint(other.Endpoint, other.Protocol)
	pathA, queryA, badA := c.path(a)
	pathB, queryB, badB := other.path(b)
	address := a.address == b.address || a.host != "" && strings.EqualFold(a.address, b.address) // a socket is a file
	return errors.Join(errA, errB, badA, badB) == nil && address &&
		pathA == pathB && queryA == queryB && (a.scheme == b.scheme || a.scheme == "" || b.scheme == "")
}

// fit returns an error if a value of a variable makes a mistake of a configuration that
// has none.
func (c Config) fit(next Config) error {
	if _, before := c.resolve(); before != nil {
		return nil //nolint:nilerr // it is told, as a mistake of the configuration
	}
	_, err := next.resolve()
	var errs []error
	for _, e := range component.FieldErrors(err) {
		if e.Path == "endpoint" || strings.HasPrefix(e.Path, "tls.") {
			errs = append(errs, e.Err) // it is the variable's
		} else {
			errs = append(errs, e)
		}
	}
	return otelenv.Join(errs)
}

func (v *variables) fillProtocol(c Config) Config {
	if c.Protocol != "" {
		return c
	}
	v.read("PROTOCOL", func(name, value string) error {
		p := Protocol(strings.ToLower(value))
		if p == "http/json" {
			v.Warn(name, fmt.Errorf("%s is not spoken: %s is used", component.Shown(string(p)), HTTP))
			p = HTTP
		}
		if err := p.check(); err != nil {
			return err
		}
		c.Protocol = p
		return nil
	})
	c.Protocol = cmp.Or(c.Protocol, GRPC)
	return c
}

func (v *variables) fillEndpoint(c Config) Config {
	v.read("ENDPOINT", func(name, value string) error {
		e, err := parseEndpoint(value, c.Protocol)
		if err != nil {
			return err
		}
		next := c
		next.Endpoint = value
		if c.Protocol == HTTP && c.URLPath == "" && strings.HasPrefix(name, v.signal.prefix()) {
			// That of the signal is the whole URL, not a base.
			base, _, _ := strings.Cut(value, "?")
			next.Endpoint = strings.TrimSuffix(base, e.path)
			next.URLPath = cmp.Or(e.path, "/")
			if e.query != "" {
				next.URLPath += "?" + e.query
			}
		}
		if err := c.fit(next); err != nil {
			return err
		}
		c = next
		return nil
	})
	return c
}

// fillInsecure reads what a scheme would have said already.
func (v *variables) fillInsecure(c *Config) {
	if c.Insecure != nil || saysSecurity(c.Endpoint) {
		return
	}
	v.read("INSECURE", func(name, value string) error {
		insecure, err := otelenv.Bool(value)
		if err != nil {
			v.Warn(name, fmt.Errorf("%w: false is taken", err))
		}
		next := *c
		next.Insecure = &insecure
		if err := c.fit(next); err != nil {
			return err
		}
		*c = next
		return nil
	})
}

// fillRest reads what no other key has to do with.
func (v *variables) fillRest(c *Config) {
	if c.Compression == "" {
		v.read("COMPRESSION", func(_, value string) error {
			compression := delivery.Compression(strings.ToLower(value))
			err := c.checkCompression(compression)
			if err == nil {
				c.Compression = compression
			}
			return err
		})
	}
	if c.Timeout == 0 {
		v.read("TIMEOUT", func(_, value string) error {
			d, err := otelenv.Timeout(value)
			c.Timeout = component.Duration(d)
			return err
		})
	}
	if c.Headers == nil {
		v.read("HEADERS", func(name, value string) error {
			headers, err := parseHeaders(value, c.Protocol)
			if len(headers) == 0 {
				return err
			}
			if err != nil {
				v.Warn(name, otelenv.Ignored(err))
			}
			c.Headers = headers
			return nil
		})
	}
}

// fillTLS reads the certificates. One that cannot be read leaves a connection as safe as
// it would be with it.
func (v *variables) fillTLS(c *Config) {
	own := c.TLS.IsSet()
	if c.TLS.CAFile == "" {
		v.read("CERTIFICATE", func(_, value string) error {
			c.TLS.FromEnv = !own
			_, err := clienttls.LoadAuthorities(value)
			if err == nil {
				c.TLS.CAFile = value
			}
			return err
		})
	}
	if c.TLS.CertFile != "" || c.TLS.KeyFile != "" {
		return
	}
	for _, prefixes := range [][]string{v.prefixes(), {forAll}} {
		cert, key := v.first("CLIENT_CERTIFICATE", prefixes), v.first("CLIENT_KEY", prefixes)
		if cert == "" && key == "" {
			return
		}
		c.TLS.FromEnv = !own
		pair := TLS{CertFile: v.Get(cert), KeyFile: v.Get(key)}
		wrong := cmp.Or(cert, key)
		var err error
		switch {
		case cert == "":
			err = fmt.Errorf("%sCLIENT_CERTIFICATE is not set, which it needs", forAll)
		case key == "":
			err = fmt.Errorf("%sCLIENT_KEY is not set, which it needs", forAll)
		default:
			var blame string
			if _, blame, err = pair.LoadPair(); blame == "key_file" {
				wrong = key
			}
		}
		if err == nil {
			c.TLS.CertFile, c.TLS.KeyFile = pair.CertFile, pair.KeyFile
			v.taken["CLIENT_CERTIFICATE"], v.taken["CLIENT_KEY"] = cert, key
			return
		}
		v.Warn(wrong, otelenv.Ignored(err))
		if !strings.HasPrefix(cert, v.signal.prefix()) && !strings.HasPrefix(key, v.signal.prefix()) {
			return // those for everything have been tried
		}
	}
}

// saysSecurity reports whether an endpoint has a scheme that decides about TLS.
func saysSecurity(endpoint string) bool {
	scheme, rest, ok := strings.Cut(strings.ToLower(endpoint), ":")
	return ok && (strings.HasPrefix(rest, "//") && strings.HasPrefix(scheme, "http") || strings.HasPrefix(scheme, "unix"))
}

// parseHeaders takes "key=value,key2=value2" apart, percent-encoded. It returns what can
// be sent, and an error about the rest that shows no value.
func parseHeaders(s string, p Protocol) (map[string]component.Secret, error) {
	pairs, err := otelenv.Pairs(s)
	errs := []error{}
	if err != nil {
		errs = append(errs, err)
	}
	headers := map[string]component.Secret{}
	for _, pair := range pairs {
		if err := p.checkHeader(pair.Key, pair.Value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", shownHeader(pair.Entry, pair.Key), err))
			continue
		}
		headers[pair.Key] = component.Secret(pair.Value)
	}
	return headers, otelenv.Join(errs)
}

// shownHeader names an entry of a list of headers. Where its name can be none, it may
// be a part of a secret.
func shownHeader(entry int, key string) string {
	if shown := component.Shown(strings.ToLower(key)); strings.HasPrefix(shown, `"`) {
		return fmt.Sprintf("header %q", key)
	}
	return fmt.Sprintf("entry %d", entry)
}
