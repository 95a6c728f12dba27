package otlpstatus

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/riffletrace/riffle/core/delivery"
)

// Error says what an error of a gRPC call means for OTLP.
func Error(err error) *delivery.ExportError { return OTLP.Error(err) }

// Error says what an error of a gRPC call means. Unless it is a [GRPCError], it may
// be the transport's.
func (b Backend) Error(err error) *delivery.ExportError {
	s := statusOf(err)
	after, asked := retryInfo(s)
	m := b.GRPC(s.Code())
	page, isHTTP := NotGRPC(err)
	switch {
	case isHTTP:
		if m = b.HTTP(page.Code); m == invalid {
			m = refused // it is about a request that it does not understand, whatever is in it
		}
	case !asked && isSize(s):
		m = tooLarge
	case m == refused && !answered(err) && isBroken(s):
		m = retry
	}
	f := &delivery.ExportError{Outcome: m.Outcome, Throttled: m.Throttled, Err: err}
	if m.Outcome == delivery.Retry {
		f.RetryAfter = after
	}
	return f
}

// statusOf is the status of an error as it was sent, where [status.Convert] makes the
// text of what wraps it a part of the message.
func statusOf(err error) *status.Status {
	var of interface{ GRPCStatus() *status.Status }
	if errors.As(err, &of) && of.GRPCStatus() != nil {
		return of.GRPCStatus()
	}
	return status.FromContextError(err)
}

// answered reports whether a server is known to have sent it.
func answered(err error) bool {
	var answer *GRPCError
	return errors.As(err, &answer)
}

func retryInfo(s *status.Status) (after time.Duration, ok bool) {
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return max(info.GetRetryDelay().AsDuration(), 0), true
		}
	}
	return 0, false
}

// sizes are the messages of servers about a request that is larger than they take.
// There is no code for it in gRPC, which uses the one for rate limits: these are
// whole messages of its implementations, and RetryInfo comes with none of them.
var sizes = map[codes.Code]*regexp.Regexp{
	codes.ResourceExhausted: regexp.MustCompile(`^(` + strings.Join([]string{
		// grpc-go, rpc_util.go, of this version and of older ones
		`grpc: received message larger than max( length allowed on current machine)? \(\d+ vs\. \d+\)`,
		`grpc: message after decompression larger than max \(\d+ vs\. \d+\)`,
		`grpc: received message after decompression larger than max \(\d+ vs\. \d+\)`,
		`grpc: received message after decompression larger than max \d+`,
		// gRPC's core (C++, Python, Ruby), src/core/ext/filters/message_size; grpc-js, with "vs"
		`(SERVER: )?Received message larger than max \(\d+ vs\.? \d+\)`,
		// grpc-java, MessageDeframer.java
		`gRPC message exceeds maximum size \d+: \d+`,
		`(Decompressed|Compressed) gRPC message exceeds maximum size \d+(: \d+ bytes read)?`,
		// Of, of this package
		`request too large: (?s:.*)`,
	}, "|") + `)$`),
	// tonic (Rust), codec/decode.rs
	codes.OutOfRange: regexp.MustCompile(`^Error, (decoded )?message length too large: found \d+ bytes, the limit is: \d+ bytes$`),
}

func isSize(s *status.Status) bool {
	re := sizes[s.Code()]
	return re != nil && re.MatchString(s.Message())
}

// isBroken recognizes a connection that broke while gRPC waited for a response,
// from the text that gRPC makes of it.
func isBroken(s *status.Status) bool {
	if s.Code() != codes.Unknown && s.Code() != codes.Internal {
		return false
	}
	for _, text := range []string{
		"stream terminated by RST_STREAM", "closed the stream without sending trailers", "unexpected EOF", "connection reset",
		"malformed header", "failed to decompress", "peer header list size exceeded limit",
	} {
		if strings.Contains(s.Message(), text) {
			return true
		}
	}
	return false
}

// foreign is what grpc-go makes of a response that is not gRPC's (http2_client.go,
// operateHeaders). The page that came with it follows in a line of its own.
var foreign = regexp.MustCompile(`^unexpected HTTP status code received from server: (\d{3}) \(([^)]*)\)`)

// NotGRPC returns the response of a server, or of a proxy in front of it, that does
// not speak gRPC.
func NotGRPC(err error) (resp *HTTPError, ok bool) {
	if answered(err) {
		return nil, false
	}
	m := foreign.FindStringSubmatch(statusOf(err).Message())
	if m == nil {
		return nil, false
	}
	code, _ := strconv.Atoi(m[1])
	return &HTTPError{Code: code, Status: strings.TrimSpace(m[1] + " " + m[2])}, true
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
	case f.Outcome == delivery.Invalid:
		return status.Error(codes.InvalidArgument, err.Error())
	default:
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
