package observability

import (
	"net"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/internal/bound"
)

// describe sets what is known of a request when its span starts: all that a start
// sampler may ask for.
//
// Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
func (s *starting) describe(r *http.Request) {
	host, port := hostPort(r.Host)
	s.set("server.address", clients(host, r.Host))
	scheme, usual := schemeOf(r)
	if port > 0 && port != usual {
		s.add(attribute.Int("server.port", port))
	}
	method := methodOf(r.Method)
	s.add(attribute.String("http.request.method", method))
	if method != r.Method || method == otherMethod {
		s.set("http.request.method_original", clients(r.Method, r.RequestURI))
	}
	s.add(attribute.String("url.scheme", scheme))
	if r.URL != nil {
		s.set("url.path", clients(r.URL.Path, r.RequestURI))
	}
	peer, peerPort := hostPort(r.RemoteAddr)
	peer = clients(peer, r.RemoteAddr) // as handlers set it that trust a header
	s.set("network.peer.address", peer)
	if peer != "" && peerPort > 0 {
		s.add(attribute.Int("network.peer.port", peerPort))
	}
	forwarded := r.Header.Get("X-Forwarded-For")
	if client, _, _ := strings.Cut(forwarded, ","); client != "" {
		s.set("client.address", clients(client, forwarded))
	} else {
		s.set("client.address", peer)
	}
	agent := r.UserAgent()
	s.set("user_agent.original", clients(agent, agent))
	name, version := protocolOf(r.Proto)
	if name != "http" {
		s.set("network.protocol.name", name)
	}
	s.set("network.protocol.version", version)
	s.set("http.route", route(r.Pattern))
}

// clients is a text that a client wrote, as a span may have it: of valid UTF-8, since an
// exporter may refuse everything for what is none, and copied where it would hold much
// more memory than it takes, that of the text it is cut from.
func clients(text, of string) string {
	const little = 1 << 10
	if len(of)-len(text) > little {
		text = strings.Clone(text)
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// hostPort takes host and port of what a client or net/http says of an address. It has
// no host where that is no address, and a port of -1 where there is none.
func hostPort(s string) (host string, port int) {
	if strings.HasPrefix(s, "[") {
		end := strings.LastIndexByte(s, ']')
		if end >= 0 && strings.IndexByte(s[end:], ':') < 0 {
			return s[1:end], -1
		}
	} else if strings.IndexByte(s, ':') < 0 {
		return s, -1
	}
	host, digits, err := net.SplitHostPort(s)
	if err != nil {
		return "", -1
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return host, -1
	}
	return host, int(n)
}

// otherMethod stands for the methods that the conventions do not know.
const otherMethod = "_OTHER"

// methodOf is the method as the conventions know it.
func methodOf(method string) string {
	for range 2 {
		switch method {
		case http.MethodGet:
			return http.MethodGet
		case http.MethodPost:
			return http.MethodPost
		case http.MethodPut:
			return http.MethodPut
		case http.MethodDelete:
			return http.MethodDelete
		case http.MethodHead:
			return http.MethodHead
		case http.MethodPatch:
			return http.MethodPatch
		case http.MethodOptions:
			return http.MethodOptions
		case http.MethodConnect:
			return http.MethodConnect
		case http.MethodTrace:
			return http.MethodTrace
		}
		method = strings.ToUpper(method)
	}
	return otherMethod
}

// schemeOf is the scheme of the connection, and the port that goes without saying.
func schemeOf(r *http.Request) (scheme string, port int) {
	if r.TLS != nil {
		return "https", 443
	}
	return "http", 80
}

// protocolOf is the protocol, without the request line that its name is cut from.
func protocolOf(proto string) (name, version string) {
	switch proto {
	case "HTTP/1.1":
		return "http", "1.1"
	case "HTTP/2.0":
		return "http", "2.0"
	case "HTTP/1.0":
		return "http", "1.0"
	}
	name, version, _ = strings.Cut(strings.Clone(proto), "/")
	return clients(strings.ToLower(name), ""), clients(version, "")
}

// route is the path of a mux's pattern, which may begin with a method and a
// host.
func route(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		return pattern[i:]
	}
	return ""
}

// requestName is what a request's span is called: its method and its route, if it has
// one. It is the pattern itself where that says both.
func requestName(r *http.Request) string {
	method := methodOf(r.Method)
	if method == otherMethod {
		method = "HTTP"
	}
	path := route(r.Pattern)
	if path == "" {
		return method
	}
	if before, ok := strings.CutSuffix(r.Pattern, path); ok && len(before) == len(method)+1 && strings.HasPrefix(before, method) && before[len(method)] == ' ' {
		return r.Pattern
	}
	return method + " " + bound.Default.Text(path)
}
