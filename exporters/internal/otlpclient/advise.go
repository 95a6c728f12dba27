package otlpclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery"
)

// Error is an error of sending, told so that the reader knows what to do.
// What the transport said is behind Unwrap.
type Error struct {
	Message string
	Cause   error
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Cause }

// WebPageError is for a response that is a page for people. A server that
// sends one knows no OTLP, whatever the status.
type WebPageError struct{ Status string }

func (e *WebPageError) Error() string { return "answered with a web page (" + e.Status + ")" }

// Advise tells what a user can do about an error of sending. gRPC flattens
// its causes to text, so text is what decides. worked tells that an export has
// succeeded before: then a server that hangs up is no sign of a mistake in the
// configuration.
func (r *Resolved) Advise(err error, worked bool) error {
	if err == nil {
		return nil
	}
	if known := (*Error)(nil); errors.As(err, &known) {
		return known
	}
	text := err.Error()
	says := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(text, p) })
	}
	advise := func(format string, args ...any) error {
		return &Error{Message: r.Address + " " + fmt.Sprintf(format, args...), Cause: err}
	}
	const connLost = "http2: client conn could not be established" // net/http's, after the TLS handshake
	const clientCert = "a client certificate that it trusts: set tls.cert_file and tls.key_file"
	proxy, proxyAdvice := r.proxy()

	switch {
	// What a proxy does says nothing of the receiver behind it.
	case proxy == "" && says("proxyconnect"): // it is configured
		return advise("cannot be reached through its proxy (%s): check proxy", after(text, "proxyconnect tcp: "))
	case proxy != "" && says("connection refused"):
		return advise("cannot be reached through the proxy %s (connection refused): %s", proxy, proxyAdvice)
	case proxy != "" && refusedConnect(text) != "":
		return advise("cannot be reached through the proxy %s (%s): %s", proxy, refusedConnect(text), proxyAdvice)
	case proxy != "" && r.TLS == nil && says("401 Unauthorized", "403 Forbidden", "407 Proxy Auth", "502 Bad Gateway", "504 Gateway"):
		return advise("refused, or the proxy %s did: check %s; %s", proxy, r.keyAt, proxyAdvice)

	case says("first record does not look like a TLS handshake", "server gave HTTP response to HTTPS client"):
		return advise("answered in plain text: %s", r.insecureAdvice())
	case says("HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port", `malformed HTTP response "\x15\x03`):
		return advise("wants TLS: %s", r.secureAdvice())

	case says("remote error: tls: certificate required", "remote error: tls: bad certificate",
		"remote error: tls: unknown certificate", "remote error: tls: handshake failure"):
		return advise("wants " + clientCert)
	case says("certificate signed by unknown authority"):
		return advise("has a certificate of an unknown authority: set tls.ca_file")
	case says("certificate is valid for", "cannot validate certificate for", "is not valid for any names"):
		return advise("has a certificate for another name: set tls.server_name (%s)", after(text, "x509: "))

	case r.Protocol == HTTP && says(`malformed HTTP response "\x00\x00`, "readLoopPeekFailLocked: %!w(<nil>)"): // it spoke first
		return advise("speaks gRPC: use protocol grpc, or the port for OTLP over HTTP (usually 4318)")
	case r.Protocol == GRPC && says("frame header looked like an HTTP/1.1 header", "tls: no application protocol",
		"unexpected content-type", "unexpected HTTP status code"):
		return advise("speaks HTTP, not gRPC: use protocol http/protobuf, or the port for OTLP over gRPC (usually 4317)")
	case says("answered with a web page"):
		return advise("answered with a web page: it is no OTLP receiver; the usual port is %s", r.Protocol.defaultPort())
	case says("Decompressor is not installed", "415 Unsupported Media Type") && r.Compression != delivery.None:
		return advise("does not know compression %s: set compression: %s", r.Compression, simpler(r.Compression))
	case says("code = Unimplemented"):
		return advise("takes no traces: %s", after(text, "desc = "))
	case r.Protocol == HTTP && says("404 Not Found", "405 Method Not Allowed"):
		return advise("takes no traces at %s: check the path", r.Path)
	case says("code = Unauthenticated", "code = PermissionDenied", "401 Unauthorized", "403 Forbidden"):
		return advise("refused the credentials: check %s", r.keyAt)

	case says("connection refused"):
		return advise("refused the connection: nothing listens there")
	case says("no such host"):
		return advise("is unknown: no such host")
	case !worked && says("EOF", "broken pipe", "connection reset by peer", "server closed idle connection", "error reading server preface", connLost):
		switch {
		case r.TLS == nil:
			return advise("hung up on plain text: if it wants TLS, %s", r.secureAdvice())
		case r.Protocol == HTTP && !says("write: ", connLost) && r.TLS.GetClientCertificate == nil: // net/http does not tell when
			return advise("hung up during the TLS handshake: if it takes plain text, %s; if it wants a client certificate, set tls.cert_file and tls.key_file", r.insecureAdvice())
		case r.Protocol == HTTP && !says("write: ", connLost) || says("handshake failed"):
			return advise("hung up during the TLS handshake: if it takes plain text, %s", r.insecureAdvice())
		default: // in TLS 1.3, a server looks at certificates after the client's handshake
			return advise("hung up after the TLS handshake: it may want " + clientCert)
		}
	case errors.Is(err, context.DeadlineExceeded) || says("DeadlineExceeded", "context deadline exceeded", "Client.Timeout"):
		return advise("did not answer in time")
	}
	return fmt.Errorf("sending to %s: %w", r.Address, err)
}

