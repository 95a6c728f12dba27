package otlpclient

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// endpoint is one that a user wrote, taken apart. Path and query are as they were
// written.
type endpoint struct {
	scheme   string // http, https, or that of a target of gRPC; "" if none was written
	address  string // host:port, or a target of gRPC
	host     string // that a certificate is of
	path     string
	query    string // without its question mark
	loopback bool
}

// defaultPort is where a receiver of the protocol listens.
func (p Protocol) defaultPort() string {
	if p == GRPC {
		return "4317"
	}
	return "4318"
}

// portOf is the port of an endpoint without one. A URL of HTTP has that of its
// scheme; for gRPC only https:// means the one that the world uses.
func (p Protocol) portOf(scheme string) string {
	switch {
	case scheme == "https":
		return "443"
	case scheme == "http" && p == HTTP:
		return "80"
	default:
		return p.defaultPort()
	}
}

// targets are the schemes of gRPC's own that an endpoint can have; the others need
// resolvers that nobody links in.
// Source: https://github.com/grpc/grpc/blob/master/doc/naming.md
var targets = []string{"dns", "passthrough", "unix", "unix-abstract"}

// parseEndpoint takes host:port, with or without http:// or https:// before it and,
// for HTTP, a path and a query behind it. For gRPC it can be a target. An empty one
// is the default.
func parseEndpoint(s string, p Protocol) (endpoint, error) {
	if s == "" {
		s = "localhost:" + p.defaultPort()
	}
	shown, query, hasQuery := strings.Cut(s, "?") // there may be a key in a query
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		if strings.Contains(s, "@") {
			return endpoint{}, errors.New("it has a space or a control character in it")
		}
		return endpoint{}, fmt.Errorf("%q has a space or a control character in it", shown)
	}
	if strings.Contains(s, "#") {
		return endpoint{}, errors.New("a fragment (#) does not belong here")
	}
	if hasQuery && p == GRPC {
		return endpoint{}, errors.New("gRPC has no use for a query (?): choose OTLP over HTTP, or leave it out")
	}
	e, err := parseURL(shown, p)
	if strings.Contains(s, "@") && (err != nil || strings.Contains(e.address, "@")) {
		// Not shown: there may be a password in it.
		return endpoint{}, errors.New("user and password do not belong here: put them into headers")
	}
	e.query = query
	return e, err
}

// parseURL is parseEndpoint without a query.
func parseURL(s string, p Protocol) (endpoint, error) {
	if scheme, rest, ok := strings.Cut(s, ":"); ok && p == GRPC && slices.Contains(targets, strings.ToLower(scheme)) && !isPort(rest) {
		return parseTarget(s, strings.ToLower(scheme), rest)
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		scheme, rest = "", s
	}
	scheme = strings.ToLower(scheme)
	if ok && scheme != "http" && scheme != "https" {
		known := "http, https"
		if p == GRPC {
			known += ", " + strings.Join(targets, ", ")
		}
		return endpoint{}, fmt.Errorf("scheme %q is not one of %s", scheme, known)
	}
	e := endpoint{scheme: scheme}
	authority, path, hasPath := strings.Cut(rest, "/")
	if hasPath {
		e.path = "/" + path
	}
	if _, err := url.PathUnescape(e.path); err != nil {
		return endpoint{}, fmt.Errorf("the path %q is not percent-encoded: a %% is written %%25", e.path)
	}
	if p == GRPC && path != "" {
		return endpoint{}, fmt.Errorf("gRPC has no use for the path %q: write %s alone, or choose OTLP over HTTP", e.path, authority)
	}
	host, port, err := splitHostPort(authority)
	switch {
	case err != nil:
		return endpoint{}, err
	case host == "":
		return endpoint{}, fmt.Errorf("%q names no host: want host:port, such as localhost:%s", s, p.defaultPort())
	case port == "":
		port = p.portOf(scheme)
	}
	if !isPort(port) {
		return endpoint{}, fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	e.address = net.JoinHostPort(host, port)
	e.setHost(host)
	return e, nil
}

// parseTarget takes a target of gRPC, which is dialed as it is written.
func parseTarget(s, scheme, rest string) (endpoint, error) {
	e := endpoint{scheme: scheme, address: s}
	if strings.HasPrefix(scheme, "unix") {
		if path := strings.TrimPrefix(rest, "//"); path == "" || rest != path && scheme == "unix" && !strings.HasPrefix(path, "/") {
			return endpoint{}, fmt.Errorf("%q is not a socket: want unix:path, or unix:///path", s)
		}
		e.loopback = true
		return e, nil
	}
	host, port, err := splitHostPort(targetHost(s))
	switch {
	case err != nil:
		return endpoint{}, err
	case host == "":
		return endpoint{}, fmt.Errorf("%q names no host: want one such as %s:///collector:4317", s, scheme)
	case port != "" && !isPort(port):
		return endpoint{}, fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	e.setHost(host)
	return e, nil
}

// targetHost is host:port of an address: what is behind the scheme and the server of
// a target of gRPC.
func targetHost(address string) string {
	scheme, rest, ok := strings.Cut(address, ":")
	if !ok || !slices.Contains(targets, strings.ToLower(scheme)) || isPort(rest) {
		return address
	}
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		_, rest, _ = strings.Cut(after, "/")
	}
	return rest
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// setHost notes the host; the zone of an address is in no certificate.
func (e *endpoint) setHost(host string) {
	e.host, _, _ = strings.Cut(host, "%")
	e.loopback = isLoopback(e.host)
}

// splitHostPort is [net.SplitHostPort] where the port may be missing.
func splitHostPort(s string) (host, port string, err error) {
	if bracketed, ok := strings.CutPrefix(s, "["); ok {
		host, rest, ok := strings.Cut(bracketed, "]")
		if addr, err := netip.ParseAddr(host); !ok || err != nil || !addr.Is6() {
			return "", "", fmt.Errorf("%q is not an IPv6 address in brackets", s)
		}
		if rest == "" {
			return host, "", nil
		}
		if port, ok = strings.CutPrefix(rest, ":"); !ok || port == "" {
			return "", "", fmt.Errorf("%q: want a port after the brackets, such as [%s]:4317", s, host)
		}
		return host, port, nil
	}
	host, port, ok := strings.Cut(s, ":")
	switch {
	case ok && strings.Contains(port, ":"):
		return "", "", fmt.Errorf("%q has more than one colon: an IPv6 address goes in brackets, such as [::1]:4317", s)
	case ok && port == "":
		return "", "", fmt.Errorf("%q has no port after its colon", s)
	}
	for _, r := range host {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_' {
			return "", "", fmt.Errorf("host %q has %q in it, which no host name has", host, r)
		}
	}
	return host, port, nil
}

func isLoopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// Exposed reports whether what is sent travels in plain text over a network,
// where a token must not.
func (r *Resolved) Exposed() bool {
	if r.TLS != nil || r.isSocket() {
		return false
	}
	host, _, err := net.SplitHostPort(targetHost(r.Address))
	return err != nil || !isLoopback(host)
}

// isSocket reports whether it is a socket of this machine.
func (r *Resolved) isSocket() bool {
	return strings.HasPrefix(r.Address, "unix:") || strings.HasPrefix(r.Address, "unix-abstract:")
}
