package network

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/riffletrace/riffle/internal/untrusted"
)

// No exporter follows a redirect: headers, bodies and tokens are for whom they were
// given to, and a redirect may lead to anybody, in plain text too. Every client of an
// exporter has one of [NoRedirect], [Direct] and [RefuseRedirect].

// NoRedirect is the CheckRedirect of a client for which the response that would
// redirect is to be the response.
func NoRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// ErrRedirect is about a response that leads elsewhere.
var ErrRedirect = errors.New("redirects are not followed")

// Direct makes an error of a redirect, for libraries that have none for it.
type Direct struct{ Transport http.RoundTripper }

// RoundTrip makes a request.
func (d Direct) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.Transport.RoundTrip(r)
	if err != nil || resp.StatusCode < 300 || resp.StatusCode >= 400 || resp.Header.Get("Location") == "" {
		return resp, err
	}
	_ = resp.Body.Close()
	return nil, refused(resp)
}

func refused(r *http.Response) error {
	return fmt.Errorf("%s leads elsewhere, to %s: %w", untrusted.Text(r.Status, maxStatus), Location(r), ErrRedirect)
}

// RefuseRedirect is for libraries that make their client themselves: as the Proxy of
// their transport it fails requests that a redirect has made, before anybody is
// connected to.
func RefuseRedirect(next func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(r *http.Request) (*url.URL, error) {
		if r.Response != nil {
			return nil, refused(r.Response)
		}
		if next == nil {
			return nil, nil //nolint:nilnil // there is no proxy
		}
		return next(r)
	}
}

// What is shown of a redirect is bounded.
const (
	maxStatus   = 64
	maxLocation = 256
)

// Location is where a redirect leads, without what may be secret in it.
func Location(r *http.Response) string {
	u, err := url.Parse(r.Header.Get("Location"))
	if err != nil || u.String() == "" {
		return "nowhere"
	}
	return untrusted.Text((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), maxLocation)
}
