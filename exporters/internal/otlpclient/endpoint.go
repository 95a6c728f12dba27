package otlpclient

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// endpoint is one that a user wrote, taken apart.
type endpoint struct {
	scheme   string // http, https, unix; "" if none was written
	address  string // host:port, or unix:///path
	host     string
	path     string
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

// parseEndpoint takes host:port, with or without http:// or https:// before
// it and, for HTTP, a path behind it. An empty one is the default.
func parseEndpoint(s string, p Protocol) (endpoint, error) {
	example := "localhost:" + p.defaultPort()
	if s == "" {
		s = example
	}
	for _, r := range s {
		if r <= ' ' || r == 0x7f {
			return endpoint{}, fmt.Errorf("%q has a space or a control character in it", s)
		}
	}
	if strings.Contains(s, "@") {
		// Not shown: there may be a password in it.
		return endpoint{}, errors.New("user and password do not belong here: put them into headers")
	}
	if strings.ContainsAny(s, "?#") {
		return endpoint{}, errors.New("a query or a fragment (? or #) does not belong here")
	}

	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		scheme, rest = "", s
	}
	scheme = strings.ToLower(scheme)
	e := endpoint{scheme: scheme}
	switch {
	case scheme == "unix" && p == GRPC && strings.HasPrefix(rest, "/"):
		e.address, e.loopback = s, true
		return e, nil
	case ok && scheme != "http" && scheme != "https":
		return endpoint{}, fmt.Errorf("scheme %q is not one of http, https", scheme)
	}

	authority, path, hasPath := strings.Cut(rest, "/")
	if hasPath {
		e.path = "/" + path
	}
	if p == GRPC && path != "" {
		return endpoint{}, fmt.Errorf("gRPC has no use for the path %q: write %s alone, or choose OTLP over HTTP", e.path, authority)
	}

	host, port, err := splitHostPort(authority)
	switch {
	case err != nil:
		return endpoint{}, err
	case host == "":
		return endpoint{}, fmt.Errorf("%q names no host: want host:port, such as %s", s, example)
	case port == "":
		port = p.portOf(scheme)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return endpoint{}, fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	e.address, e.host = net.JoinHostPort(host, port), host
	e.loopback = isLoopback(host)
	return e, nil
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
	if r.TLS != nil || strings.HasPrefix(r.Address, "unix:") {
		return false
	}
	host, _, err := net.SplitHostPort(r.Address)
	return err != nil || !isLoopback(host)
}
