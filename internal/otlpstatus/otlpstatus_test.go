package otlpstatus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/otlpstatus"
)

func sent(code codes.Code, message string) error {
	return &otlpstatus.GRPCError{Status: status.New(code, message)}
}

// asking is a status with RetryInfo.
func asking(code codes.Code, message string) error {
	s, err := status.New(code, message).WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(3 * time.Second)})
	if err != nil {
		panic(err)
	}
	return &otlpstatus.GRPCError{Status: s}
}

func TestGRPC(t *testing.T) {
	const after = 3 * time.Second
	large := "grpc: received message larger than max (5 vs. 4)"
	tests := []struct {
		name    string
		backend otlpstatus.Backend
		err     error
		want    delivery.ExportError
	}{
		{"content", 0, sent(codes.InvalidArgument, "bad span"), delivery.ExportError{Outcome: delivery.Invalid}},
		{"content with words about size", 0, sent(codes.InvalidArgument, "attribute count exceeds maximum"), delivery.ExportError{Outcome: delivery.Invalid}},
		{"credentials", 0, sent(codes.Unauthenticated, ""), delivery.ExportError{Outcome: delivery.Refused}},
		{"permission", 0, sent(codes.PermissionDenied, ""), delivery.ExportError{Outcome: delivery.Refused}},
		{"no traces", 0, sent(codes.Unimplemented, ""), delivery.ExportError{Outcome: delivery.Refused}},
		{"credentials of Google", otlpstatus.CloudTrace, sent(codes.Unauthenticated, ""), delivery.ExportError{}},
		{"content of Google", otlpstatus.CloudTrace, sent(codes.InvalidArgument, ""), delivery.ExportError{Outcome: delivery.Invalid}},
		{"away", 0, sent(codes.Unavailable, ""), delivery.ExportError{}},
		{"away for a time", 0, asking(codes.Unavailable, ""), delivery.ExportError{RetryAfter: after}},

		{"rate limit", 0, sent(codes.ResourceExhausted, "slow down"), delivery.ExportError{Throttled: true}},
		{"rate limit for a time", 0, asking(codes.ResourceExhausted, "slow down"), delivery.ExportError{Throttled: true, RetryAfter: after}},
		{"rate limit with words about size", 0, asking(codes.ResourceExhausted, "message size quota: too large, exceeds maximum"), delivery.ExportError{Throttled: true, RetryAfter: after}},
		{"rate limit with the words for size", 0, asking(codes.ResourceExhausted, large), delivery.ExportError{Throttled: true, RetryAfter: after}},
		{"rate limit that quotes them", 0, sent(codes.ResourceExhausted, "upstream: "+large), delivery.ExportError{Throttled: true}},
		{"rate limit by size", 0, sent(codes.ResourceExhausted, "ingestion rate exceeds maximum of 5 MB/s"), delivery.ExportError{Throttled: true}},

		{"size of grpc-go", 0, sent(codes.ResourceExhausted, large), delivery.ExportError{Outcome: delivery.TooLarge}},
		{"size of grpc-go, unpacked", 0, sent(codes.ResourceExhausted, "grpc: received message after decompression larger than max 4194304"), delivery.ExportError{Outcome: delivery.TooLarge}},
		{"size of grpc-go, unpacked before", 0, sent(codes.ResourceExhausted, "grpc: received message after decompression larger than max (5 vs. 4)"), delivery.ExportError{Outcome: delivery.TooLarge}},
		{"size of grpc-go, by a compressor of before", 0, sent(codes.ResourceExhausted, "grpc: message after decompression larger than max (5 vs. 4)"), delivery.ExportError{Outcome: delivery.TooLarge}},
		{"size of the core", 0, sent(codes.ResourceExhausted, "SERVER: Received message larger than max (5 vs. 4)"), delivery.ExportError{Outcome: delivery.TooLarge}},
		{"size of grpc-js", 0, sent(codes.ResourceExhausted, "Received message larger than max (5 vs 4)"), delivery.ExportError{Outcome: delivery.TooLarge}},
		{"size of grpc-java", 0, sent(codes.ResourceExhausted, "gRPC message exceeds maximum size 4194304: 8667657"), delivery.ExportError{Outcome: delivery.TooLarge}},
		{"size of grpc-java, unpacked", 0, sent(codes.ResourceExhausted, "Decompressed gRPC message exceeds maximum size 4194304"), delivery.ExportError{Outcome: delivery.TooLarge}},
		{"size of tonic", 0, sent(codes.OutOfRange, "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes"), delivery.ExportError{Outcome: delivery.TooLarge}},
		{"size with another code", 0, sent(codes.Internal, large), delivery.ExportError{Outcome: delivery.Refused}},
		{"size in an error of the SDK", 0, fmt.Errorf("traces export: %w", sent(codes.ResourceExhausted, large)), delivery.ExportError{Outcome: delivery.TooLarge}},

		{"broken", 0, status.Error(codes.Internal, "stream terminated by RST_STREAM with error code: NO_ERROR"), delivery.ExportError{}},
		{"a server's word for it", 0, sent(codes.Internal, "backend: connection reset by peer"), delivery.ExportError{Outcome: delivery.Refused}},
		{"no status", 0, errors.New("unexpected EOF"), delivery.ExportError{}},
		{"no status at all", 0, errors.New("?"), delivery.ExportError{Outcome: delivery.Refused}},
		{"time", 0, context.DeadlineExceeded, delivery.ExportError{}},

		{"page", 0, foreign(codes.Unknown, 200), delivery.ExportError{Outcome: delivery.Refused}},
		{"page of a proxy", 0, foreign(codes.Unavailable, 503), delivery.ExportError{}},
		{"page about size", 0, foreign(codes.Unknown, 413), delivery.ExportError{Outcome: delivery.TooLarge}},
		{"page about the request", 0, foreign(codes.Internal, 400), delivery.ExportError{Outcome: delivery.Refused}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.backend.Error(tt.err)
			if got.Outcome != tt.want.Outcome || got.Throttled != tt.want.Throttled || got.RetryAfter != tt.want.RetryAfter {
				t.Errorf("got %v, %v, %t", got.Outcome, got.RetryAfter, got.Throttled)
			}
			if !errors.Is(got, tt.err) {
				t.Error("the cause is lost")
			}
		})
	}
}

