// Package otlp is the exporter that sends spans to anything that takes OTLP:
// a Collector, Jaeger, Tempo, or a vendor.
package otlp

import (
	"context"
	"fmt"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/internal/otlpsend"
	"github.com/riffletrace/riffle/internal/otlpclient"
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
	_           struct{}                    `doc:"sends to anything that takes OTLP: a Collector, Jaeger, Tempo, a vendor"`
	Endpoint    string                      `yaml:"endpoint" doc:"host:port, or a URL, whose path is a base that /v1/traces is added to; default localhost:4317, for HTTP localhost:4318"`
	URLPath     string                      `yaml:"url_path" doc:"over HTTP, the path to post to, to the letter, if not /v1/traces"`
	Insecure    *bool                       `yaml:"insecure" doc:"true for plaintext, false for TLS; default: what the URL says, else plaintext on loopback and TLS anywhere else"`
	Protocol    Protocol                    `yaml:"protocol" doc:"grpc or http/protobuf; default grpc"`
	Headers     map[string]component.Secret `yaml:"headers" doc:"headers of each request, such as an API key"`
	Compression delivery.Compression        `yaml:"compression" doc:"none, gzip or zstd; default gzip for HTTP, none for gRPC"`
	Timeout     component.Duration          `yaml:"timeout" doc:"longest time for one attempt; default 10s"`
	TLS         TLS                         `yaml:"tls" doc:"certificates"`

	Preset  string           `yaml:"preset" enum:"axiom,datadog,dynatrace,elastic,grafana_cloud,honeycomb,newrelic,signoz,uptrace" doc:"a vendor, whose endpoint, protocol, header and limits it knows: axiom, datadog, dynatrace, elastic, grafana_cloud, honeycomb, newrelic, signoz or uptrace; nothing is then taken from OTEL_EXPORTER_OTLP_*"`
	Region  string           `yaml:"region" doc:"of a preset: axiom us-east-1, eu-central-1; datadog the site, such as datadoghq.eu; honeycomb us, eu; newrelic us, eu, gov; signoz us, eu, in; grafana_cloud such as prod-eu-west-0"`
	Account string           `yaml:"account" doc:"of a preset: dynatrace's environment ID, grafana_cloud's instance ID"`
	Dataset string           `yaml:"dataset" doc:"of a preset: axiom's, for traces"`
	Key     component.Secret `yaml:"key" doc:"of a preset: the API key or token; for uptrace the DSN"`

	// NoEnvironment takes nothing from OTEL_EXPORTER_OTLP_*.
	NoEnvironment bool `yaml:"-"`
}

// IgnoreEnvironment implements [component.EnvironmentIgnorer].
func (c *Config) IgnoreEnvironment() { c.NoEnvironment = true }

// Validate checks everything short of connecting, the TLS files too.
func (c *Config) Validate() error {
	_, _, err := c.resolve()
	return err
}

// IgnoredVariables tells what is ignored of OTEL_EXPORTER_OTLP_*.
func (c *Config) IgnoredVariables() []*component.FieldError {
	applied, _, err := c.applied()
	if err != nil {
		return nil
	}
	return applied.client().IgnoredVariables()
}

// TakenVariables tells what is taken of OTEL_EXPORTER_OTLP_*.
func (c *Config) TakenVariables() []component.TakenVariable {
	applied, _, err := c.applied()
	if err != nil {
		return nil
	}
	return applied.client().TakenVariables()
}

// Warn finds ports and paths of other protocols.
func (c *Config) Warn() error {
	if c.Preset != "" {
		return nil
	}
	resolved, _, err := c.resolve()
	if err != nil {
		return err
	}
	return resolved.Warn()
}

// WarnSampled is about the vendor's figures.
func (c *Config) WarnSampled() error {
	applied, _, err := c.applied()
	if err != nil {
		return err
	}
	p := presets[c.Preset]
	for name, value := range applied.Headers {
		if p.statistics != "" && strings.EqualFold(name, p.statistics) && strings.EqualFold(string(value), "true") {
			return &component.FieldError{Path: "preset", Err: fmt.Errorf("the header %[1]s makes %[2]s count the traces that it gets, and nothing says that it reads their weights: requests that were left out are missing in its figures, and where all errors are kept their share is too high; "+
				"write headers: {%[1]s: \"false\"}, and let span_metrics count every span", p.statistics, c.Preset)}
		}
	}
	return nil
}

// Connection says where it sends.
func (c *Config) Connection() component.Connection {
	resolved, _, err := c.resolve()
	if err != nil {
		return component.Connection{}
	}
	return resolved.Connection()
}

func (c Config) resolve() (*otlpclient.Resolved, delivery.Limits, error) {
	c, limits, err := c.applied()
	if err != nil {
		return nil, limits, err
	}
	resolved, err := c.client().Resolve()
	return resolved, limits, err
}

// client is what the configuration says of the connection, with what its preset knows.
func (c Config) client() otlpclient.Config {
	var keyAt string
	if c.Preset != "" {
		keyAt = "key"
	}
	return otlpclient.Config{
		Protocol:    c.Protocol,
		Endpoint:    c.Endpoint,
		URLPath:     c.URLPath,
		Insecure:    c.Insecure,
		Headers:     c.Headers,
		Compression: c.Compression,
		Timeout:     c.Timeout,
		TLS:         c.TLS,
		Native:      true,
		NoEnv:       c.Preset != "" || c.NoEnvironment,
		KeyAt:       keyAt,
	}
}

// Factory makes the exporter; it is registered as "otlp".
var Factory = component.NewFactory("otlp", Config{}, New)

func init() { component.Exporters.MustAdd(Factory) }

// New builds the exporter. It connects when there is something to send.
func New(_ context.Context, _ component.Settings, c Config) (sdktrace.SpanExporter, error) {
	resolved, limits, err := c.resolve()
	if err != nil {
		return nil, err
	}
	return otlpsend.New(resolved, otlpsend.Options{Limits: limits}), nil
}

// Interface guards.
var (
	_ component.Warner         = (*Config)(nil)
	_ component.SampleWarner   = (*Config)(nil)
	_ component.VariableReader = (*Config)(nil)
	_ component.Connected      = (*Config)(nil)
)
