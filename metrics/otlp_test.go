package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/riffletrace/riffle/core"
)

// What is measured arrives over both protocols, at each interval and at the end, with what
// Shutdown counts.
func TestOTLP(t *testing.T) {
	for _, tt := range []struct {
		protocol, path, more string
		receiver             func(*testing.T) *receiver
	}{
		{"grpc", "", "", overGRPC},
		{"http/protobuf", "/v1/metrics", "", overHTTP},
		{"http/protobuf", "/a%20b/in?c=d", "compression: gzip, url_path: /a%20b/in?c=d", overHTTP},
	} {
		t.Run(tt.protocol+tt.path, func(t *testing.T) {
			r := tt.receiver(t)
			p := started(t, fmt.Sprintf("span_metrics: {}\nmetrics: {exporter: otlp, protocol: %s, endpoint: %q, interval: 100ms, headers: {x-key: abc}, %s}", tt.protocol, r.address, tt.more))
			span(t, p, "one")
			until(t, "an interval sends", func() bool { return r.sum("traces.span.metrics.calls") == 1 })
			if r.service != "shop" || r.key != "abc" || r.path != tt.path {
				t.Errorf("service %q, key %q, path %q", r.service, r.key, r.path)
			}
			p.TracerProvider().Tracer("test").Start(t.Context(), "unfinished")
			if err := p.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if n := r.sum("riffle.spans.ended"); n != 2 {
				t.Errorf("%d spans, want those that Shutdown ended too", n)
			}
		})
	}
}

// ForceFlush does not wait for the interval, and tells what came of it.
func TestForceFlush(t *testing.T) {
	r := overGRPC(t)
	p := started(t, fmt.Sprintf("metrics: {exporter: otlp, endpoint: %q, interval: 1h}", r.address))
	span(t, p, "one")
	if err := p.ForceFlush(t.Context()); err != nil || r.sum("riffle.spans.ended") != 1 {
		t.Errorf("%d spans, %v", r.sum("riffle.spans.ended"), err)
	}
	r.refuse("no such customer")
	if err := p.ForceFlush(t.Context()); err == nil || !strings.Contains(err.Error(), "refused the credentials: check headers") {
		t.Errorf("a backend that refuses: %v", err)
	}
	r.refuse("")
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// A backend that refuses is told once, in words that help, without what is secret, and so
// is that it takes them again.
func TestOutage(t *testing.T) {
	for name, receive := range map[string]func(*testing.T) *receiver{"grpc": overGRPC, "http/protobuf": overHTTP} {
		t.Run(name, func(t *testing.T) {
			var said log
			r := receive(t)
			r.refuse("s3cret-key is unknown")
			p := started(t, fmt.Sprintf("metrics: {exporter: otlp, protocol: %s, endpoint: %q, interval: 1h, headers: {x-key: s3cret-key}}", name, r.address), said.option())
			for range 3 {
				if err := p.ForceFlush(t.Context()); err == nil || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("a flush: %v", err)
				}
			}
			if n := said.count("metrics are not exported"); n != 1 || said.count("refused the credentials: check headers") != 1 || said.count("s3cret") != 0 {
				t.Errorf("it is told %d times:\n%s", n, said.String())
			}
			r.refuse("")
			if err := p.ForceFlush(t.Context()); err != nil || said.count("metrics are exported again") != 1 || said.count("failed_exports=3") != 1 {
				t.Errorf("%v\n%s", err, said.String())
			}
		})
	}
}

// A backend that does not answer holds up Shutdown no longer than it may take.
func TestShutdownOfDead(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			p := started(t, fmt.Sprintf("metrics: {exporter: otlp, protocol: %s, endpoint: %q}", protocol, port(t)))
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if err := p.Shutdown(ctx); err == nil {
				t.Error("what did not arrive is not told")
			}
		})
	}
}

