// Package otlpsend is the exporter behind all those that send OTLP: it takes
// requests as bytes, encoded and compressed by the line in front of it, and
// makes one attempt to send them. What is to become of a batch that was not
// accepted is the line's to decide.
package otlpsend

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlpstatus"
)

// Options are what a backend wants besides OTLP. The zero value is nothing.
type Options struct {
	// Backend is whose responses they are.
	Backend otlpstatus.Backend
	// Limits are those of the backend.
	Limits delivery.Limits
	// HTTP1 is for servers that speak HTTP/1.1 and nothing else.
	HTTP1 bool
	// Authorize, for HTTP, makes each request one that the backend knows the
	// sender of. The request is its to change; body is what it carries. An error
	// is one of the attempt, which is retried.
	Authorize func(r *http.Request, body []byte) error
	// Classify, for HTTP, corrects what a refusal means, where the backend has its
	// own ways to say it besides the status. message is what it says, up to 1 KiB; the
	// body can be read again.
	Classify func(resp *http.Response, message string, f *delivery.ExportError)
	// ContentType and Accepted are for what is no OTLP, over HTTP: of requests, and
	// what reads a response that accepts one, of up to 4 MiB. If Accepted is nil, it
	// is OTLP.
	ContentType string
	Accepted    func(resp *http.Response, body []byte) (delivery.Response, error)
	// Dial, for gRPC, is added to what connections are made with.
	Dial []grpc.DialOption
	// Close is called when the exporter has shut down.
	Close func()
}

// New builds an exporter. It connects when there is something to send.
func New(r *otlpclient.Resolved, o Options) *Exporter {
	e := &Exporter{resolved: r, options: o}
	if r.Protocol == otlpclient.HTTP {
		e.transport = newHTTPTransport(r, o)
	} else {
		e.transport = newGRPCTransport(r, o)
	}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	return e
}

// transport makes attempts.
type transport interface {
	// send makes one attempt. Its errors are [delivery.ExportError]s where they say
	// more than that the network failed.
	send(ctx context.Context, body []byte) (delivery.Response, error)
	// close ends all goroutines. No attempt is under way then.
	close() error
}

// Exporter sends requests to one backend.
type Exporter struct {
	resolved  *otlpclient.Resolved
	options   Options
	transport transport
	worked    atomic.Bool // a backend has accepted something

	// ctx ends when a shutdown has no more time for attempts.
	ctx    context.Context //nolint:containedctx // it is the exporter's life, not a call's
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	closed   bool
	attempts sync.WaitGroup // under way
	once     sync.Once
	err      error
}

// ExportRequest makes one attempt.
func (e *Exporter) ExportRequest(ctx context.Context, r delivery.Request) (delivery.Response, error) {
	ctx, end, err := e.begin(ctx)
	if err != nil {
		return delivery.Response{}, err
	}
	defer end()
	ctx, cancel := context.WithTimeout(ctx, e.resolved.Timeout)
	defer cancel()
	resp, err := e.transport.send(ctx, r.Body)
	if err != nil {
		return resp, e.resolved.Fail(err, e.worked.Load())
	}
	e.worked.Store(true)
	return resp, nil
}

// ExportSpans makes one attempt with spans that are not encoded yet. What the
// backend rejects is an error with a [delivery.PartialSuccess].
func (e *Exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(spans) == 0 {
		return nil
	}
	body := e.resolved.Compression.Compress(otlp.AppendRequest(nil, spans))
	resp, err := e.ExportRequest(ctx, delivery.Request{Body: body, Spans: len(spans)})
	if err == nil && resp.Rejected > 0 {
		return e.resolved.Rejected(resp, len(spans))
	}
	return err
}

// Traits tell where spans go, and how.
func (e *Exporter) Traits() delivery.Traits {
	return delivery.Traits{Endpoint: e.resolved.Endpoint(), Limits: e.options.Limits, Compression: e.resolved.Compression}
}

var errShutDown = errors.New("the exporter is shut down")

// begin makes an attempt count as under way until end.
func (e *Exporter) begin(ctx context.Context) (_ context.Context, end func(), _ error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, nil, errShutDown
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(e.ctx, func() { cancel(errShutDown) })
	e.attempts.Add(1)
	return ctx, func() {
		stop()
		cancel(nil)
		e.attempts.Done()
	}, nil
}

// Shutdown waits for the attempts under way, cancels them when ctx is done, and
// closes the connections.
func (e *Exporter) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { e.cancel(errShutDown) })
	defer stop()
	e.attempts.Wait()
	e.cancel(errShutDown)
	e.once.Do(func() {
		e.err = e.transport.close()
		if e.options.Close != nil {
			e.options.Close()
		}
	})
	return e.err
}

// userAgent names riffle and, where a program was built with it as a module,
// its version.
func userAgent() string {
	const name, module = "riffle-otlp-exporter-go", "github.com/riffletrace/riffle"
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return name
	}
	for _, dep := range info.Deps {
		if dep.Path == module && dep.Version != "" && dep.Version != "(devel)" {
			return name + "/" + dep.Version
		}
	}
	return name
}

// Interface guards.
var (
	_ delivery.RequestExporter = (*Exporter)(nil)
)
