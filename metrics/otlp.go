package metrics

import (
	"context"
	"errors"
	"fmt"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/metrics/bound"
)

// TLS says whom to trust, and who one is.
type TLS = otlpclient.TLS

// Temporality says what a sum counts from.
type Temporality string

// The temporalities.
const (
	Cumulative Temporality = "cumulative"
	Delta      Temporality = "delta"
	LowMemory  Temporality = "low_memory"
)

// ConfigSchema lists the values.
func (Temporality) ConfigSchema() component.Schema {
	return component.Enum(Cumulative, Delta, LowMemory)
}

func (t Temporality) check() error {
	switch t {
	case "", Cumulative, Delta, LowMemory:
		return nil
	}
	return fmt.Errorf("%s is not one of %s, %s, %s", component.Shown(string(t)), Cumulative, Delta, LowMemory)
}

// selector is that of the SDK.
func (t Temporality) selector() sdkmetric.TemporalitySelector {
	switch t {
	case Delta:
		return sdkmetric.DeltaTemporalitySelector
	case LowMemory:
		return sdkmetric.LowMemoryTemporalitySelector
	default:
		return sdkmetric.CumulativeTemporalitySelector
	}
}

// OTLPConfig is what users set of the exporter otlp. What it leaves out is taken from
// OTEL_EXPORTER_OTLP_METRICS_* and OTEL_EXPORTER_OTLP_*, and OTEL_METRIC_EXPORT_*, before
// it is a default.
type OTLPConfig struct {
	_           struct{}                    `doc:"OTLP, sent to a backend or a Collector at every interval"`
	Endpoint    string                      `yaml:"endpoint" doc:"host:port, or a URL, whose path is for HTTP a base that /v1/metrics is added to; default localhost:4317, or 4318 over HTTP"`
	Protocol    otlpclient.Protocol         `yaml:"protocol" doc:"grpc or http/protobuf; default grpc"`
	URLPath     string                      `yaml:"url_path" doc:"over HTTP: path to post to, if not /v1/metrics"`
	Insecure    *bool                       `yaml:"insecure" doc:"true for plaintext, false for TLS; default: what the URL says, else plaintext on loopback and TLS anywhere else"`
	Headers     map[string]component.Secret `yaml:"headers" doc:"headers of each request, such as an API key"`
	Compression delivery.Compression        `yaml:"compression" enum:"none,gzip" doc:"none or gzip; default none"`
	Timeout     component.Duration          `yaml:"timeout" doc:"longest time for one export, retries included; default 10s"`
	TLS         TLS                         `yaml:"tls" doc:"certificates"`
	Interval    component.Duration          `yaml:"interval" doc:"time between two exports; default 1m"`
	Temporality Temporality                 `yaml:"temporality" doc:"cumulative, delta, or low_memory: delta but for what is observed; default cumulative"`

	// NoEnvironment takes nothing from variables.
	NoEnvironment bool `yaml:"-"`
}

// IgnoreEnvironment implements [component.EnvironmentIgnorer].
func (c *OTLPConfig) IgnoreEnvironment() { c.NoEnvironment = true }

const (
	defaultInterval    = time.Minute
	defaultReadTimeout = 30 * time.Second
	minInterval        = 100 * time.Millisecond
)

// Validate checks everything short of connecting, the TLS files too.
func (c *OTLPConfig) Validate() error {
	_, err := c.client().Resolve()
	errs := []error{err}
	if c.Interval != 0 && c.Interval < component.Duration(minInterval) {
		errs = append(errs, &component.FieldError{Path: "interval", Err: fmt.Errorf("%v is too short: want %v or more", c.Interval, minInterval)})
	}
	if err := c.Temporality.check(); err != nil {
		errs = append(errs, &component.FieldError{Path: "temporality", Err: err})
	}
	return errors.Join(errs...)
}

// IgnoredVariables tells what is ignored of the variables.
func (c *OTLPConfig) IgnoredVariables() []*component.FieldError {
	return append(c.client().IgnoredVariables(), c.read().Warnings...)
}

// TakenVariables tells what is taken of the variables.
func (c *OTLPConfig) TakenVariables() []component.TakenVariable {
	return append(c.client().TakenVariables(), c.read().taken...)
}

// Warn finds ports and paths of other protocols.
func (c *OTLPConfig) Warn() error {
	resolved, err := c.client().Resolve()
	if err != nil {
		return err
	}
	return resolved.Warn()
}

// Connection says where it sends.
func (c *OTLPConfig) Connection() component.Connection {
	resolved, err := c.client().Resolve()
	if err != nil {
		return component.Connection{}
	}
	return resolved.Connection()
}

func (c *OTLPConfig) client() otlpclient.Config {
	return otlpclient.Config{
		Signal:      otlpclient.Metrics,
		Protocol:    c.Protocol,
		Endpoint:    c.Endpoint,
		URLPath:     c.URLPath,
		Insecure:    c.Insecure,
		Headers:     c.Headers,
		Compression: c.Compression,
		Timeout:     c.Timeout,
		TLS:         c.TLS,
		NoEnv:       c.NoEnvironment,
	}
}

// OTLP starts a MeterProvider that sends; it is registered as "otlp".
var OTLP = component.NewFactory("otlp", OTLPConfig{}, NewOTLP)

// NewOTLP starts it. It connects when there is something to send.
func NewOTLP(ctx context.Context, s component.Settings, c OTLPConfig) (component.MeterProvider, error) {
	resolved, err := c.client().Resolve()
	if err != nil {
		return nil, err
	}
	v := c.read()
	exporter, err := newExporter(ctx, s.Logger, resolved, v)
	if err != nil {
		return nil, err
	}
	opts := []sdkmetric.PeriodicReaderOption{sdkmetric.WithInterval(v.interval), sdkmetric.WithTimeout(v.timeout)}
	var producer *bound.Producer
	if !v.exponential && (v.temporality == "" || v.temporality == Cumulative) { // what is bound is no other
		producer = &bound.Producer{}
		opts = append(opts, sdkmetric.WithProducer(producer))
	}
	p := newProvider(s.Metrics, sdkmetric.NewPeriodicReader(exporter, opts...), producer)
	p.failure, p.apart = exporter.outage.failure, v.temporality == Delta || v.temporality == LowMemory
	return p, nil
}

func init() { component.MeterProviders.MustAdd(OTLP) }

// Interface guard.
var _ component.VariableReader = (*OTLPConfig)(nil)
