// Package otlp is the exporter that sends spans to anything that takes OTLP:
// a Collector, Jaeger, Tempo, or a vendor.
//
// It takes spans as OTLP bytes, encoded and compressed by the line in front of
// it, and makes one attempt to send them. What is to become of a batch that was
// not accepted is the line's to decide.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/exporters/internal/otlpclient"
)

// Protocol is how OTLP travels.
type Protocol = otlpclient.Protocol

// The protocols.
const (
	GRPC = otlpclient.GRPC
	HTTP = otlpclient.HTTP
)

// TLS says whom to trust, and who one is.
type TLS = otlpclient.TLS

// Config is what users set. What it leaves out is taken from
// OTEL_EXPORTER_OTLP_* before it is a default.
type Config struct {
	_           struct{}               `doc:"sends to anything that takes OTLP: a Collector, Jaeger, Tempo, a vendor"`
	Endpoint    string                 `yaml:"endpoint" doc:"host:port, or a URL, whose path is a base that /v1/traces is added to; default localhost:4317, for HTTP localhost:4318"`
	Insecure    *bool                  `yaml:"insecure" doc:"true for plaintext, false for TLS; default: what the URL says, else plaintext on loopback and TLS anywhere else"`
	Protocol    Protocol               `yaml:"protocol" doc:"grpc or http/protobuf; default grpc"`
	Headers     map[string]core.Secret `yaml:"headers" doc:"headers of each request, such as an API key"`
	Compression delivery.Compression   `yaml:"compression" doc:"none, gzip or zstd; default gzip for HTTP, none for gRPC"`
	Timeout     core.Duration          `yaml:"timeout" doc:"longest time for one attempt; default 10s"`
	TLS         TLS                    `yaml:"tls" doc:"certificates"`
}

// Validate checks everything short of connecting, the TLS files too.
func (c *Config) Validate() error {
	_, err := c.client()
	return err
}

func (c *Config) client() (*otlpclient.Client, error) {
	return otlpclient.Config{
		Protocol:    c.Protocol,
		Endpoint:    c.Endpoint,
		Insecure:    c.Insecure,
		Headers:     c.Headers,
		Compression: c.Compression,
		Timeout:     c.Timeout,
		TLS:         c.TLS,
		Native:      true,
	}.Resolve()
}

// Factory makes the exporter; it is registered as "otlp".
var Factory = core.NewFactory("otlp", Config{}, New)

func init() { core.Exporters.MustAdd(Factory) }

// New builds the exporter. It connects when there is something to send.
func New(_ context.Context, _ core.Settings, c Config) (core.Exporter, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	e := &exporter{client: client}
	if client.Protocol == HTTP {
		e.transport = newHTTPTransport(client)
	} else {
		e.transport = newGRPCTransport(client)
	}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	return e, nil
}

// transport makes attempts.
type transport interface {
	// send makes one attempt. Its errors are [delivery.ExportError]s where they say
	// more than that the network failed.
	send(ctx context.Context, body []byte) (delivery.Response, error)
	// close ends all goroutines. No attempt is under way then.
	close() error
}

type exporter struct {
	client    *otlpclient.Client
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
func (e *exporter) ExportRequest(ctx context.Context, r delivery.Request) (delivery.Response, error) {
	ctx, end, err := e.begin(ctx)
	if err != nil {
		return delivery.Response{}, err
	}
	defer end()
	ctx, cancel := context.WithTimeout(ctx, e.client.Timeout)
	defer cancel()
	resp, err := e.transport.send(ctx, r.Body)
	if err != nil {
		return resp, e.client.Fail(err, e.worked.Load())
	}
	e.worked.Store(true)
	return resp, nil
}

// ExportSpans makes one attempt with spans that are not encoded yet. What the
// backend rejects is an error.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(spans) == 0 {
		return nil
	}
	body := e.Compression().Compress(otlp.AppendRequest(nil, spans))
	resp, err := e.ExportRequest(ctx, delivery.Request{Body: body, Spans: len(spans)})
	if err == nil && resp.Rejected > 0 {
		err = fmt.Errorf("%s rejected %d of %d spans: %s", e.client.Address, resp.Rejected, len(spans), resp.Message)
	}
	return err
}

// Compression is how requests are compressed.
func (e *exporter) Compression() delivery.Compression { return e.client.Compression }

// Endpoint is where spans go.
func (e *exporter) Endpoint() string { return e.client.Endpoint() }

var errShutDown = errors.New("the exporter is shut down")

// begin makes an attempt count as under way until end.
func (e *exporter) begin(ctx context.Context) (_ context.Context, end func(), _ error) {
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
func (e *exporter) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { e.cancel(errShutDown) })
	defer stop()
	e.attempts.Wait()
	e.cancel(errShutDown)
	e.once.Do(func() { e.err = e.transport.close() })
	return e.err
}

// readResponse reads what an answer says that accepts a request. One that is no
// OTLP has accepted it all the same.
func readResponse(body []byte) delivery.Response {
	var msg coltracepb.ExportTraceServiceResponse
	if err := proto.Unmarshal(body, &msg); err != nil {
		return delivery.Response{}
	}
	partial := msg.GetPartialSuccess()
	return delivery.Response{Rejected: partial.GetRejectedSpans(), Message: partial.GetErrorMessage()}
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
	_ delivery.RequestExporter = (*exporter)(nil)
	_ core.Endpointer          = (*exporter)(nil)
)
