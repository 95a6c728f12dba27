// Package sdkotlp builds the SDK's own OTLP exporters for a configuration that is
// resolved. They read the environment too, so that each of its variables is
// overruled by an option here.
package sdkotlp

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/network"
	"github.com/riffletrace/riffle/internal/otlpclient"
)

// GRPC builds otlptracegrpc.
func GRPC(ctx context.Context, logger *slog.Logger, r *otlpclient.Resolved, more ...otlptracegrpc.Option) (sdktrace.SpanExporter, error) {
	creds := insecure.NewCredentials()
	if r.TLS != nil {
		creds = credentials.NewTLS(r.TLS)
	}
	compressor := encoding.Identity
	if r.Compression == delivery.Gzip {
		compressor = gzip.Name
	}
	opts := append([]otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(r.Target()),
		otlptracegrpc.WithTLSCredentials(creds),
		otlptracegrpc.WithHeaders(r.Headers),
		otlptracegrpc.WithTimeout(r.Timeout),
		otlptracegrpc.WithDialOption(append([]grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.UseCompressor(compressor)),
			grpc.WithChainUnaryInterceptor(noteCall),
		}, network.GRPC()...)...),
	}, more...)
	e, err := otlptracegrpc.New(ctx, opts...)
	if err != nil {
		return nil, err
	}
	return &exporter{SpanExporter: e, resolved: r, logger: logger}, nil
}

// HTTP builds otlptracehttp. A nil proxy is what HTTPS_PROXY and its like say.
func HTTP(ctx context.Context, logger *slog.Logger, r *otlpclient.Resolved, proxy *url.URL, more ...otlptracehttp.Option) (sdktrace.SpanExporter, error) {
	// Not the SDK's transport: it is shared, and keeps its connections open
	// after Shutdown.
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&network.Dialer{Timeout: r.ConnectTimeout()}).DialContext,
		TLSClientConfig:     r.TLS,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	if proxy != nil {
		transport.Proxy = http.ProxyURL(proxy)
	}
	target, err := url.Parse(r.URL())
	if err != nil {
		return nil, err
	}
	compression := otlptracehttp.NoCompression
	if r.Compression == delivery.Gzip {
		compression = otlptracehttp.GzipCompression
	}
	opts := append([]otlptracehttp.Option{
		otlptracehttp.WithEndpointURL(r.URL()),
		otlptracehttp.WithTLSClientConfig(nil), // the transport has it
		otlptracehttp.WithHeaders(r.Headers),
		otlptracehttp.WithTimeout(r.Timeout),
		otlptracehttp.WithCompression(compression),
		otlptracehttp.WithEncoding(otlptracehttp.EncodingProtobuf),
		otlptracehttp.WithHTTPClient(&http.Client{
			Transport: &noted{network.HTTP{Transport: transport}, target, r},
			Timeout:   r.Timeout,
			// The SDK's own client would follow.
			CheckRedirect: network.NoRedirect,
		}),
	}, more...)
	e, err := otlptracehttp.New(ctx, opts...)
	if err != nil {
		return nil, err
	}
	return httpExporter{&exporter{SpanExporter: e, resolved: r, logger: logger}, transport}, nil
}

// httpExporter closes its connections on Shutdown.
type httpExporter struct {
	*exporter
	transport *http.Transport
}

func (e httpExporter) Shutdown(ctx context.Context) error {
	err := e.exporter.Shutdown(ctx)
	e.transport.CloseIdleConnections()
	return err
}
