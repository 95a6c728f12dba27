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

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/otlpstatus"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// Error is an error of sending, told so that the reader knows what to do.
// What the transport said is behind Unwrap.
type Error struct {
	Message string
	Cause   error

	own bool // the message has no words of others, and nothing secret
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Cause }

// Tellable is the advice, unless words of others, or what may be secret, are a part of it.
func (e *Error) Tellable() string {
	if e.own {
		return e.Message
	}
	return delivery.Tellable(e.Cause)
}

// Advise tells what a user can do about an error of sending. worked tells that an
// export has succeeded before: then a server that hangs up is no sign of a mistake in
// the configuration.
//
// What a server answers is judged by its status: words in it, such as "connection
// refused", are about another connection than this one.
func (r *Resolved) Advise(err error, worked bool) error {
	if err == nil {
		return nil
	}
	if known := (*Error)(nil); errors.As(err, &known) {
		return known
	}
	var message string
	var answer *otlpstatus.HTTPError
	var code *otlpstatus.GRPCError
	var page *otlpstatus.WebPageError
	switch {
	case errors.As(err, &page):
		message = "answered with a web page: it is no OTLP receiver; the usual port is " + r.Protocol.defaultPort()
	case errors.As(err, &answer):
		message = r.adviseHTTP(answer)
	case errors.As(err, &code):
		message = r.adviseGRPC(code.Status)
	default:
		if foreign, ok := otlpstatus.NotGRPC(err); ok {
			message = adviseForeign(foreign, worked)
		} else {
			message = r.adviseTransport(err, worked)
		}
	}
	if message == "" {
		return fmt.Errorf("sending to %s: %w", r.Address, err)
	}
	own := code == nil && !strings.Contains(message, proxyFailed) &&
		(r.Path == r.Signal.path() || !strings.Contains(message, r.Path)) // a path may have a key in it
	return &Error{Message: r.Address + " " + message, Cause: err, own: own}
}

// proxyFailed stands where what net/http says of a proxy is told.
const proxyFailed = "cannot be reached through its proxy"

// adviseHTTP is about a response; "" where it says all there is.
func (r *Resolved) adviseHTTP(e *otlpstatus.HTTPError) string {
	proxy, proxyAdvice := r.proxy()
	if proxy != "" && r.TLS == nil { // it may be the proxy's
		switch e.Code {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusBadGateway, http.StatusGatewayTimeout:
			return fmt.Sprintf("refused, or the proxy %s did: check %s; %s", proxy, r.keyAt, proxyAdvice)
		}
	}
	switch {
	case r.TLS == nil && e.WantsTLS():
		return "wants TLS: " + r.secureAdvice()
	case e.Code == http.StatusUnsupportedMediaType && r.Compression != delivery.None:
		return r.compressionAdvice()
	case e.Code == http.StatusNotFound, e.Code == http.StatusMethodNotAllowed:
		return fmt.Sprintf("takes no %s at %s: check the path", r.Signal, r.Path)
	case e.Code == http.StatusUnauthorized, e.Code == http.StatusForbidden:
		return "refused the credentials: check " + r.keyAt
	default:
		return ""
	}
}

// adviseGRPC is adviseHTTP for gRPC.
func (r *Resolved) adviseGRPC(s *status.Status) string {
	switch s.Code() {
	case codes.Unimplemented:
		// It is the code for both; the words are grpc-go's.
		if strings.Contains(s.Message(), "Decompressor is not installed") && r.Compression != delivery.None {
			return r.compressionAdvice()
		}
		return fmt.Sprintf("takes no %s: %s", r.Signal, s.Message())
	case codes.Unauthenticated, codes.PermissionDenied:
		return "refused the credentials: check " + r.keyAt
	case codes.DeadlineExceeded:
		return "did not answer in time"
	default:
		return ""
	}
}

// adviseForeign is about a response of HTTP to a call of gRPC. A proxy sends one where
// it does not reach the receiver.
func adviseForeign(e *otlpstatus.HTTPError, worked bool) string {
	if worked || otlpstatus.OTLP.HTTP(e.Code).Outcome == delivery.Retry {
		return fmt.Sprintf("answered %s, which is not gRPC: it may be of a proxy in front of the receiver", e.Status)
	}
	return "speaks HTTP, not gRPC: use protocol http/protobuf, or the port for OTLP over gRPC (usually 4317)"
}