// foreign is what grpc-go makes of a response of HTTP.
func foreign(code codes.Code, statusCode int) error {
	return status.Errorf(code, "unexpected HTTP status code received from server: %d (%s); transport: received unexpected content-type %q\ndata: %q",
		statusCode, http.StatusText(statusCode), "text/html", "<html>unexpected EOF, connection reset</html>")
}

// What a plugin answers is read back by its host.
func TestOf(t *testing.T) {
	x := errors.New("x")
	for _, want := range []delivery.ExportError{
		{Outcome: delivery.Refused, Err: x},
		{Outcome: delivery.Refused, Err: errors.New("name too large, unexpected EOF")},
		{Outcome: delivery.Invalid, Err: errors.New("request too large: 5")},
		{Outcome: delivery.TooLarge, Err: errors.New("of\ntwo lines")},
		{Outcome: delivery.Retry, Err: x},
		{Outcome: delivery.Retry, RetryAfter: time.Second, Err: x},
		{Outcome: delivery.Retry, Throttled: true, Err: x},
		{Outcome: delivery.Retry, Throttled: true, RetryAfter: time.Second, Err: errors.New("request too large: 5")},
	} {
		got := otlpstatus.Error(otlpstatus.Of(&want))
		if got.Outcome != want.Outcome || got.Throttled != want.Throttled || got.RetryAfter != want.RetryAfter {
			t.Errorf("%+v is read back as %+v", want, got)
		}
	}
	for err, want := range map[error]delivery.Outcome{x: delivery.Refused, syscall.ECONNREFUSED: delivery.Retry, io.EOF: delivery.Retry} {
		if got := otlpstatus.Error(otlpstatus.Of(err)); got.Outcome != want {
			t.Errorf("%v is read back as %v", err, got.Outcome)
		}
	}
}

