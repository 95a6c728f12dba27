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

	// ExportRequest sends one request and returns what the backend answered. It
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

// Response is an answer that accepts a request, as a whole or in part.
type Response struct {
	// Rejected counts spans that the backend took but refused. They are not
	// sent again.
	Rejected int64
	// Message is the backend's, about the rejected ones or as a warning.
	Message string
}

// Verdict is what an [ExportError] means for its batch.
type Verdict int

// The verdicts.
const (
	// Refused batches are dropped: sending them again would change nothing.
	Refused Verdict = iota
	// Retry is for what may pass: the batch is sent again.
	Retry
	// TooLarge batches are split in two; a single span is dropped.
	TooLarge
)

// ExportError is an error of sending with what it means.
type ExportError struct {
	Verdict Verdict
	// After is, with Retry, how long the backend asked to be left alone; 0 if it
	// did not say.
	After time.Duration
	// Throttled tells, with Retry, that the backend is busy. The batch is not to
	// blame for it.
	Throttled bool
	// Partial, if not nil, is about a batch that the backend took in part.
	Partial *Partial
	// Err is what happened, told so that a person knows what to do. Not nil.
	Err error
}

// Partial tells the spans of a batch apart. Those that are neither left nor
// rejected were taken.
type Partial struct {
	// Left are to be sent again, if the verdict is Retry, and lost otherwise. The
	// slice is the line's from then on.
	Left []sdktrace.ReadOnlySpan
	// Rejected counts spans that the backend refused for good.
	Rejected int
}

func (f *ExportError) Error() string { return f.Err.Error() }
func (f *ExportError) Unwrap() error { return f.Err }

// maxAfter is how long a backend can silence a line.
const maxAfter = 15 * time.Minute

// Classify tells what an error means. What no exporter has called an ExportError is
// worth another attempt if it is the network's or the deadline's.
func Classify(err error) *ExportError {
	if f := (*ExportError)(nil); errors.As(err, &f) {
		c := *f
		c.After = min(max(c.After, 0), maxAfter)
		c.Err = err
		return &c
	}
	verdict := Refused
	if isTransient(err) {
		verdict = Retry
	}
	return &ExportError{Verdict: verdict, Err: err}
}

func isTransient(err error) bool {
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