// proxy is host:port of the proxy that the environment puts in front of the
// receiver, and what to change about it; "" if there is none.
func (r *Resolved) proxy() (address, advice string) {
	target, variable := r.URL(), "HTTPS_PROXY"
	switch {
	case strings.HasPrefix(r.Address, "unix:"):
		return "", ""
	case r.Protocol == GRPC: // which asks for a tunnel, whatever goes through it
		target = "https://" + r.Address
	case r.TLS == nil:
		variable = "HTTP_PROXY"
	}
	u, err := url.Parse(target)
	if err != nil {
		return "", ""
	}
	via, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	if via == nil || err != nil {
		return "", ""
	}
	return via.Host, fmt.Sprintf("check %s, or add %s to NO_PROXY", variable, u.Hostname())
}

// refusedConnect is the status with which a proxy refused a tunnel; "" if it
// did not.
func refusedConnect(text string) string {
	if _, resp, ok := strings.Cut(text, "failed to do connect handshake"); ok { // gRPC's words
		if at := statusLine.FindStringSubmatch(resp); at != nil {
			return at[1]
		}
		return "no tunnel"
	}
	for code := http.StatusBadRequest; code <= http.StatusNetworkAuthenticationRequired; code++ { // net/http's
		if status := http.StatusText(code); status != "" && strings.HasSuffix(text, `": `+status) {
			return fmt.Sprintf("%d %s", code, status)
		}
	}
	return ""
}

var statusLine = regexp.MustCompile(`HTTP/[0-9.]+ ([0-9]{3}[A-Za-z -]*)`)

// Fail is Explain for a failure: it means the same and says more.
func (r *Resolved) Fail(err error, worked bool) error {
	if f, ok := err.(*delivery.ExportError); ok { //nolint:errorlint // it is not wrapped yet
		advised := *f
		advised.Err = r.masked(r.Advise(f.Err, worked))
		return &advised
	}
	return r.masked(r.Advise(err, worked))
}

// simpler is a compression that more receivers know.
func simpler(c delivery.Compression) delivery.Compression {
	if c == delivery.Zstd {
		return delivery.Gzip
	}
	return delivery.None
}

// insecureAdvice and secureAdvice are what to change for plaintext and TLS. A
// scheme must be changed itself: insecure would contradict it.
func (r *Resolved) insecureAdvice() string {
	if r.scheme != "" {
		return "write http:// in the endpoint"
	}
	return "set insecure: true"
}

func (r *Resolved) secureAdvice() string {
	if r.scheme != "" {
		return "write https:// in the endpoint"
	}
	return "set insecure: false"
}

func after(s, mark string) string {
	if i := strings.LastIndex(s, mark); i >= 0 {
		s = s[i+len(mark):]
	}
	return strings.Trim(s, `" `)
}

// Exporter is an exporter that sends there, whose errors say what to do.
func (r *Resolved) Exporter(e sdktrace.SpanExporter) *Exporter {
	return &Exporter{exporter: e, resolved: r}
}

// Exporter adds advice to the errors of another.
type Exporter struct {
	exporter sdktrace.SpanExporter
	resolved *Resolved
	worked   atomic.Bool
}

// ExportSpans sends spans.
func (e *Exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.exporter.ExportSpans(ctx, spans)
	if err == nil {
		e.worked.Store(true)
		return nil
	}
	return e.resolved.Fail(sdkError(err), e.worked.Load())
}

// Shutdown closes the connections.
func (e *Exporter) Shutdown(ctx context.Context) error { return e.exporter.Shutdown(ctx) }

// Traits tell where spans go.
func (e *Exporter) Traits() delivery.Traits { return delivery.Traits{Endpoint: e.resolved.Endpoint()} }
