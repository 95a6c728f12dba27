package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/internal/sdkotlp"
	"github.com/riffletrace/riffle/internal/otlpclient"
)

// GRPCConfig is what users set of otlptracegrpc. What it leaves out is taken
// from OTEL_EXPORTER_OTLP_* before it is a default.
type GRPCConfig struct {
	_                  struct{}                    `doc:"the OpenTelemetry SDK's exporter for OTLP over gRPC"`
	Endpoint           string                      `yaml:"endpoint" doc:"host:port, or a URL, or unix:///path; default localhost:4317"`
	Insecure           *bool                       `yaml:"insecure" doc:"true for plaintext, false for TLS; default: what the URL says, else plaintext on loopback and TLS anywhere else"`
	Headers            map[string]component.Secret `yaml:"headers" doc:"metadata of each request, such as an API key"`
	Compression        string                      `yaml:"compression" enum:"none,gzip" doc:"none or gzip; default none"`
	Timeout            component.Duration          `yaml:"timeout" doc:"longest time for one export, retries included; default 10s"`
	TLS                TLS                         `yaml:"tls" doc:"certificates"`
	Retry              Retry                       `yaml:"retry" doc:"how the SDK repeats an export that failed"`
	MaxRequestSize     component.Size              `yaml:"max_request_size" doc:"an export that is larger before compression is refused; 0 is no limit"`
	ReconnectionPeriod component.Duration          `yaml:"reconnection_period" doc:"least time for one attempt to connect; 0 is gRPC's default"`
	ServiceConfig      string                      `yaml:"service_config" doc:"gRPC service config, as JSON"`

	// NoEnvironment takes nothing from OTEL_EXPORTER_OTLP_*.
	NoEnvironment bool `yaml:"-"`
}

// IgnoreEnvironment implements [component.EnvironmentIgnorer].
func (c *GRPCConfig) IgnoreEnvironment() { c.NoEnvironment = true }

// Validate checks everything short of connecting, the TLS files too.
func (c *GRPCConfig) Validate() error {
	_, err := c.client().Resolve()
	errs := []error{err, c.Retry.validate()}
	if c.ReconnectionPeriod < 0 {
		errs = append(errs, &component.FieldError{Path: "reconnection_period", Err: fmt.Errorf("%v is negative", c.ReconnectionPeriod)})
	}
	if c.ServiceConfig != "" && !json.Valid([]byte(c.ServiceConfig)) {
		errs = append(errs, &component.FieldError{Path: "service_config", Err: errors.New("not JSON")})
	}
	return errors.Join(errs...)
}

// IgnoredVariables tells what is ignored of OTEL_EXPORTER_OTLP_*.
func (c *GRPCConfig) IgnoredVariables() []*component.FieldError { return c.client().IgnoredVariables() }

// TakenVariables tells what is taken of OTEL_EXPORTER_OTLP_*.
func (c *GRPCConfig) TakenVariables() []component.TakenVariable { return c.client().TakenVariables() }

// Warn finds ports and paths of other protocols.
func (c *GRPCConfig) Warn() error {
	resolved, err := c.client().Resolve()
	if err != nil {
		return err
	}
	return resolved.Warn()
}

// Connection says where it sends.
func (c *GRPCConfig) Connection() component.Connection {
	resolved, err := c.client().Resolve()
	if err != nil {
		return component.Connection{}
	}
	return resolved.Connection()
}

func (c *GRPCConfig) client() otlpclient.Config {
	return otlpclient.Config{
		Protocol:    otlpclient.GRPC,
		Endpoint:    c.Endpoint,
		Insecure:    c.Insecure,
		Headers:     c.Headers,
		Compression: delivery.Compression(c.Compression),
		Timeout:     c.Timeout,
		TLS:         c.TLS,
		NoEnv:       c.NoEnvironment,
	}
}

// GRPC makes the exporter; it is registered as "otlptracegrpc".
var GRPC = component.NewFactory("otlptracegrpc", GRPCConfig{Retry: defaultRetry, MaxRequestSize: defaultMaxRequestSize}, NewGRPC)

// NewGRPC builds the exporter. It connects when there is something to send.
func NewGRPC(ctx context.Context, s component.Settings, c GRPCConfig) (sdktrace.SpanExporter, error) {
	client, err := c.client().Resolve()
	if err != nil {
		return nil, err
	}
	return sdkotlp.GRPC(ctx, s.Logger, client,
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig(c.Retry.sdk())),
		otlptracegrpc.WithMaxRequestSize(int(c.MaxRequestSize)),
		otlptracegrpc.WithReconnectionPeriod(time.Duration(c.ReconnectionPeriod)),
		otlptracegrpc.WithServiceConfig(c.ServiceConfig),
	)
}

// Interface guard.
var _ component.VariableReader = (*GRPCConfig)(nil)
