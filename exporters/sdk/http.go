package sdk

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/internal/sdkotlp"
	"github.com/riffletrace/riffle/internal/otlpclient"
)

// The values of encoding.
const (
	Protobuf = "protobuf"
	JSON     = "json"
)

// HTTPConfig is what users set of otlptracehttp. What it leaves out is taken
// from OTEL_EXPORTER_OTLP_* before it is a default.
type HTTPConfig struct {
	_               struct{}                    `doc:"the OpenTelemetry SDK's exporter for OTLP over HTTP"`
	Endpoint        string                      `yaml:"endpoint" doc:"host:port, or a URL, whose path is a base that /v1/traces is added to; default localhost:4318"`
	URLPath         string                      `yaml:"url_path" doc:"path to post to, if not /v1/traces"`
	Insecure        *bool                       `yaml:"insecure" doc:"true for plaintext, false for TLS; default: what the URL says, else plaintext on loopback and TLS anywhere else"`
	Headers         map[string]component.Secret `yaml:"headers" doc:"headers of each request, such as an API key"`
	Encoding        string                      `yaml:"encoding" enum:"protobuf,json" doc:"protobuf or json"`
	Compression     string                      `yaml:"compression" enum:"none,gzip" doc:"none or gzip; default none"`
	Timeout         component.Duration          `yaml:"timeout" doc:"longest time for one request; default 10s"`
	TLS             TLS                         `yaml:"tls" doc:"certificates"`
	Proxy           component.Secret            `yaml:"proxy" doc:"URL of a proxy; default: what HTTP_PROXY, HTTPS_PROXY and NO_PROXY say"`
	Retry           Retry                       `yaml:"retry" doc:"how the SDK repeats an export that failed"`
	MaxRequestSize  component.Size              `yaml:"max_request_size" doc:"an export that is larger before compression is refused; 0 is no limit"`
	MaxResponseSize component.Size              `yaml:"max_response_size" doc:"largest response that refuses a batch; one that accepts does so whatever its size"`

	// NoEnvironment takes nothing from OTEL_EXPORTER_OTLP_*.
	NoEnvironment bool `yaml:"-"`
}

// IgnoreEnvironment implements [component.EnvironmentIgnorer].
func (c *HTTPConfig) IgnoreEnvironment() { c.NoEnvironment = true }

// Validate checks everything short of connecting, the TLS files too.
func (c *HTTPConfig) Validate() error {
	_, err := c.client().Resolve()
	_, proxyErr := c.proxy()
	errs := []error{err, proxyErr, c.Retry.validate()}
	if c.Encoding != "" && c.Encoding != Protobuf && c.Encoding != JSON {
		errs = append(errs, &component.FieldError{Path: "encoding", Err: fmt.Errorf("%q is not one of %s, %s", c.Encoding, Protobuf, JSON)})
	}
	return errors.Join(errs...)
}

// IgnoredVariables tells what is ignored of OTEL_EXPORTER_OTLP_*.
func (c *HTTPConfig) IgnoredVariables() []*component.FieldError { return c.client().IgnoredVariables() }

// TakenVariables tells what is taken of OTEL_EXPORTER_OTLP_*.
func (c *HTTPConfig) TakenVariables() []component.TakenVariable { return c.client().TakenVariables() }

// Warn finds ports and paths of other protocols.
func (c *HTTPConfig) Warn() error {
	resolved, err := c.client().Resolve()
	if err != nil {
		return err
	}
	return resolved.Warn()
}

// Connection says where it sends.
func (c *HTTPConfig) Connection() component.Connection {
	resolved, err := c.client().Resolve()
	if err != nil {
		return component.Connection{}
	}
	return resolved.Connection()
}

func (c *HTTPConfig) client() otlpclient.Config {
	return otlpclient.Config{
		Protocol:    otlpclient.HTTP,
		Endpoint:    c.Endpoint,
		URLPath:     c.URLPath,
		Insecure:    c.Insecure,
		Headers:     c.Headers,
		Compression: delivery.Compression(c.Compression),
		Timeout:     c.Timeout,
		TLS:         c.TLS,
		NoEnv:       c.NoEnvironment,
	}
}

func (c *HTTPConfig) proxy() (*url.URL, error) {
	if c.Proxy == "" {
		return nil, nil //nolint:nilnil // none is set
	}
	u, err := url.Parse(string(c.Proxy))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5") {
		// Not shown: there may be a password in it.
		return nil, &component.FieldError{Path: "proxy", Err: errors.New("not a URL such as http://proxy:3128")}
	}
	return u, nil
}

// HTTP makes the exporter; it is registered as "otlptracehttp".
var HTTP = component.NewFactory("otlptracehttp", HTTPConfig{
	Encoding:        Protobuf,
	Retry:           defaultRetry,
	MaxRequestSize:  defaultMaxRequestSize,
	MaxResponseSize: defaultMaxResponseSize,
}, NewHTTP)

// NewHTTP builds the exporter. It connects when there is something to send.
func NewHTTP(ctx context.Context, s component.Settings, c HTTPConfig) (sdktrace.SpanExporter, error) {
	client, err := c.client().Resolve()
	if err != nil {
		return nil, err
	}
	proxy, err := c.proxy()
	if err != nil {
		return nil, err
	}
	encoding := otlptracehttp.EncodingProtobuf
	if c.Encoding == JSON {
		encoding = otlptracehttp.EncodingJSON
	}
	return sdkotlp.HTTP(ctx, s.Logger, client, proxy,
		otlptracehttp.WithEncoding(encoding),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig(c.Retry.sdk())),
		otlptracehttp.WithMaxRequestSize(int(c.MaxRequestSize)),
		otlptracehttp.WithMaxResponseSize(int64(c.MaxResponseSize)),
	)
}

// Interface guard.
var _ component.VariableReader = (*HTTPConfig)(nil)
