package metrics

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/internal/otelenv"
)

// The variables of OpenTelemetry that are not about the connection.
const (
	intervalVariable    = "OTEL_METRIC_EXPORT_INTERVAL"
	timeoutVariable     = "OTEL_METRIC_EXPORT_TIMEOUT"
	temporalityVariable = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
	aggregationVariable = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
)

// reading is how metrics are read, with what is taken of variables for it.
type reading struct {
	otelenv.Reader
	taken       []component.TakenVariable
	interval    time.Duration
	timeout     time.Duration // of one reading, with the export of what was read
	temporality Temporality
	exponential bool // histograms have exponential buckets, unless they are asked for others
}

// read fills what the configuration leaves open. Source:
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#periodic-exporting-metricreader
// and https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/otlp/
func (c *OTLPConfig) read() *reading {
	r := &reading{Reader: otelenv.Reader{Getenv: os.Getenv}, interval: time.Duration(c.Interval), temporality: c.Temporality}
	if c.NoEnvironment {
		r.Getenv = func(string) string { return "" }
	}
	if r.interval == 0 {
		r.Read(func(value string) (err error) {
			if r.interval, err = otelenv.Duration(value); err == nil && r.interval < minInterval {
				r.interval, err = 0, fmt.Errorf("%v is too short: want %d or more", r.interval, minInterval.Milliseconds())
			}
			return err
		}, intervalVariable)
		r.take("interval", intervalVariable, component.Duration(r.interval).String(), r.interval != 0)
	}
	r.Read(func(value string) (err error) {
		r.timeout, err = otelenv.Timeout(value)
		return err
	}, timeoutVariable)
	if r.temporality == "" {
		r.Read(func(value string) error {
			t := Temporality(strings.ToLower(value))
			if t == "lowmemory" { // which is its name there
				t = LowMemory
			}
			if err := t.check(); err != nil {
				return err
			}
			r.temporality = t
			return nil
		}, temporalityVariable)
		r.take("temporality", temporalityVariable, string(r.temporality), r.temporality != "")
	}
	r.Read(func(value string) error {
		const explicit, exponential = "explicit_bucket_histogram", "base2_exponential_bucket_histogram"
		switch {
		case strings.EqualFold(value, exponential):
			r.exponential = true
		case !strings.EqualFold(value, explicit):
			return fmt.Errorf("%s is not one of %s, %s", component.Shown(value), explicit, exponential)
		}
		return nil
	}, aggregationVariable)
	r.interval = cmp.Or(r.interval, defaultInterval)
	r.timeout = cmp.Or(r.timeout, defaultReadTimeout)
	return r
}

func (r *reading) take(key, variable, value string, taken bool) {
	if taken {
		r.taken = append(r.taken, component.TakenVariable{Path: []string{key}, Name: variable, Value: component.Secret(value)})
	}
}

// aggregation is that of instruments that no view is about.
func (r *reading) aggregation(kind sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	if r.exponential && kind == sdkmetric.InstrumentKindHistogram {
		return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: maxSize, MaxScale: maxScale}
	}
	return sdkmetric.DefaultAggregationSelector(kind)
}
