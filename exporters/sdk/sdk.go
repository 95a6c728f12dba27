// Package sdk makes the OTLP exporters of the OpenTelemetry SDK available in
// configurations, with all of their options that are no values of Go. Those who just
// want to send OTLP take the exporter "otlp".
package sdk

import (
	"errors"
	"fmt"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/internal/otlpclient"
)

func init() {
	component.Exporters.MustAdd(GRPC)
	component.Exporters.MustAdd(HTTP)
}

// TLS says whom to trust, and who one is.
type TLS = otlpclient.TLS

// Retry is how the SDK repeats an export that failed for a reason that may
// pass.
type Retry struct {
	Enabled         bool               `yaml:"enabled" doc:"repeat at all"`
	InitialInterval component.Duration `yaml:"initial_interval" doc:"wait before the first repetition; it grows from there"`
	MaxInterval     component.Duration `yaml:"max_interval" doc:"longest wait"`
	MaxElapsedTime  component.Duration `yaml:"max_elapsed_time" doc:"give up after this time; 0 is never"`
}

// The SDK's defaults.
const (
	defaultMaxRequestSize  component.Size = 64 << 20
	defaultMaxResponseSize component.Size = 4 << 20
)

var defaultRetry = Retry{
	Enabled:         true,
	InitialInterval: component.Duration(5 * time.Second),
	MaxInterval:     component.Duration(30 * time.Second),
	MaxElapsedTime:  component.Duration(time.Minute),
}

func (r Retry) validate() error {
	var errs []error
	for _, f := range []struct {
		key      string
		value    component.Duration
		positive bool
	}{
		{"initial_interval", r.InitialInterval, r.Enabled},
		{"max_interval", r.MaxInterval, r.Enabled},
		{"max_elapsed_time", r.MaxElapsedTime, false},
	} {
		if f.value < 0 || (f.positive && f.value == 0) {
			errs = append(errs, &component.FieldError{Path: "retry." + f.key, Err: fmt.Errorf("%v is too short", f.value)})
		}
	}
	return errors.Join(errs...)
}

// sdkRetry has the fields of both exporters' RetryConfig.
type sdkRetry struct {
	Enabled                                      bool
	InitialInterval, MaxInterval, MaxElapsedTime time.Duration
}

func (r Retry) sdk() sdkRetry {
	return sdkRetry{
		Enabled:         r.Enabled,
		InitialInterval: time.Duration(r.InitialInterval),
		MaxInterval:     time.Duration(r.MaxInterval),
		MaxElapsedTime:  time.Duration(r.MaxElapsedTime),
	}
}
