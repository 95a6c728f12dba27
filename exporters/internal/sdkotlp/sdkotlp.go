// Package sdkotlp builds the SDK's own OTLP exporters for a configuration that is
// resolved. They read the environment too, so that each of its variables is
// overruled by an option here.
package sdkotlp

import (
	"context"
	"errors"
	"mime"
	"net"
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
	"github.com/riffletrace/riffle/exporters/internal/otlpclient"
)

// GRPC builds otlptracegrpc.
func GRPC(ctx context.Context, r *otlpclient.Resolved, more ...otlptracegrpc.Option) (sdktrace.SpanExporter, error) {
	creds := insecure.NewCredentials()
	if r.TLS != nil {
		creds = credentials.NewTLS(r.TLS)
	}
	compressor := encoding.Identity
	if r.Compression == delivery.Gzip {
		compressor = gzip.Name
	}
	opts := append([]otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(r.Address),
		otlptracegrpc.WithTLSCredentials(creds),
		otlptracegrpc.WithHeaders(r.Headers),
		otlptracegrpc.WithTimeout(r.Timeout),
		otlptracegrpc.WithDialOption(grpc.WithDefaultCallOptions(grpc.UseCompressor(compressor))),
	}, more...)
	e, err := otlptracegrpc.New(ctx, opts...)
	if err != nil {
		return nil, err
	}
	return r.Exporter(e), nil
}

// HTTP builds otlptracehttp. A nil proxy is what HTTPS_PROXY and its like say.
func HTTP(ctx context.Context, r *otlpclient.Resolved, proxy *url.URL, more ...otlptracehttp.Option) (sdktrace.SpanExporter, error) {
	// Not the SDK's transport: it is shared, and keeps its connections open
	// after Shutdown.
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     r.TLS,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	if proxy != nil {
		transport.Proxy = http.ProxyURL(proxy)
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
			Transport: noWebPages{transport},
			Timeout:   r.Timeout,
		}),
	}, more...)
	e, err := otlptracehttp.New(ctx, opts...)
	if err != nil {
		return nil, err
	}
	return httpExporter{Exporter: r.Exporter(e), transport: transport}, nil
}

// httpExporter closes its connections on Shutdown.
type httpExporter struct {
	*otlpclient.Exporter
	transport *http.Transport
}

func (e httpExporter) Shutdown(ctx context.Context) error {
	err := e.Exporter.Shutdown(ctx)
	e.transport.CloseIdleConnections()
	return err
}

// noWebPages makes an error of a page for people: the SDK would take one with
// status 200 for success.
type noWebPages struct{ next http.RoundTripper }

func (t noWebPages) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/html" && resp.StatusCode < 300 {
		return nil, errors.Join(&otlpclient.WebPageError{Status: resp.Status}, resp.Body.Close())
	}
	return resp, nil
}