// Sums count from where they are asked to, by the file and by OpenTelemetry's variables.
func TestTemporality(t *testing.T) {
	const cumulative, delta = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE, metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
	for _, tt := range []struct {
		key, variable          string
		sum, observed, updowns metricspb.AggregationTemporality
	}{
		{"", "", cumulative, cumulative, cumulative},
		{"delta", "", delta, delta, cumulative},
		{"low_memory", "", delta, cumulative, cumulative},
		{"", "LowMemory", delta, cumulative, cumulative},
		{"cumulative", "delta", cumulative, cumulative, cumulative},
		{"", "gamma", cumulative, cumulative, cumulative},
	} {
		t.Run(tt.key+"/"+tt.variable, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", tt.variable)
			r := overGRPC(t)
			p := started(t, fmt.Sprintf("span_metrics: {}\nmetrics: {exporter: otlp, endpoint: %q, interval: 1h, temporality: %s}", r.address, tt.key))
			span(t, p, "one")
			meter := p.MeterProvider().Meter("test")
			counter, err := meter.Int64Counter("counter")
			updown, err2 := meter.Int64UpDownCounter("updown")
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			counter.Add(t.Context(), 1)
			updown.Add(t.Context(), 1)
			if err := p.ForceFlush(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := []metricspb.AggregationTemporality{
				r.last("counter").GetSum().GetAggregationTemporality(),
				r.last("traces.span.metrics.duration").GetHistogram().GetAggregationTemporality(),
				r.last("riffle.segments.started").GetSum().GetAggregationTemporality(),
				r.last("updown").GetSum().GetAggregationTemporality(),
			}
			if diff := cmp.Diff([]metricspb.AggregationTemporality{tt.sum, tt.sum, tt.observed, tt.updowns}, got); diff != "" {
				t.Error(diff)
			}
			if err := p.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// Where no endpoint is set, the variables of metrics say where to send, and how often.
func TestVariables(t *testing.T) {
	r := overHTTP(t)
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": r.address + "/in",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
		"OTEL_EXPORTER_OTLP_HEADERS": "x-key=abc", "OTEL_METRIC_EXPORT_INTERVAL": "100",
		"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram",
	} {
		t.Setenv(name, value)
	}
	p := started(t, "metrics: {exporter: otlp}\nspan_metrics: {exponential: true}")
	span(t, p, "one")
	histogram, err := p.MeterProvider().Meter("test").Int64Histogram("histogram")
	if err != nil {
		t.Fatal(err)
	}
	histogram.Record(t.Context(), 1)
	until(t, "an interval of the variable sends", func() bool { return r.last("histogram").GetExponentialHistogram() != nil })
	if r.key != "abc" || r.path != "/in" || r.last("traces.span.metrics.duration").GetExponentialHistogram() == nil {
		t.Errorf("key %q, path %q, %v", r.key, r.path, r.last("traces.span.metrics.duration"))
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// Who has set the endpoint in the file is not sent another's headers.
func TestOneSource(t *testing.T) {
	r := overGRPC(t)
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-key=abc")
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:1")
	p := started(t, fmt.Sprintf("metrics: {exporter: otlp, endpoint: %q}", r.address))
	if err := p.Shutdown(t.Context()); err != nil || r.service != "shop" || r.key != "" {
		t.Errorf("%v, service %q, key %q", err, r.service, r.key)
	}
}

// Every mistake is told at its place.
func TestMistakes(t *testing.T) {
	for keys, want := range map[string]string{
		"metrics: {exporter: promtheus}":                                           `shop.yaml:4:11: metrics.exporter: unknown metrics exporter "promtheus" (did you mean "prometheus"?): known are otlp, prometheus (forgotten import?)`,
		"metrics: {type: prometheus}":                                              `shop.yaml:4:1: metrics.exporter: missing: want one of otlp, prometheus`,
		"metrics: otlp":                                                            `shop.yaml:4:10: metrics: want a mapping that begins with "exporter:", not "otlp"`,
		"metrics: {exporter: prometheus, lisen: a}":                                `shop.yaml:4:33: metrics.lisen: unknown key (did you mean "listen"?)`,
		"metrics: {exporter: prometheus, listen: 9464}":                            `shop.yaml:4:33: metrics.listen: "9464" is not host:port, such as localhost:9464`,
		"metrics: {exporter: prometheus, listen: 'a:99999'}":                       `shop.yaml:4:33: metrics.listen: port "99999" is not a number from 0 to 65535`,
		"metrics: {exporter: prometheus, path: metrics}":                           `shop.yaml:4:33: metrics.path: "metrics" is not a path: want one such as /metrics`,
		"metrics: {exporter: otlp, interval: 1ms}":                                 `shop.yaml:4:27: metrics.interval: 1ms is too short: want 100ms or more`,
		"metrics: {exporter: otlp, interval: 60}":                                  `shop.yaml:4:27: metrics.interval: `,
		"metrics: {exporter: otlp, temporality: deltas}":                           `shop.yaml:4:27: metrics.temporality: "deltas" is not one of cumulative, delta, low_memory`,
		"metrics: {exporter: otlp, protocol: udp}":                                 `shop.yaml:4:27: metrics.protocol: "udp" is not one of grpc, http/protobuf`,
		"metrics: {exporter: otlp, endpoint: 'ftp://a'}":                           `shop.yaml:4:27: metrics.endpoint: scheme "ftp" is not one of http, https`,
		"metrics: {exporter: otlp, headers: {'a b': c}}":                           `shop.yaml:4:37: metrics.headers["a b"]: the name is not one that HTTP can carry`,
		"metrics: {exporter: otlp, compression: zstd}":                             `shop.yaml:4:27: metrics.compression: "zstd" is not one of none, gzip`,
		"metrics: {exporter: otlp, insecure: false, tls: {ca_file: /no/such.pem}}": `shop.yaml:4:50: metrics.tls.ca_file: `,
		"metrics: {}": `shop.yaml:4:1: metrics.exporter: missing: want one of otlp, prometheus`,
	} {
		t.Run(keys, func(t *testing.T) {
			_, err := parsed(keys)
			var found core.ConfigErrors
			if !errors.As(err, &found) || !strings.HasPrefix(found[0].Error(), want) {
				t.Errorf("%v, want\n%s", err, want)
			}
		})
	}
}