func TestHTTP(t *testing.T) {
	tests := []struct {
		code    int
		backend otlpstatus.Backend
		want    otlpstatus.Meaning
	}{
		{200, 0, otlpstatus.Meaning{Outcome: delivery.Refused}}, // a page
		{302, 0, otlpstatus.Meaning{Outcome: delivery.Refused}},
		{400, 0, otlpstatus.Meaning{Outcome: delivery.Invalid}},
		{401, 0, otlpstatus.Meaning{Outcome: delivery.Refused}},
		{403, 0, otlpstatus.Meaning{Outcome: delivery.Refused}},
		{404, 0, otlpstatus.Meaning{Outcome: delivery.Refused}},
		{405, 0, otlpstatus.Meaning{Outcome: delivery.Refused}},
		{408, 0, otlpstatus.Meaning{Outcome: delivery.Refused}},
		{413, 0, otlpstatus.Meaning{Outcome: delivery.TooLarge}},
		{415, 0, otlpstatus.Meaning{Outcome: delivery.Refused}},
		{422, 0, otlpstatus.Meaning{Outcome: delivery.Invalid}},
		{429, 0, otlpstatus.Meaning{Throttled: true}},
		{500, 0, otlpstatus.Meaning{Outcome: delivery.Refused}},
		{502, 0, otlpstatus.Meaning{}},
		{503, 0, otlpstatus.Meaning{}},
		{504, 0, otlpstatus.Meaning{}},

		{400, otlpstatus.XRay, otlpstatus.Meaning{Outcome: delivery.Invalid}},
		{403, otlpstatus.XRay, otlpstatus.Meaning{}},
		{404, otlpstatus.XRay, otlpstatus.Meaning{Outcome: delivery.Refused}},
		{408, otlpstatus.XRay, otlpstatus.Meaning{}},
		{500, otlpstatus.XRay, otlpstatus.Meaning{}},
		{402, otlpstatus.AzureMonitor, otlpstatus.Meaning{Throttled: true}},
		{408, otlpstatus.AzureMonitor, otlpstatus.Meaning{}},
		{439, otlpstatus.AzureMonitor, otlpstatus.Meaning{Throttled: true}},
		{501, otlpstatus.AzureMonitor, otlpstatus.Meaning{Outcome: delivery.Refused}},
	}
	for _, tt := range tests {
		if got := tt.backend.HTTP(tt.code); got != tt.want {
			t.Errorf("%d of %d means %+v, want %+v", tt.code, tt.backend, got, tt.want)
		}
	}
}

func TestResponse(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	tests := []struct {
		name    string
		code    int
		header  http.Header
		message string
		want    delivery.ExportError
		text    string
	}{
		{"seconds", 503, http.Header{"Retry-After": {"7"}}, "", delivery.ExportError{RetryAfter: 7 * time.Second}, "503 Service Unavailable"},
		{"date", 429, http.Header{"Retry-After": {now.Add(time.Minute).Format(http.TimeFormat)}}, "busy", delivery.ExportError{RetryAfter: time.Minute, Throttled: true}, "429 Too Many Requests: busy"},
		{"words about size", 400, nil, "http: request body too large", delivery.ExportError{Outcome: delivery.Invalid}, "400 Bad Request: http: request body too large"},
		{"TLS is wanted", 400, nil, "Client sent an HTTP request to an HTTPS server.", delivery.ExportError{Outcome: delivery.Refused}, "400 Bad Request: Client sent an HTTP request to an HTTPS server."},
		{
			"redirect", 302,
			http.Header{"Location": {"https://a/login?token=s3cret"}},
			"moved",
			delivery.ExportError{Outcome: delivery.Refused},
			"302 Found: it sends elsewhere, to https://a/login, which is not followed: set endpoint to where the receiver is",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := &http.Response{StatusCode: tt.code, Status: fmt.Sprint(tt.code, " ", http.StatusText(tt.code)), Header: tt.header}
			got := otlpstatus.OTLP.Response(resp, tt.message, now)
			if got.Outcome != tt.want.Outcome || got.RetryAfter != tt.want.RetryAfter || got.Throttled != tt.want.Throttled {
				t.Errorf("got %v, %v, %t", got.Outcome, got.RetryAfter, got.Throttled)
			}
			if got.Error() != tt.text {
				t.Errorf("got  %s\nwant %s", got, tt.text)
			}
		})
	}
}
