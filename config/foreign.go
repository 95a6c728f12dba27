package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core/component"
)

// What people bring from other configurations is told with what it is called here.

// foreignExporters are types that others have, with what to write instead.
var foreignExporters = map[string]string{
	"console":   "spans are printed by type: stdout",
	"logging":   "spans are printed by type: stdout",
	"debug":     "spans are printed by type: stdout",
	"otlphttp":  "write type: otlp with protocol: http/protobuf",
	"otlp_http": "write type: otlp with protocol: http/protobuf",
	"otlpgrpc":  "write type: otlp, whose protocol is grpc unless it says another",
	"otlp_grpc": "write type: otlp, whose protocol is grpc unless it says another",
	"jaeger":    "Jaeger takes OTLP: write type: otlp with its endpoint for that, such as jaeger:4317",
	"zipkin":    "riffle comes without one: send OTLP to a Collector that has one, or see the plugin in examples/plugins",
	"datadog":   "write type: otlp with preset: datadog, or with the endpoint of an Agent that takes OTLP",
	"honeycomb": "write type: otlp with preset: honeycomb",
	"newrelic":  "write type: otlp with preset: newrelic",
	"tempo":     "Tempo takes OTLP: write type: otlp with its endpoint for that, such as tempo:4317",
	"none":      "write exporters: [] for none",
}

// foreignSamplers likewise.
var foreignSamplers = map[string]string{
	"always_on":            "write type: ratio with rate: 1, or no samplers at all",
	"always_off":           "write type: ratio with rate: 0",
	"traceidratio":         "write type: ratio with rate",
	"traceidratiobased":    "write type: ratio with rate",
	"trace_id_ratio_based": "write type: ratio with rate",
	"probability":          "write type: ratio with rate",
	"probabilistic":        "write type: ratio with rate, a share from 0 to 1 and not a percentage",
	"const":                "write type: ratio with rate: 1 or rate: 0",
	"rate_limiting":        "write type: adaptive with target_per_second, limit: {per_second: ...} in the entry of an end sampler, or budget beside samplers",
	"ratelimiting":         "write type: adaptive with target_per_second, limit: {per_second: ...} in the entry of an end sampler, or budget beside samplers",
	"bytes_limiting":       "write budget: {spans_per_second: ...} beside samplers",
	"tail_sampling":        "its policies are samplers of their own here: riffle import translates a Collector's file",
	"status_code":          "write type: error",
	"latency":              "write type: slow with threshold and, for an upper bound, below",
	"string_attribute":     "write type: attribute, at: end, with match: {any_span: ...}; riffle import translates a Collector's file",
	"numeric_attribute":    "write type: attribute, at: end, with match: {any_span: ...}; riffle import translates a Collector's file",
	"boolean_attribute":    "write type: attribute, at: end, with match: {any_span: ...}; riffle import translates a Collector's file",
	"ottl_condition":       "write type: attribute, at: end, with match; riffle import translates a Collector's file",
	"span_count":           "write type: spans with min and max",
	"trace_state":          "write type: attribute with match: {tracestate: ...}",
	"drop":                 "write type: discard with match, or sample: drop in an entry of type: attribute",
	"and":                  "write the match of one sampler with all; riffle import translates a Collector's file",
	"rulesbasedsampler":    "riffle import translates Refinery's rules",
	"deterministicsampler": "write type: ratio with rate, which is 1/SampleRate",
	"emadynamicsampler":    "write type: adaptive with target_per_second and key",
	"emathroughputsampler": "write type: adaptive with target_per_second and key",
}

// guide tells of an entry's type that is not registered what is meant by it here, if
// that is known. The plan's own mistake is not told then.
func (p *listEntry) guide(typ string, registered []string) {
	if typ == "" || slices.Contains(registered, typ) {
		return
	}
	known, kind := foreignExporters, "exporter"
	name := strings.ToLower(strings.ReplaceAll(typ, "-", "_"))
	if p.list == "samplers" {
		known, kind = foreignSamplers, "sampler"
		if parent, ok := strings.CutPrefix(name, "parentbased_"); ok {
			name = parent
		}
	}
	advice, ok := known[name]
	if !ok {
		return
	}
	if p.list == "samplers" && strings.HasPrefix(strings.ToLower(typ), "parentbased_") {
		advice += "; what a parent means is said by remote_parent"
	}
	path := component.JoinPath(p.path(), "type")
	p.fail(p.node.locate("type"), path, fmt.Errorf("unknown %s %q: %s", kind, typ, advice))
	p.unusable[path] = true
}

// misplaced says of an unknown key of the section that it is one of an entry; "" if it
// is not.
func (o *options) misplaced(key string) string {
	var list string
	switch {
	case slices.Contains(o.exporters.HostKeys(), key) || typeHas(o.exporters, "otlp", key):
		list = "exporters"
	case slices.Contains(o.samplers.HostKeys(), key), anyHas(o.samplers, key):
		list = "samplers"
	case anyHas(o.exporters, key):
		list = "exporters"
	default:
		return ""
	}
	return fmt.Sprintf("unknown key: it belongs into an entry of %s", list)
}

func typeHas[T any](r *component.Registry[T], typ, key string) bool {
	f, ok := r.Lookup(typ)
	return ok && slices.ContainsFunc(f.Fields(), func(f component.Field) bool { return f.Key == key })
}

func anyHas[T any](r *component.Registry[T], key string) bool {
	return slices.ContainsFunc(r.Names(), func(typ string) bool { return typeHas(r, typ, key) })
}
