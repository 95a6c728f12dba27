package config_test

import (
	"strings"
	"testing"

	"github.com/riffletrace/riffle/config"
)

// otelKinds are files of every kind that OpenTelemetry shows examples of: those that
// are read, and those that are not, with what is said of them.
var otelKinds = []struct{ body, mistake string }{
	{"meter_provider: {views: [{selector: {instrument_name: x}}]}", ""},
	{"logger_provider: {processors: [{simple: {exporter: {console: }}}]}", ""},
	{"instrumentation/development: {general: {}, go: {}}", ""},
	{"propagator: {composite: [{tracecontext: }, {baggage: }, {b3: }, {b3multi: }], composite_list: xray}", ""},
	{"resource: {attributes: [{name: a, value: [1, 2], type: int_array}], detection/development: {detectors: [{container: }, {host: }, {process: }, {service: }]}}", ""},
	{"tracer_provider: {processors: [{simple: {exporter: {console: }}}]}", ""},
	{"tracer_provider: {processors: [{simple: {exporter: {otlp_file/development: {output_stream: stdout}}}}]}", ""},
	{"tracer_provider: {processors: [{batch: {exporter: {otlp_http: {endpoint: \"http://localhost:4318/v1/traces\", tls: {ca_file: /nowhere.pem}}}}}]}", ""},
	{"tracer_provider: {processors: [{batch: {exporter: {otlp_grpc: {endpoint: \"http://localhost:4317\", headers_list: \"a=1\"}}}}]}", ""},
	{"tracer_provider: {processors: [{simple: {exporter: {console: }}}], limits: {event_count_limit: 7, attribute_value_length_limit: null}}", ""},
	{"tracer_provider: {processors: [{simple: {exporter: {console: }}}], id_generator: {random: }}", ""},
	{"tracer_provider: {processors: [{simple: {exporter: {console: }}}], id_generator: {mine: {a: b}}}", ""},
	{"tracer_provider: {processors: [{simple: {exporter: {console: }}}], id_generator: {radnom: }}", `id_generator.radnom: unknown ID generator (did you mean "random"?): known are random`},
	{"tracer_provider: {processors: [{simple: {exporter: {console: }}}], id_generator: {mine: 1}}", "id_generator.mine: unknown ID generator"},
	{"tracer_provider: {processors: [{simple: {exporter: {console: }}}], tracer_configurator/development: {default_config: {enabled: true}}}", "tracer_configurator/development: not supported"},
	{"tracer_provider: {processors: [{simple: {exporter: {console: }}}], sampler: {parent_based: {root: {trace_id_ratio_based: {ratio: 0.5}}, local_parent_sampled: {always_on: }}}}", ""},
	{"tracer_provider: {processors: [{simple: {exporter: {console: }}}], sampler: {probability/development: {ratio: 0.5}}}", ""},
	{"tracer_provider: {processors: [{simple: {exporter: {console: }}}], sampler: {always_record: {root: {parent_based: {root: {always_off: }}}}}}", ""},
}

func TestOpenTelemetryKinds(t *testing.T) {
	for _, tt := range otelKinds {
		_, err := config.Parse([]byte("file_format: \"1.1\"\n"+tt.body+"\n"), config.Environ(nil))
		switch {
		case tt.mistake == "" && err != nil, tt.mistake != "" && (err == nil || !strings.Contains(err.Error(), tt.mistake)):
			t.Errorf("%s: %v", tt.body, err)
		}
	}
}
