package otlpclient

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/delivery"
)

// GRPCError says what an error of a gRPC call means.
// Source: https://opentelemetry.io/docs/specs/otlp/#failures
func GRPCError(err error) *delivery.ExportError {
	f := &delivery.ExportError{Verdict: delivery.Refused, Err: err}
	s := status.Convert(err)
	after, asked := retryInfo(s)
	switch s.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		f.Verdict, f.After = delivery.Retry, after
	case codes.ResourceExhausted:
		switch {
		case isAboutSize(s.Message()):
			f.Verdict = delivery.TooLarge
		case asked: // without it, the backend will not recover by itself
			f.Verdict, f.After, f.Throttled = delivery.Retry, after, true
		}
	case codes.InvalidArgument, codes.Unknown, codes.Internal:
		switch {
		case isAboutSize(s.Message()):
			f.Verdict = delivery.TooLarge
		case isBroken(s.Message()):
			f.Verdict = delivery.Retry
		}
	default:
	}
	return f
}

func retryInfo(s *status.Status) (after time.Duration, ok bool) {
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}

// isAboutSize recognizes an answer about the size of the request, from its
// text: there is no code for it in gRPC, and many HTTP servers answer 400.
func isAboutSize(message string) bool {
	message = strings.ToLower(message)
	for _, s := range []string{"larger than max", "too large", "message size", "exceeds the maximum size", "exceeds maximum"} {
		if strings.Contains(message, s) {
			return true
		}
	}
	return false
}

// isBroken recognizes a connection that broke while gRPC waited for an answer,
// from the text that gRPC makes of it.
func isBroken(message string) bool {
	for _, s := range []string{
		"stream terminated by RST_STREAM", "closed the stream without sending trailers", "unexpected EOF", "connection reset",
		"malformed header", "failed to decompress",
	} {
		if strings.Contains(message, s) {
			return true
		}
	}
	return false
}

// HTTPError says what an answer means that accepts nothing. message is what
// its body says.
func HTTPError(resp *http.Response, message string, now time.Time) *delivery.ExportError {
	err := errors.New(resp.Status)
	if message != "" {
		err = fmt.Errorf("%s: %s", resp.Status, message)
	}
	f := &delivery.ExportError{Verdict: delivery.Refused, After: retryAfter(resp.Header.Get("Retry-After"), now), Err: err}
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		f.Verdict, f.Throttled = delivery.Retry, code == http.StatusTooManyRequests
	case code == http.StatusBadGateway, code == http.StatusGatewayTimeout:
		f.Verdict = delivery.Retry
	case code == http.StatusRequestEntityTooLarge, code == http.StatusBadRequest && isAboutSize(message):
		f.Verdict = delivery.TooLarge
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
		return GRPCError(err)
	}
	text := err.Error()
	for _, code := range []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
		if strings.Contains(text, strconv.Itoa(code)+" "+http.StatusText(code)) {
			return &delivery.ExportError{Verdict: delivery.Retry, Err: err}
		}
	}
	if strings.Contains(text, strconv.Itoa(http.StatusRequestEntityTooLarge)+" ") {
		return &delivery.ExportError{Verdict: delivery.TooLarge, Err: err}
	}
	return err
}
