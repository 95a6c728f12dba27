package otlpsend

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/network"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlpstatus"
)

const (
	contentType = "application/x-protobuf"
	// maxForeignResponse is for responses that name each span.
	maxForeignResponse = 4 << 20
)

type httpTransport struct {
	url    string
	host   string // of the header, if a user sets it
	header http.Header
	client http.Client
	base   *http.Transport

	backend   otlpstatus.Backend
	accepted  func(*http.Response, []byte) (delivery.Response, error) // nil: it is OTLP
	authorize func(*http.Request, []byte) error
	classify  func(*http.Response, string, *delivery.ExportError)
}

func newHTTPTransport(r *otlpclient.Resolved, o Options) *httpTransport {
	t := &httpTransport{
		url:    r.URL(),
		header: make(http.Header),

		backend:   o.Backend,
		accepted:  o.Accepted,
		authorize: o.Authorize,
		classify:  o.Classify,

		base: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&network.Dialer{Timeout: r.ConnectTimeout()}).DialContext,
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
		Transport:     network.HTTP{Transport: t.base},
		CheckRedirect: network.NoRedirect,
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
	resp, err := t.client.Do(req)
	if err != nil {
		return delivery.Response{}, &delivery.ExportError{Outcome: delivery.Retry, Err: err}
	}
	defer resp.Body.Close()
	// What is read of a response does not change whether it accepts.
	limit := int64(otlpstatus.MaxResponse + 1) // one more tells that it is longer
	if t.accepted != nil {
		limit = maxForeignResponse
	}
	read, _ := io.ReadAll(io.LimitReader(resp.Body, limit))
	resp.Body = io.NopCloser(bytes.NewReader(read))
	kind := resp.Header.Get("Content-Type")
	if resp.StatusCode/100 != 2 {
		message := otlpstatus.Message(kind, read, func(s string) string { return otlpclient.Mask(s, req.Header) })
		f := t.backend.Response(resp, message, time.Now())
		if t.classify != nil {
			t.classify(resp, message, f)
		}
		return delivery.Response{}, f
	}
	accepted, ok := otlpstatus.Accepted(kind, read)
	switch {
	case !ok:
		return delivery.Response{}, &delivery.ExportError{Outcome: delivery.Refused, Err: &otlpstatus.WebPageError{Status: otlpstatus.StatusText(resp)}}
	case t.accepted != nil:
		return t.accepted(resp, read)
	default:
		accepted.Message = otlpclient.Mask(accepted.Message, req.Header)
		return accepted, nil
	}
}

func (t *httpTransport) close() error {
	t.base.CloseIdleConnections()
	return nil
}
