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
	// maxAnswer is how much of an answer is read. One that says something fits.
	maxAnswer = 64 << 10
	// maxOtherAnswer is for answers that speak of each span.
	maxOtherAnswer = 4 << 20
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
	judge     func(*http.Response, string, *delivery.ExportError)
}

func newHTTPTransport(c *otlpclient.Client, o Options) *httpTransport {
	t := &httpTransport{
		url:    c.URL(),
		header: make(http.Header),

		accepted:  o.Accepted,
		authorize: o.Authorize,
		judge:     o.Judge,

		base: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:     c.TLS,
			TLSHandshakeTimeout: 10 * time.Second,
			IdleConnTimeout:     90 * time.Second,
			MaxIdleConnsPerHost: 64, // as many as there may be senders
			ForceAttemptHTTP2:   !o.HTTP1,
			HTTP2:               &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
			// Answers are small. What is small and grows is not an answer.
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
	for key, value := range c.Headers {
		if strings.EqualFold(key, "Host") {
			t.host = value
			continue
		}
		t.header.Set(key, value)
	}
	t.header.Set("Content-Type", cmp.Or(o.ContentType, contentType))
	t.header.Del("Content-Encoding")
	if c.Compression != delivery.None {
		t.header.Set("Content-Encoding", string(c.Compression))
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
	// What is read of an answer does not change whether it accepts.
	limit := int64(maxAnswer)
	if t.accepted != nil {
		limit = maxOtherAnswer
	}
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, limit))
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode/100 != 2:
		message := otlpclient.Mask(messageOf(kind, answer), req.Header)
		f := otlpclient.HTTPError(resp, message, time.Now())
		if t.judge != nil {
			t.judge(resp, message, f)
		}
		return delivery.Response{}, f
	case kind == "text/html":
		return delivery.Response{}, &delivery.ExportError{Outcome: delivery.Refused, Err: &otlpclient.WebPageError{Status: resp.Status}}
	case t.accepted != nil:
		return t.accepted(resp, answer)
	case kind == contentType:
		return readResponse(answer, req.Header), nil
	default:
		return delivery.Response{}, nil
	}
}

// messageOf is what an answer says that accepts nothing.
func messageOf(kind string, answer []byte) string {
	switch kind {
	case contentType:
		var s spb.Status
		if proto.Unmarshal(answer, &s) != nil {
			return ""
		}
		answer = []byte(s.GetMessage())
	case "text/html":
		return ""
	}
	s := string(answer[:min(len(answer), maxMessage)])
	if !utf8.ValidString(s) {
		return fmt.Sprintf("an answer of %d bytes that is no text", len(answer))
	}
	return strings.Join(strings.Fields(s), " ")
}

func (t *httpTransport) close() error {
	t.base.CloseIdleConnections()
	return nil
}
