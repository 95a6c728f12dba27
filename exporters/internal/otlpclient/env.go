package otlpclient

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
)

// withEnv fills what the configuration leaves open from the variables of
// OpenTelemetry. Those for traces win over those for everything.
// Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
func (c Config) withEnv(getenv func(string) string) (Config, error) {
	var errs []error
	lookup := func(key string) (name, value string) {
		name = "OTEL_EXPORTER_OTLP_TRACES_" + key
		if v := strings.TrimSpace(getenv(name)); v != "" {
			return name, v
		}
		name = "OTEL_EXPORTER_OTLP_" + key
		return name, strings.TrimSpace(getenv(name))
	}
	fill := func(open bool, key string, set func(name, value string) error) {
		name, value := lookup(key)
		if !open || value == "" {
			return
		}
		if err := set(name, value); err != nil {
			errs = append(errs, &component.FieldError{Err: fmt.Errorf("%s: %w", name, err)})
		}
	}

	fill(c.Protocol == "", "PROTOCOL", func(_, value string) error {
		c.Protocol = Protocol(value)
		return c.Protocol.check()
	})
	c.Protocol = cmp.Or(c.Protocol, GRPC)
	fill(c.Endpoint == "", "ENDPOINT", func(name, value string) error {
		e, err := parseEndpoint(value, c.Protocol)
		if err != nil {
			return err
		}
		c.Endpoint = value
		if c.Protocol == HTTP && c.URLPath == "" && strings.HasSuffix(name, "_TRACES_ENDPOINT") {
			// That of the signal is the whole URL, not a base.
			base, _, _ := strings.Cut(value, "?")
			c.Endpoint = strings.TrimSuffix(base, e.path)
			c.URLPath = cmp.Or(e.path, "/")
			if e.query != "" {
				c.URLPath += "?" + e.query
			}
		}
		return nil
	})
	// A scheme has said it already.
	fill(c.Insecure == nil && !saysSecurity(c.Endpoint), "INSECURE", func(_, value string) error {
		insecure, err := strconv.ParseBool(strings.ToLower(value))
		if err != nil {
			return fmt.Errorf("%s is neither true nor false", component.Shown(value))
		}
		c.Insecure = &insecure
		return nil
	})
	fill(c.Compression == "", "COMPRESSION", func(_, value string) error {
		if err := c.checkCompression(delivery.Compression(value)); err != nil {
			return err
		}
		c.Compression = delivery.Compression(value)
		return nil
	})
	fill(c.Timeout == 0, "TIMEOUT", func(_, value string) error {
		ms, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return fmt.Errorf("%s is not a number of milliseconds", component.Shown(value))
		}
		c.Timeout = component.Duration(time.Duration(ms) * time.Millisecond)
		return nil
	})
	fill(c.Headers == nil, "HEADERS", func(_, value string) error {
		var err error
		c.Headers, err = parseHeaders(value, c.Protocol)
		return err
	})

	fromConfig := c.TLS.set()
	file := func(into *string) func(string, string) error {
		return func(_, value string) error {
			*into, c.TLS.fromEnv = value, !fromConfig
			return nil
		}
	}
	pair := c.TLS.CertFile == "" && c.TLS.KeyFile == ""
	fill(c.TLS.CAFile == "", "CERTIFICATE", file(&c.TLS.CAFile))
	fill(pair, "CLIENT_CERTIFICATE", file(&c.TLS.CertFile))
	fill(pair, "CLIENT_KEY", file(&c.TLS.KeyFile))
	return c, errors.Join(errs...)
}

// saysSecurity reports whether an endpoint has a scheme that decides about TLS.
func saysSecurity(endpoint string) bool {
	scheme, rest, ok := strings.Cut(strings.ToLower(endpoint), ":")
	return ok && (strings.HasPrefix(rest, "//") && strings.HasPrefix(scheme, "http") || strings.HasPrefix(scheme, "unix"))
}

// parseHeaders takes "key=value,key2=value2" apart, the values
// percent-encoded. Its errors show no value.
func parseHeaders(s string, p Protocol) (map[string]component.Secret, error) {
	headers := map[string]component.Secret{}
	for i, pair := range strings.Split(s, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		if !ok {
			return nil, fmt.Errorf("entry %d is not key=value", i+1)
		}
		decoded, err := url.PathUnescape(strings.TrimSpace(value))
		if err == nil {
			err = p.checkHeader(key, decoded)
		} else {
			err = errors.New("the value is not percent-encoded: a % is written %25")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", shownHeader(i+1, key), err)
		}
		headers[key] = component.Secret(decoded)
	}
	return headers, nil
}

// shownHeader names an entry of a list of headers. Where its name can be none, it may
// be a part of a secret.
func shownHeader(entry int, key string) string {
	if shown := component.Shown(strings.ToLower(key)); strings.HasPrefix(shown, `"`) {
		return fmt.Sprintf("header %q", key)
	}
	return fmt.Sprintf("entry %d", entry)
}
