package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
)

// identify finds out what speaks at an address that hangs up on the exporter's plain text,
// where the exporter can only guess.
func (p *probe) identify(ctx context.Context, r *Result) {
	ctx, cancel := context.WithTimeout(ctx, p.x.Timeout)
	defer cancel()
	address := p.target.address()
	switch {
	case speaksTLS(ctx, address):
		r.Found = address + " wants TLS"
		if _, do, ok := strings.Cut(r.Do, "if it wants TLS, "); ok {
			r.Do = do
		}
	case !p.target.http && speaksHTTP(ctx, address):
		r.Found = address + " speaks HTTP, not gRPC"
		r.Do = "use protocol http/protobuf, or the port for OTLP over gRPC (usually 4317)"
	case ctx.Err() == nil:
		r.Do += "; it answers neither TLS nor HTTP, so correct the port if it is another server's"
	}
}

// speaksTLS reports whether a server answers a handshake, even with a refusal.
func speaksTLS(ctx context.Context, address string) bool {
	d := tls.Dialer{Config: &tls.Config{
		NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // nothing is sent
	}}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err == nil {
		_ = conn.Close()
		return true
	}
	return strings.Contains(err.Error(), "remote error: tls: ")
}

// speaksHTTP reports whether a server answers a request in the way of HTTP/1.
func speaksHTTP(ctx context.Context, address string) bool {
	transport := &http.Transport{MaxResponseHeaderBytes: maxHeaders}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, fmt.Sprintf("http://%s/", address), http.NoBody)
	if err != nil {
		return false
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return true
}
