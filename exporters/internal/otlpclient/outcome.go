package otlpclient

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/otlpstatus"
)

// HTTPError says what a response means that accepts nothing. message is what
// its body says.
func HTTPError(resp *http.Response, message string, now time.Time) *delivery.ExportError {
	err := errors.New(resp.Status)
	if message != "" {
		err = fmt.Errorf("%s: %s", resp.Status, message)
	}
	f := &delivery.ExportError{Outcome: delivery.Refused, RetryAfter: retryAfter(resp.Header.Get("Retry-After"), now), Err: err}
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		f.Outcome, f.Throttled = delivery.Retry, code == http.StatusTooManyRequests
	case code == http.StatusBadGateway, code == http.StatusGatewayTimeout:
		f.Outcome = delivery.Retry
	case code == http.StatusRequestEntityTooLarge, code == http.StatusBadRequest && otlpstatus.AboutSize(message):
		f.Outcome = delivery.TooLarge
	case code >= 300 && code < 400:
		f.Err = fmt.Errorf("%s: it sends elsewhere, to %s, which is not followed: set endpoint to where the receiver is",
			resp.Status, locationOf(resp))
	}
	return f
}

// locationOf is where a redirect leads, without what may be secret in it.
func locationOf(resp *http.Response) string {
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || u.String() == "" {
		return "nowhere"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// retryAfter reads seconds or a date; 0 if there is neither.
func retryAfter(s string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(strings.TrimSpace(s), 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(s); err == nil {
		return max(date.Sub(now), 0)
	}
	return 0
}

// sdkError says what an error of one of the SDK's exporters means. They tell
// it in types for gRPC, and in text for HTTP.
func sdkError(err error) error {
	if _, ok := status.FromError(err); ok {
		return otlpstatus.Error(err)
	}
	text := err.Error()
	for _, code := range []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
		if strings.Contains(text, strconv.Itoa(code)+" "+http.StatusText(code)) {
			return &delivery.ExportError{Outcome: delivery.Retry, Err: err}
		}
	}
	if strings.Contains(text, strconv.Itoa(http.StatusRequestEntityTooLarge)+" ") {
		return &delivery.ExportError{Outcome: delivery.TooLarge, Err: err}
	}
	return err
}