// adviseTransport is about what happened on the way. gRPC flattens its causes to
// text, so text is what decides.
func (r *Resolved) adviseTransport(err error, worked bool) string {
	text := err.Error()
	if before, _, ok := strings.Cut(text, "debug data:"); ok { // of GOAWAY: the server's words
		text = before
	}
	says := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(text, p) })
	}
	const connLost = "http2: client conn could not be established" // net/http's, after the TLS handshake
	const clientCert = "a client certificate that it trusts: set tls.cert_file and tls.key_file"
	const ownCert = "the client certificate: check that tls.cert_file has not expired, and is of an authority that it trusts"
	proxy, proxyAdvice := r.proxy()

	switch {
	// What a proxy does says nothing of the receiver behind it.
	case proxy == "" && says("proxyconnect"): // it is configured
		return fmt.Sprintf(proxyFailed+" (%s): check proxy", after(text, "proxyconnect tcp: "))
	case proxy != "" && says("connection refused"):
		return fmt.Sprintf("cannot be reached through the proxy %s (connection refused): %s", proxy, proxyAdvice)
	case proxy != "" && refusedConnect(text) != "":
		return fmt.Sprintf("cannot be reached through the proxy %s (%s): %s", proxy, refusedConnect(text), proxyAdvice)

	case says("first record does not look like a TLS handshake", "server gave HTTP response to HTTPS client"):
		return "answered in plain text: " + r.insecureAdvice()
	case says(`malformed HTTP response "\x15\x03`):
		return "wants TLS: " + r.secureAdvice()

	case says("remote error: tls: certificate required", "remote error: tls: bad certificate",
		"remote error: tls: unknown certificate", "remote error: tls: expired certificate", "remote error: tls: handshake failure"):
		if r.TLS != nil && r.TLS.GetClientCertificate != nil {
			return "does not take " + ownCert
		}
		return "wants " + clientCert
	case says("tls: protocol version not supported", "tls: server selected unsupported protocol version"):
		return "speaks no version of TLS that is taken: let it speak 1.2 or a newer one; tls.min_version says what is asked for"
	case says("certificate signed by unknown authority"):
		return "has a certificate of an unknown authority: set tls.ca_file"
	case says("certificate has expired or is not yet valid"):
		return fmt.Sprintf("has a certificate that has expired, or is not valid yet (%s): renew it, or set the clock of this machine", after(text, "is not yet valid: "))
	case says("certificate relies on legacy Common Name field"):
		return "has a certificate that names it in the common name alone, which does not count: add the name to its subject alternative names"
	case says("missing selected ALPN property"): // of what ends TLS in front of gRPC
		return "speaks TLS, but not HTTP/2, which gRPC needs: use protocol http/protobuf, or the port for OTLP over gRPC (usually 4317), or let the proxy in front of it speak HTTP/2"
	case says("certificate is valid for", "cannot validate certificate for", "is not valid for any names"):
		return fmt.Sprintf("has a certificate for another name: set tls.server_name (%s)", after(text, "x509: "))

	case r.Protocol == HTTP && says(`malformed HTTP response "\x00\x00`, "readLoopPeekFailLocked: %!w(<nil>)"): // it spoke first
		return "speaks gRPC: use protocol grpc, or the port for OTLP over HTTP (usually 4318)"
	case r.Protocol == GRPC && says("frame header looked like an HTTP/1.1 header", "tls: no application protocol"):
		return "speaks HTTP, not gRPC: use protocol http/protobuf, or the port for OTLP over gRPC (usually 4317)"

	case says("connection refused"):
		return "refused the connection: nothing listens there"
	case says("no such host"):
		return "is unknown: no such host"
	case says("no route to host", "network is unreachable"):
		return "cannot be reached: there is no route to it"
	case !worked && says("EOF", "broken pipe", "connection reset by peer", "server closed idle connection", "error reading server preface", connLost):
		switch {
		case r.TLS == nil:
			return "hung up on plain text: if it wants TLS, " + r.secureAdvice()
		case r.Protocol == HTTP && !says("write: ", connLost) && r.TLS.GetClientCertificate == nil: // net/http does not tell when
			return fmt.Sprintf("hung up during the TLS handshake: if it takes plain text, %s; if it wants a client certificate, set tls.cert_file and tls.key_file", r.insecureAdvice())
		case r.Protocol == HTTP && !says("write: ", connLost) || says("handshake failed"):
			return "hung up during the TLS handshake: if it takes plain text, " + r.insecureAdvice()
		case r.TLS.GetClientCertificate != nil:
			return "hung up after the TLS handshake: it may not take " + ownCert
		default: // in TLS 1.3, a server looks at certificates after the client's handshake
			return "hung up after the TLS handshake: it may want " + clientCert
		}
	case errors.Is(err, context.DeadlineExceeded) || says("DeadlineExceeded", "context deadline exceeded", "Client.Timeout", "i/o timeout"):
		return "did not answer in time"
	}
	return ""
}

func (r *Resolved) compressionAdvice() string {
	return fmt.Sprintf("does not know compression %s: set compression: %s", r.Compression, simpler(r.Compression))
}

// proxy is host:port of the proxy that the environment puts in front of the
// receiver, and what to change about it; "" if there is none.
func (r *Resolved) proxy() (address, advice string) {
	target, variable := r.URL(), "HTTPS_PROXY"
	switch {
	case r.isSocket():
		return "", ""
	case r.Protocol == GRPC: // which asks for a tunnel, whatever goes through it
		target = "https://" + targetHost(r.Address)
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

// Fail is Advise for a failure: it means the same and says more.
func (r *Resolved) Fail(err error, worked bool) error {
	if f, ok := err.(*delivery.ExportError); ok { //nolint:errorlint // it is not wrapped yet
		advised := *f
		advised.Err = r.fit(r.Advise(f.Err, worked))
		return &advised
	}
	return r.fit(r.Advise(err, worked))
}

// Rejected is the error of a response that accepts a part of so many spans, which are
// not to be sent again.
func (r *Resolved) Rejected(resp delivery.Response, spans int) error {
	rejected := int(min(resp.Rejected, int64(spans)))
	return &delivery.ExportError{
		PartialSuccess: &delivery.PartialSuccess{Rejected: rejected},
		Err:            fmt.Errorf("%s rejected %d of %d spans: %s", r.Address, rejected, spans, untrusted.Text(resp.Message, untrusted.Line)),
	}
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
