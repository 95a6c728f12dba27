package metrics

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/network"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlpstatus"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// exporter is one of the SDK's, whose failures are logged as riffle's are, in words that
// say what to do. The SDK tells causes in text, so what was answered is noted below it. It
// exports one thing at a time.
type exporter struct {
	sdkmetric.Exporter
	resolved  *otlpclient.Resolved
	outage    outage
	worked    bool
	answer    error           // to the last attempt; nil if there was none
	transport *http.Transport // of HTTP
}

// newExporter builds the SDK's exporter of a protocol. It reads variables too, and each of
// them is overruled by an option.
func newExporter(ctx context.Context, logger *slog.Logger, r *otlpclient.Resolved, v *reading) (_ *exporter, err error) {
	e := &exporter{resolved: r, outage: outage{logger: logger.With("endpoint", r.Endpoint())}}
	if r.Protocol == otlpclient.HTTP {
		e.Exporter, err = e.http(ctx, v)
	} else {
		e.Exporter, err = e.grpc(ctx, v)
	}
	return e, err
}

func (e *exporter) grpc(ctx context.Context, v *reading) (sdkmetric.Exporter, error) {
	r := e.resolved
	creds := insecure.NewCredentials()
	if r.TLS != nil {
		creds = credentials.NewTLS(r.TLS)
	}
	compressor := encoding.Identity
	if r.Compression == delivery.Gzip {
		compressor = gzip.Name
	}
	return otlpmetricgrpc.New(ctx,
		otlpmetricgrpc.WithEndpoint(r.Target()),
		otlpmetricgrpc.WithTLSCredentials(creds),
		otlpmetricgrpc.WithHeaders(r.Headers),
		otlpmetricgrpc.WithTimeout(r.Timeout),
		otlpmetricgrpc.WithTemporalitySelector(v.temporality.selector()),
		otlpmetricgrpc.WithAggregationSelector(v.aggregation),
		otlpmetricgrpc.WithDialOption(append([]grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.UseCompressor(compressor)),
			grpc.WithChainUnaryInterceptor(e.call),
		}, network.GRPC()...)...),
	)
}

// call is a [grpc.UnaryClientInterceptor].
func (e *exporter) call(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	if network.IsLargeResponse(err) {
		err = nil
	}
	e.answer = nil
	if err != nil {
		e.answer = otlpstatus.Error(err)
	}
	return err
}

func (e *exporter) http(ctx context.Context, v *reading) (sdkmetric.Exporter, error) {
	r := e.resolved
	e.transport = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&network.Dialer{Timeout: r.ConnectTimeout()}).DialContext,
		TLSClientConfig:     r.TLS,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	target, err := url.Parse(r.URL())
	if err != nil {
		return nil, err
	}
	compression := otlpmetrichttp.NoCompression
	if r.Compression == delivery.Gzip {
		compression = otlpmetrichttp.GzipCompression
	}
	return otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpointURL(r.URL()),
		otlpmetrichttp.WithTLSClientConfig(nil), // the transport has it
		otlpmetrichttp.WithHeaders(r.Headers),
		otlpmetrichttp.WithTimeout(r.Timeout),
		otlpmetrichttp.WithCompression(compression),
		otlpmetrichttp.WithTemporalitySelector(v.temporality.selector()),
		otlpmetrichttp.WithAggregationSelector(v.aggregation),
		otlpmetrichttp.WithHTTPClient(&http.Client{
			Transport:     &noted{network.HTTP{Transport: e.transport}, target, e},
			Timeout:       r.Timeout,
			CheckRedirect: network.NoRedirect,
		}),
	)
}

// noted is the transport of otlpmetrichttp.
type noted struct {
	next     http.RoundTripper
	url      *url.URL // the SDK has the path unescaped, and no query
	exporter *exporter
}

// RoundTrip makes an attempt.
func (t *noted) RoundTrip(r *http.Request) (*http.Response, error) {
	to := r.Clone(r.Context())
	to.URL = t.url
	resp, err := t.next.RoundTrip(to)
	t.exporter.answer = err
	if err == nil && resp.StatusCode/100 != 2 {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, otlpstatus.MaxResponse+1))
		_ = resp.Body.Close()
		resp.Body = http.NoBody // it is told in riffle's words
		message := otlpstatus.Message(resp.Header.Get("Content-Type"), body, t.exporter.resolved.Mask)
		t.exporter.answer = otlpstatus.OTLP.Response(resp, message, time.Now())
	}
	return resp, err
}

// Export sends metrics. What goes wrong is logged here, and returned by what flushes: the
// SDK would hand it to a handler that writes a line each time.
func (e *exporter) Export(ctx context.Context, metrics *metricdata.ResourceMetrics) error {
	bounded, cancel := context.WithTimeout(ctx, e.resolved.Timeout) // several requests too
	defer cancel()
	e.answer = nil
	makeValid(metrics)
	err := e.Exporter.Export(bounded, metrics)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return nil // Shutdown does, and exports once more, or tells that its time is over
	}
	if err == nil {
		e.worked = true
	} else {
		if e.answer != nil {
			err = e.answer
		}
		err = e.resolved.Fail(err, e.worked)
	}
	e.outage.note(err)
	return nil
}

// Shutdown closes the connections.
func (e *exporter) Shutdown(ctx context.Context) error {
	err := e.Exporter.Shutdown(ctx)
	if e.transport != nil {
		e.transport.CloseIdleConnections()
	}
	return err
}

// reminder is how often is told what goes on.
const reminder = time.Minute

// outage is what is told of exports that fail.
type outage struct {
	logger *slog.Logger

	mu     sync.Mutex
	err    error // of the last export
	told   time.Time
	failed int // since the last one that succeeded
}

// note logs the first failure, each change of its cause, a reminder each minute, and the
// recovery.
func (o *outage) note(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	last := o.err
	o.err = err
	switch now := time.Now(); {
	case err == nil && last == nil:
	case err == nil:
		o.logger.Info("metrics are exported again", "failed_exports", o.failed)
		o.failed = 0
	default:
		o.failed++
		if last == nil || last.Error() != err.Error() || now.Sub(o.told) >= reminder {
			o.told = now
			o.logger.Warn("metrics are not exported", "error", untrusted.Error(err, untrusted.Line), "failed_exports", o.failed)
		}
	}
}

// failure is why the last export came to nothing; nil if it did not.
func (o *outage) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
