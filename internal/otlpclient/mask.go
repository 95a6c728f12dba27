package otlpclient

import (
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/internal/untrusted"
)

// public are the headers that have no secret in them. Any other may: users and
// vendors call them as they like.
var public = []string{
	"Accept", "Accept-Encoding", "Content-Encoding", "Content-Length", "Content-Type", "Host", "User-Agent",
	"X-Amz-Content-Sha256", "X-Amz-Date",
}

const minSecret = 6 // a shorter one is part of too much else

// Mask takes what was sent in headers out of what a server says about it: some
// repeat what they were sent.
func Mask(message string, headers map[string][]string) string {
	for name, values := range headers {
		if message == "" || slices.Contains(public, textproto.CanonicalMIMEHeaderKey(name)) {
			continue
		}
		for _, value := range values {
			// Behind a scheme, the rest alone would do.
			_, rest, _ := strings.Cut(value, " ")
			for _, secret := range []string{value, rest} {
				if len(secret) >= minSecret {
					message = strings.ReplaceAll(message, secret, "***")
				}
			}
		}
	}
	return message
}

// Mask takes what is secret in the headers out of what a server says, and likewise
// the query of the URL.
func (r *Resolved) Mask(message string) string {
	headers := make(map[string][]string, len(r.Headers))
	for name, value := range r.Headers {
		headers[name] = []string{value}
	}
	if r.Query != "" {
		message = strings.ReplaceAll(message, "?"+r.Query, "")
	}
	return Mask(withoutProxy(message), headers)
}

// withoutProxy takes out who a proxy is asked as: net/http shows the whole of one that
// it cannot read.
func withoutProxy(message string) string {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		value := os.Getenv(name)
		if at := strings.LastIndex(value, "@"); at > 0 {
			user := value[:at]
			if i := strings.Index(user, "://"); i >= 0 {
				user = user[i+len("://"):]
			}
			_, password, _ := strings.Cut(user, ":")
			for _, secret := range []string{strings.Trim(strconv.Quote(value), `"`), value, user, password} {
				if len(secret) >= minSecret {
					message = strings.ReplaceAll(message, secret, "***")
				}
			}
		}
	}
	return message
}

// fit returns the error without what was secret in its text, and fit to be shown.
func (r *Resolved) fit(err error) error {
	was := err.Error()
	if text := untrusted.Text(r.Mask(was), untrusted.Line); text != was {
		return &Error{Message: text, Cause: err}
	}
	return err
}
