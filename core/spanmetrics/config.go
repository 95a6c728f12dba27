package spanmetrics

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/component"
)

// Config is the section span_metrics.
type Config struct {
	_             struct{}             `doc:"counts every span, whether or not its trace is kept, in the metrics traces.span.metrics.calls and traces.span.metrics.duration; everything but what a rule drops is then recorded"`
	Dimensions    []string             `yaml:"dimensions" doc:"attributes of the span, else of the resource, that tell series apart besides service.name, span.name, span.kind and status.code"`
	Buckets       []component.Duration `yaml:"buckets" doc:"upper bounds of the buckets of durations, ascending; by default 2ms, 4ms, 6ms, 8ms, 10ms, 50ms, 100ms, 200ms, 400ms, 800ms, 1s, 1.4s, 2s, 5s, 10s, 15s"`
	Exponential   bool                 `yaml:"exponential" doc:"makes durations exponential histograms, instead of buckets; needs metrics.exporter, your own MeterProvider does it with a view"`
	Exemplars     *bool                `yaml:"exemplars" doc:"lets durations point to traces that are kept (default: true)"`
	MaxSeries     int                  `yaml:"max_series" doc:"how many series each metric has at most; what does not fit is counted in the series with otel.metric.overflow (default: 2000)"`
	HTTPDurations bool                 `yaml:"http_server_request_duration" doc:"makes the metric http.server.request.duration of the semantic conventions too, from server spans; not for services whose instrumentation makes it already"`
}

// DefaultMaxSeries is what OpenTelemetry's metrics SDK limits a metric to as well.
const DefaultMaxSeries = 2000

// WithDefaults returns the config with what it leaves out.
func (c *Config) WithDefaults() Config {
	full, yes := *c, true
	full.MaxSeries = cmp.Or(c.MaxSeries, DefaultMaxSeries)
	full.Exemplars = cmp.Or(c.Exemplars, &yes)
	if len(c.Buckets) == 0 && !c.Exponential {
		full.Buckets = defaultBuckets()
	}
	return full
}

// What a config can say at most.
const (
	maxMaxSeries  = 100_000
	maxDimensions = 16
	maxBuckets    = 200
)

// own are the attributes that every series has.
var own = []string{string(serviceNameKey), string(spanNameKey), string(spanKindKey), string(statusCodeKey)}

// Check finds the mistakes, as [component.FieldError]s.
func (c *Config) Check() error {
	var errs []error
	add := func(path string, err error) { errs = append(errs, &component.FieldError{Path: path, Err: err}) }
	if len(c.Dimensions) > maxDimensions {
		add("dimensions", fmt.Errorf("%d of them: want at most %d", len(c.Dimensions), maxDimensions))
	}
	for i, d := range c.Dimensions {
		path := fmt.Sprintf("dimensions[%d]", i)
		switch {
		case d == "":
			add(path, errors.New("empty: want an attribute"))
		case slices.Contains(own, d):
			add(path, fmt.Errorf("%q is one of every series already", d))
		case slices.Index(c.Dimensions, d) < i:
			add(path, fmt.Errorf("%q is listed twice", d))
		}
	}
	if len(c.Buckets) > maxBuckets {
		add("buckets", fmt.Errorf("%d of them: want at most %d", len(c.Buckets), maxBuckets))
	}
	for i, b := range c.Buckets {
		path := fmt.Sprintf("buckets[%d]", i)
		switch {
		case b <= 0:
			add(path, fmt.Errorf("%s is not above 0", b))
		case i > 0 && b <= c.Buckets[i-1]:
			add(path, fmt.Errorf("%s is not above the one before it (%s)", b, c.Buckets[i-1]))
		}
	}
	if c.Exponential && len(c.Buckets) > 0 {
		add("buckets", errors.New("both buckets and exponential: want one of them"))
	}
	if c.MaxSeries != 0 && (c.MaxSeries < 2 || c.MaxSeries > maxMaxSeries) {
		add("max_series", fmt.Errorf("%d is not between 2 and %d", c.MaxSeries, maxMaxSeries))
	}
	return errors.Join(errs...)
}

// defaultBuckets are those of the Collector's span metrics connector (v0.158).
func defaultBuckets() (all []component.Duration) {
	for _, ms := range []int{2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000} {
		all = append(all, component.Duration(time.Duration(ms)*time.Millisecond))
	}
	return all
}

// buckets are the bounds in milliseconds.
func (c *Config) buckets() []float64 {
	bounds := make([]float64, len(c.Buckets))
	for i, b := range c.Buckets {
		bounds[i] = milliseconds(time.Duration(b))
	}
	return bounds
}

func (c *Config) dimensions() []attribute.Key {
	keys := make([]attribute.Key, len(c.Dimensions))
	for i, d := range c.Dimensions {
		keys[i] = attribute.Key(d)
	}
	return keys
}
