// Package otlpstatus says what the status of a gRPC call that carries OTLP means
// for the batch in it, and the other way round: which status to answer with.
package otlpstatus

import (
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/riffletrace/riffle/core/delivery"
)

// Error says what an error of a gRPC call means.
// Source: https://opentelemetry.io/docs/specs/otlp/#failures
func Error(err error) *delivery.ExportError {
	f := &delivery.ExportError{Outcome: delivery.Refused, Err: err}
	s := status.Convert(err)
	after, asked := retryInfo(s)
	switch s.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		f.Outcome, f.RetryAfter = delivery.Retry, after
	case codes.ResourceExhausted:
		switch {
		case AboutSize(s.Message()):
			f.Outcome = delivery.TooLarge
		case asked: // without it, the backend will not recover by itself
			f.Outcome, f.RetryAfter, f.Throttled = delivery.Retry, after, true
		}
	case codes.InvalidArgument, codes.Unknown, codes.Internal:
		switch {
		case AboutSize(s.Message()):
			f.Outcome = delivery.TooLarge
		case isBroken(s.Message()):
			f.Outcome = delivery.Retry
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

// AboutSize recognizes a response about the size of the request, from its
// text: there is no code for it in gRPC, and many HTTP servers answer 400.
func AboutSize(message string) bool {
	message = strings.ToLower(message)
	for _, s := range []string{"larger than max", "too large", "message size", "exceeds the maximum size", "exceeds maximum"} {
		if strings.Contains(message, s) {
			return true
		}
	}
	return false
}

// isBroken recognizes a connection that broke while gRPC waited for a response,
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

// Of returns the status that [Error] reads back as the same outcome.
func Of(err error) error {
	f := delivery.Classify(err)
	switch {
	case f.Outcome == delivery.TooLarge:
		return status.Error(codes.ResourceExhausted, "request too large: "+err.Error())
	case f.Outcome == delivery.Retry && f.Throttled:
		return withRetryInfo(codes.ResourceExhausted, err, f.RetryAfter)
	case f.Outcome == delivery.Retry && f.RetryAfter > 0:
		return withRetryInfo(codes.Unavailable, err, f.RetryAfter)
	case f.Outcome == delivery.Retry:
		return status.Error(codes.Unavailable, err.Error())
	default:
		// Of this code, unlike others, nobody reads the text.
		return status.Error(codes.FailedPrecondition, err.Error())
	}
}

func withRetryInfo(code codes.Code, err error, after time.Duration) error {
	s := status.New(code, err.Error())
	detailed, failed := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	if failed != nil {
		return s.Err()
	}
	return detailed.Err()
}
