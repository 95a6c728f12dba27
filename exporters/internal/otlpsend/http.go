package otlpsend

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/internal/otlpclient"
)

const (
	contentType = "application/x-protobuf"
	// maxResponse is how much of a response is read. One that says something fits.
	maxResponse = 64 << 10
	// maxForeignResponse is for responses that name each span.
	maxForeignResponse = 4 << 20
	// maxMessage is how much of what it says is shown.
	maxMessage = 1 << 10
)

type httpTransport struct {
	url    string
	host   string // of the header, if a user sets it
	header http.Header
	client http.Client
	base   *http.Transport

	accepted  func(*http.Response, []byte) (delivery.Response, error) // nil: it is OTLP
	authorize func(*http.Request, []byte) error
	classify  func(*http.Response, string, *delivery.ExportError)
}

func newHTTPTransport(r *otlpclient.Resolved, o Options) *httpTransport {
	t := &httpTransport{
		url:    r.URL(),
		header: make(http.Header),

		accepted:  o.Accepted,
		authorize: o.Authorize,
		classify:  o.Classify,

		base: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:     r.TLS,
			TLSHandshakeTimeout: 10 * time.Second,
			IdleConnTimeout:     90 * time.Second,
			MaxIdleConnsPerHost: 64, // as many as there may be senders
			ForceAttemptHTTP2:   !o.HTTP1,
			HTTP2:               &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
			// Responses are small. What is small and grows is not a response.
			DisableCompression: true,
		},
	}
	if o.HTTP1 {
		t.base.Protocols = new(http.Protocols)
		t.base.Protocols.SetHTTP1(true)
	}
	t.client = http.Client{
		Transport: t.base,
		// Headers, which may be secret, are for the one they were given for.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.header.Set("User-Agent", userAgent())
	for key, value := range r.Headers {
		if strings.EqualFold(key, "Host") {
			t.host = value
			continue
		}
		t.header.Set(key, value)
	}
	t.header.Set("Content-Type", cmp.Or(o.ContentType, contentType))
	t.header.Del("Content-Encoding")
	if r.Compression != delivery.None {
		t.header.Set("Content-Encoding", string(r.Compression))
	}
	return t
}

func (t *httpTransport) send(ctx context.Context, body []byte) (delivery.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return delivery.Response{}, err
	}
	req.Header, req.Host = t.header.Clone(), cmp.Or(t.host, req.Host)
	if t.authorize != nil {
		if err := t.authorize(req, body); err != nil {
			return delivery.Response{}, &delivery.ExportError{Outcome: delivery.Retry, Err: err}
		}
	}
	// The same spans twice do no harm: a request that meets a connection about
	// to close may be repeated. A key without a value is not sent.
	req.Header["Idempotency-Key"] = []string{}
	resp, err := t.client.Do(req)
	if err != nil {
		return delivery.Response{}, &delivery.ExportError{Outcome: delivery.Retry, Err: err}
	}
	defer resp.Body.Close()
	// What is read of a response does not change whether it accepts.
	limit := int64(maxResponse)
	if t.accepted != nil {
		limit = maxForeignResponse
	}
	read, _ := io.ReadAll(io.LimitReader(resp.Body, limit))
	resp.Body = io.NopCloser(bytes.NewReader(read))
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode/100 != 2:
		message := otlpclient.Mask(messageOf(kind, read), req.Header)
		f := otlpclient.HTTPError(resp, message, time.Now())
		if t.classify != nil {
			t.classify(resp, message, f)
		}
		return delivery.Response{}, f
	case kind == "text/html":
		return delivery.Response{}, &delivery.ExportError{Outcome: delivery.Refused, Err: &otlpclient.WebPageError{Status: resp.Status}}
	case t.accepted != nil:
		return t.accepted(resp, read)
	case kind == contentType:
		return readResponse(read, req.Header), nil
	default:
		return delivery.Response{}, nil
	}
}

// messageOf is what a response says that accepts nothing.
func messageOf(kind string, body []byte) string {
	switch kind {
	case contentType:
		var s spb.Status
		if proto.Unmarshal(body, &s) != nil {
			return ""
		}
		body = []byte(s.GetMessage())
	case "text/html":
		return ""
	}
	s := string(body[:min(len(body), maxMessage)])
	if !utf8.ValidString(s) {
		return fmt.Sprintf("a response of %d bytes that is no text", len(body))
	}
	return strings.Join(strings.Fields(s), " ")
}

func (t *httpTransport) close() error {
	t.base.CloseIdleConnections()
	return nil
}
