package delivery

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Exporter is an exporter that tells its line about itself. Any other
// [sdktrace.SpanExporter] has the zero [Traits].
type Exporter interface {
	sdktrace.SpanExporter

	// Traits is what the line must know. It is safe to call concurrently and says
	// the same at every call.
	Traits() Traits
}

// Traits is what a line must know of an [Exporter].
type Traits struct {
	// Endpoint is where it sends to, for people: "localhost:4317"; "" if it does
	// not say.
	Endpoint string
	// Limits is what the backend takes. The line sends nothing else: batches are
	// smaller where that helps, and spans that no request could carry are dropped
	// and counted, so that they do not cost the batch.
	Limits Limits
	// Compression is what the bodies of a [RequestExporter]'s requests are to be
	// compressed with; "" is none.
	Compression Compression
}

// RequestExporter is an exporter that takes spans as OTLP bytes. A line calls
// ExportRequest in place of ExportSpans.
type RequestExporter interface {
	Exporter

	// ExportRequest sends one request and returns the backend's response. It
	// returns promptly when ctx, which bounds the attempt, is done. It may be
	// called concurrently, also with Shutdown; after Shutdown it returns an
	// error. An error that is no [ExportError] is classified as [Line] says.
	ExportRequest(ctx context.Context, r Request) (Response, error)
}

// Request is an ExportTraceServiceRequest, encoded.
type Request struct {
	// Body is the message, compressed as the exporter asked for. It must not be
	// modified, because other exporters have the same. It may be kept.
	Body []byte
	// Spans is how many spans there are in it.
	Spans int
}

// Response is one that accepts a request, as a whole or but for some spans.
type Response struct {
	// Rejected counts spans of the request that the backend rejected. They are not
	// sent again.
	Rejected int64
	// Message is the backend's, about the rejected ones or as a warning.
	Message string
}

// Outcome is what an attempt that ended in an [ExportError] means for its batch.
type Outcome int

// The outcomes.
const (
	// Retry is for what is retryable: the batch is sent again. It is the zero value, so
	// that who says nothing of the outcome loses nothing.
	Retry Outcome = iota
	// Refused is for what is wrong with the sender or the request as such: credentials,
	// permissions, the path. The batch is dropped: sending it again would change nothing.
	Refused
	// Invalid is for what is wrong with something in the batch: it is sent again in
	// halves, until the spans are found that cannot be sent. These are dropped.
	Invalid
	// TooLarge batches are split in two; a single span is dropped.
	TooLarge
	outcomes // how many
)

// ExportError is an error of sending with what it means.
type ExportError struct {
	Outcome Outcome
	// RetryAfter is, with Retry, how long the backend asked to be left alone; 0 if it
	// did not say.
	RetryAfter time.Duration
	// Throttled tells, with Retry, that the backend is busy. The batch is not to
	// blame for it.
	Throttled bool
	// PartialSuccess, if not nil, is about a batch that the backend took in part.
	PartialSuccess *PartialSuccess
	// Err is what happened, told so that a person knows what to do. Not nil.
	Err error
}

// PartialSuccess tells the spans of a batch apart. Those that neither remain nor
// are rejected were taken.
type PartialSuccess struct {
	// Remaining are to be sent again, if the outcome is Retry, and lost otherwise.
	// The slice is the line's from then on.
	Remaining []sdktrace.ReadOnlySpan
	// Rejected counts spans that the backend rejected for good.
	Rejected int
}

// isBusy reports whether the backend asks for less.
func (f *ExportError) isBusy() bool { return f.Throttled || f.RetryAfter > 0 }

func (f *ExportError) Error() string { return f.Err.Error() }
func (f *ExportError) Unwrap() error { return f.Err }

// Classify tells what an error means. One that no exporter has made an ExportError
// is retryable if it is the network's or the deadline's.
func Classify(err error) *ExportError {
	if f := (*ExportError)(nil); errors.As(err, &f) {
		c := *f
		c.RetryAfter = max(c.RetryAfter, 0)
		if f.Err == nil {
			f.Err = errors.New("the exporter does not say why")
		}
		c.Err = err
		return &c
	}
	outcome := Refused
	if isRetryable(err) {
		outcome = Retry
	}
	return &ExportError{Outcome: outcome, Err: err}
}

func isRetryable(err error) bool {
	for _, target := range []error{
		context.DeadlineExceeded, context.Canceled, os.ErrDeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ETIMEDOUT,
		syscall.EHOSTUNREACH, syscall.ENETUNREACH,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	// Not net.Error alone, which any number of the operating system is.
	if e := net.Error(nil); errors.As(err, &e) && e.Timeout() {
		return true
	}
	return is[*net.OpError](err) || is[*net.DNSError](err) || is[*url.Error](err)
}

func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}
