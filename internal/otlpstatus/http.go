package otlpstatus

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// plainToTLS is what net/http's server answers to plain text where it wants TLS.
const plainToTLS = "Client sent an HTTP request to an HTTPS server."

// Response says what a response of HTTP means that accepts nothing. message is what
// its body says, of [Message].
func (b Backend) Response(resp *http.Response, message string, now time.Time) *delivery.ExportError {
	m := b.HTTP(resp.StatusCode)
	switch {
	case message == plainToTLS:
		m = refused // the batch is not to blame
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		message = fmt.Sprintf("it sends elsewhere, to %s, which is not followed: set endpoint to where the receiver is", locationOf(resp))
	}
	return &delivery.ExportError{
		Outcome: m.Outcome, Throttled: m.Throttled, RetryAfter: RetryAfter(resp, now),
		Err: &HTTPError{Code: resp.StatusCode, Status: StatusText(resp), Message: message},
	}
}

// WantsTLS reports whether the server says that it does.
func (e *HTTPError) WantsTLS() bool {
	return e.Code == http.StatusBadRequest && e.Message == plainToTLS
}

// locationOf is where a redirect leads, without what may be secret in it.
func locationOf(resp *http.Response) string {
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || u.String() == "" {
		return "nowhere"
	}
	return untrusted.Text((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), maxHeader)
}

// maxHeader is how much is shown of a status line, or of a header.
const maxHeader = 200

// StatusText is the status of a response for people.
func StatusText(resp *http.Response) string { return untrusted.Text(resp.Status, maxHeader) }

// Message is what a response says that accepts nothing, in one line: the message of a
// Status, or its text; "" for a page. mask takes out what others must not see, before
// anything is cut that it would know; it may be nil.
func Message(contentType string, body []byte, mask func(string) string) string {
	switch kindOf(contentType, body) {
	case protobuf:
		var s spb.Status
		if proto.Unmarshal(body, &s) != nil {
			return ""
		}
		body = []byte(s.GetMessage())
	case page:
		return ""
	default:
	}
	shown := string(body[:min(len(body), untrusted.Line)])
	if len(shown)-len(strings.ToValidUTF8(shown, "")) >= utf8.UTFMax { // less is a letter that was cut
		return fmt.Sprintf("a response of %d bytes that is no text", len(body))
	}
	text := string(body)
	if mask != nil {
		text = mask(text)
	}
	return untrusted.Text(text, untrusted.Line)
}

// kind is what a body is.
type kind int

const (
	unknown kind = iota
	protobuf
	jsonText
	page
)

// kindOf goes by the content type and, where that says little, by the body: some
// receivers leave the type out, and so does a page that a proxy made.
func kindOf(contentType string, body []byte) kind {
	media, _, _ := mime.ParseMediaType(contentType)
	switch media {
	case "application/x-protobuf", "application/protobuf":
		return protobuf
	case "text/html", "application/xhtml+xml":
		return page
	case "application/json":
		return jsonText
	}
	switch {
	case strings.HasPrefix(http.DetectContentType(body), "text/html"):
		return page
	case strings.HasPrefix(strings.TrimSpace(string(body[:min(len(body), 64)])), "{"):
		return jsonText
	default:
		return unknown
	}
}
