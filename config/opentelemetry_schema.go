package config

import (
	"slices"
	"strings"
)

// otelType is a type of OpenTelemetry's configuration schema.
// Source: https://github.com/open-telemetry/opentelemetry-configuration, v1.1.0, and
// what was stable in it since then. annotating is of the specification alone.
type otelType struct {
	null bool     // it may be there without a value
	one  bool     // it has one property, which says what kind it is
	enum []string // of a text; it has no properties then
	// open says what else than its properties it can have: components by name. It is
	// one of the kinds below.
	open       openKind
	properties []otelProperty
}

// openKind is a kind of components.
type openKind uint8

const (
	closed openKind = iota
	openAny
	openExporter
	openSampler
	openPropagator
	openProcessor
	openIDGenerator
	openDetector
)

// otelProperty is a property of a type, with what is done with it.
type otelProperty struct {
	key string
	// typ is that of the value: the name of a type, or boolean, natural (0 or more),
	// positive, ratio (0 to 1), string, secret, value (of an attribute) or any. []
	// before it is a list with one item or more; behind it stand ? where the value can
	// be null, and ! where the property is required.
	typ  string
	fate fate
	// what is done, the error, or why it is not read.
	what string
}

// fate is what becomes of a property.
type fate string

const (
	done    fate = "done"
	refused fate = "refused"
	passed  fate = "passed over"
)

func (p otelProperty) required() bool { return strings.HasSuffix(p.typ, "!") }

// value returns the type of the value, and whether it can be null.
func (p otelProperty) value() (typ string, null bool) {
	typ = strings.TrimSuffix(p.typ, "!")
	return strings.CutSuffix(typ, "?")
}

// keys are the names of the properties.
func (t otelType) keys() []string {
	keys := make([]string, len(t.properties))
	for i, p := range t.properties {
		keys[i] = p.key
	}
	return keys
}

func (t otelType) property(key string) (otelProperty, bool) {
	i := slices.IndexFunc(t.properties, func(p otelProperty) bool { return p.key == key })
	if i < 0 {
		return otelProperty{}, false
	}
	return t.properties[i], true
}

// otelRoot is the type of a whole file.
const otelRoot = "OpenTelemetryConfiguration"

const (
	notTraces  = "it is not about traces"
	noMatter   = "nothing is set by it"
	localSpans = "the spans of a segment are decided as one, by its local root"
)

// The table: every property of the schema that is about traces, and what is done with
// it. Files are checked by it, and the documentation is made from it.
var otelTypes = map[string]otelType{
	otelRoot: {properties: []otelProperty{
		{"file_format", "string!", done, "`1.0` or `1.1`; a later `1.x` is read with a warning; others are errors"},
		{"disabled", "boolean?", done, "the opposite of `enabled`"},
		{"log_level", "SeverityNumber", passed, "riffle logs to the application's logger, which has a level of its own"},
		{"attribute_limits", "AttributeLimits", done, "`limits`, where `tracer_provider.limits` does not say otherwise"},
		{"logger_provider", "any", passed, notTraces},
		{"meter_provider", "any", passed, notTraces},
		{"propagator", "Propagator", done, "`propagators`; without it, there are none"},
		{"tracer_provider", "TracerProvider", done, "samplers, exporters and limits; without it, tracing is off, with a warning"},
		{"resource", "Resource", done, "the resource: nothing is in it but what the file says, `telemetry.sdk.*` and `service.name`"},
		{"instrumentation/development", "any", passed, notTraces},
		{"distribution", "Distribution", done, "the key `riffle`: any key of riffle's own section that the file does not set elsewhere; its samplers come before `tracer_provider.sampler`. Others are passed over"},
	}},
	"SeverityNumber": {null: true, enum: []string{
		"trace", "trace2", "trace3", "trace4", "debug", "debug2", "debug3", "debug4", "info", "info2", "info3", "info4",
		"warn", "warn2", "warn3", "warn4", "error", "error2", "error3", "error4", "fatal", "fatal2", "fatal3", "fatal4",
	}},
	"Distribution": {open: openAny},
	"AttributeLimits": {properties: []otelProperty{
		{"attribute_value_length_limit", "natural?", done, "`limits.attribute_value_length`; without it, there is no limit"},
		{"attribute_value_depth_limit", "positive?", passed, "a value is a list of scalars at most"},
		{"attribute_count_limit", "natural?", done, "`limits.attribute_count`; 128"},
	}},
	"Propagator": {properties: []otelProperty{
		{"composite", "[]TextMapPropagator", done, "`propagators`"},
		{"composite_list", "string?", done, "more of them, with commas; one that is there already is not added; `none` is no propagator"},
	}},
	"TextMapPropagator": {one: true, open: openPropagator, properties: []otelProperty{
		{"tracecontext", "Empty", done, "`tracecontext`"},
		{"baggage", "Empty", done, "`baggage`"},
		{"b3", "Empty", done, "`b3`"},
		{"b3multi", "Empty", done, "`b3multi`"},
	}},
	"Empty": {null: true},

	"Resource": {properties: []otelProperty{
		{"attributes", "[]AttributeNameValue", done, "attributes of the resource"},
		{"detection/development", "ExperimentalResourceDetection", done, "attributes that are detected; all others of the file win"},
		{"schema_url", "string?", done, "the schema URL of the resource; without it, there is none"},
		{"attributes_list", "string?", done, "more attributes, in the form of `OTEL_RESOURCE_ATTRIBUTES`; those of `attributes` win"},
	}},
	"AttributeNameValue": {properties: []otelProperty{
		{"name", "string!", done, "the key"},
		{"value", "value?!", done, "the value; without one, the entry does not count"},
		{"type", "AttributeType", done, "its type; `string`"},
	}},
	"AttributeType": {null: true, enum: []string{"string", "bool", "int", "double", "string_array", "bool_array", "int_array", "double_array"}},
	"ExperimentalResourceDetection": {properties: []otelProperty{
		{"attributes", "IncludeExclude", done, "which of the detected attributes count"},
		{"detectors", "[]ExperimentalResourceDetector", done, "what is detected; without it, nothing"},
	}},
	"IncludeExclude": {properties: []otelProperty{
		{"included", "[]string", done, "patterns with `*` and `?`; all"},
		{"excluded", "[]string", done, "patterns with `*` and `?`, which win over `included`; none"},
	}},
	"ExperimentalResourceDetector": {one: true, open: openDetector, properties: []otelProperty{
		{"container", "Empty", done, "`container.id`"},
		{"host", "Empty", done, "`host.name`, `host.id`, `os.type` and `os.description`"},
		{"process", "Empty", done, "`process.*`, without arguments, which may hold secrets"},
		{"service", "Empty", done, "`service.name` of `OTEL_SERVICE_NAME`, and a `service.instance.id`"},
	}},

	"TracerProvider": {properties: []otelProperty{
		{"processors", "[]SpanProcessor!", done, "each is an entry of `exporters`"},
		{"limits", "SpanLimits", done, "`limits`"},
		{"sampler", "Sampler", done, "`samplers` and `remote_parent`; without it, `parent_based` with a root of `always_on`"},
		{"id_generator", "IdGenerator", done, "at random; a generator of one's own is set in Go, with `core.IDGenerator`, and its name in the file is a warning"},
		{"tracer_configurator/development", "ExperimentalTracerConfigurator", refused, "riffle records the spans of every tracer"},
	}},
	"SpanProcessor": {one: true, open: openProcessor, properties: []otelProperty{
		{"batch", "BatchSpanProcessor", done, "an entry of `exporters`"},
		{"simple", "SimpleSpanProcessor", done, "an entry of `exporters` with `batch.max_spans: 1` and `batch.max_age: 0s`: a segment is sent as soon as it is decided"},
	}},
	"BatchSpanProcessor": {properties: []otelProperty{
		{"schedule_delay", "natural?", done, "`batch.max_age`, in milliseconds; 5000; 0 sends at once"},
		{"export_timeout", "natural?", done, "`send.timeout`, in milliseconds; 30000; 0 is a day"},
		{"max_queue_size", "positive?", done, "`queue.max_bytes`, in spans of 1 KiB, 64 KiB at least; without it 32 MiB, which is more than the schema's 2048 spans"},
		{"max_export_batch_size", "positive?", done, "`batch.max_spans`, 65536 at most; 512"},
		{"exporter", "SpanExporter!", done, "the entry's `type` and what belongs to it"},
	}},
	"SimpleSpanProcessor": {properties: []otelProperty{
		{"exporter", "SpanExporter!", done, "the entry's `type` and what belongs to it"},
	}},
	"SpanExporter": {one: true, open: openExporter, properties: []otelProperty{
		{"otlp_http", "OtlpHttpExporter", done, "`type: otlp` with `protocol: http/protobuf`"},
		{"otlp_grpc", "OtlpGrpcExporter", done, "`type: otlp` with `protocol: grpc`"},
		{"otlp_file/development", "ExperimentalOtlpFileExporter", done, "`type: file`, without rotation, or `type: stdout`, with `format: otlp_json`"},
		{"console", "Empty", done, "`type: stdout`"},
	}},
	"OtlpHttpExporter": {null: true, properties: append([]otelProperty{
		{"endpoint", "string?", done, "the URL that is posted to, to the letter; `http://localhost:4318/v1/traces`"},
		{"tls", "HttpTls", done, "`tls`; with a warning not read where the endpoint is `http://`"},
		{"encoding", "OtlpHttpEncoding", done, "`protobuf`; `json` is sent by `type: otlptracehttp`"},
	}, otlpProperties...)},
	"OtlpGrpcExporter": {null: true, properties: append([]otelProperty{
		{"endpoint", "string?", done, "`endpoint`; `http://localhost:4317`"},
		{"tls", "GrpcTls", done, "`tls`; with a warning not read where the endpoint is `http://`"},
	}, otlpProperties...)},
	"HttpTls": {null: true, properties: tlsProperties},
	"GrpcTls": {null: true, properties: append([]otelProperty{
		{"insecure", "boolean?", done, "`insecure`, for an endpoint without a scheme; `false`"},
	}, tlsProperties...)},
	"NameStringValuePair": {properties: []otelProperty{
		{"name", "string!", done, "the header"},
		{"value", "secret?!", done, "its value; without one, the entry does not count"},
	}},
	"OtlpHttpEncoding": {null: true, enum: []string{"protobuf", "json"}},
	"ExperimentalOtlpFileExporter": {null: true, properties: []otelProperty{
		{"output_stream", "string?", done, "`stdout`, or `file://` and an absolute path; `stdout`"},
	}},

	"Sampler": {one: true, open: openSampler, properties: []otelProperty{
		{"always_off", "Empty", done, "`type: ratio`, `rate: 0`"},
		{"always_on", "Empty", done, "`type: ratio`, `rate: 1`"},
		{"always_record", "AlwaysRecordSampler", done, "`always_record: true`, and the samplers of its root"},
		{"composite/development", "ExperimentalComposableSampler", done, "`type: composite`"},
		{"jaeger_remote/development", "ExperimentalJaegerRemoteSampler", done, "`type: jaeger_remote`"},
		{"parent_based", "ParentBasedSampler", done, "`remote_parent: follow`, or `watch` where riffle's own samplers are in the list, and the samplers of its root"},
		{"probability/development", "ExperimentalProbabilitySampler", done, "`type: ratio`"},
		{"trace_id_ratio_based", "TraceIdRatioBasedSampler", done, "`type: ratio`"},
	}},
	"AlwaysRecordSampler": {properties: []otelProperty{
		{"root", "Sampler!", done, "the sampler that decides"},
	}},
	"ExperimentalJaegerRemoteSampler": {null: true, properties: []otelProperty{
		{"endpoint", "string!", done, "`endpoint`"},
		{"interval", "natural?", done, "`interval`, in milliseconds; 60000"},
		{"initial_sampler", "Sampler!", done, "`initial`: one of `always_on`, `always_off`, `trace_id_ratio_based` and `probability/development`, also as the root of a `parent_based`"},
	}},
	"ParentBasedSampler": {null: true, properties: []otelProperty{
		{"root", "Sampler", done, "the samplers; `always_on`"},
		{"remote_parent_sampled", "Sampler", done, "`always_on`; anything else is `type: composite`"},
		{"remote_parent_not_sampled", "Sampler", done, "`always_off`; anything else is `type: composite`"},
		{"local_parent_sampled", "Sampler", done, "`always_on`; anything else is an error: " + localSpans},
		{"local_parent_not_sampled", "Sampler", done, "`always_off`; anything else is an error: " + localSpans},
	}},
	"ExperimentalProbabilitySampler": {null: true, properties: ratioProperties},
	"TraceIdRatioBasedSampler":       {null: true, properties: ratioProperties},

	"ExperimentalComposableSampler": {one: true, properties: []otelProperty{
		{"always_off", "Empty", done, "`always_off`"},
		{"always_on", "Empty", done, "`always_on`"},
		{"parent_threshold", "ExperimentalComposableParentThresholdSampler", done, "`parent_threshold`"},
		{"probability", "ExperimentalComposableProbabilitySampler", done, "`probability`"},
		{"rule_based", "ExperimentalComposableRuleBasedSampler", done, "`rule_based`"},
		{"annotating", "ComposableAnnotating", done, "`annotating`; the specification has it, and the schema does not yet"},
	}},
	"ComposableAnnotating": {properties: []otelProperty{
		{"sampler", "ExperimentalComposableSampler!", done, "`sampler`"},
		{"attributes", "AnnotatingAttributes!", done, "`attributes`"},
	}},
	"AnnotatingAttributes": {open: openAny},
	"ExperimentalComposableParentThresholdSampler": {properties: []otelProperty{
		{"root", "ExperimentalComposableSampler!", done, "`root`"},
	}},
	"ExperimentalComposableProbabilitySampler": {null: true, properties: ratioProperties},
	"ExperimentalComposableRuleBasedSampler": {null: true, properties: []otelProperty{
		{"rules", "[]ExperimentalComposableRuleBasedSamplerRule", done, "`rules`"},
	}},
	"ExperimentalComposableRuleBasedSamplerRule": {properties: []otelProperty{
		{"attribute_values", "ExperimentalComposableRuleBasedSamplerRuleAttributeValues", done, "`attribute_values`"},
		{"attribute_patterns", "ExperimentalComposableRuleBasedSamplerRuleAttributePatterns", done, "`attribute_patterns`"},
		{"span_kinds", "[]SpanKind", done, "`span_kinds`"},
		{"parent", "[]ExperimentalSpanParent", done, "`parent`; a span with a local parent is never asked about: " + localSpans},
		{"sampler", "ExperimentalComposableSampler!", done, "`sampler`"},
	}},
	"ExperimentalComposableRuleBasedSamplerRuleAttributeValues": {properties: []otelProperty{
		{"key", "string!", done, "`key`"},
		{"values", "[]string!", done, "`values`"},
	}},
	"ExperimentalComposableRuleBasedSamplerRuleAttributePatterns": {properties: []otelProperty{
		{"key", "string!", done, "`key`"},
		{"included", "[]string", done, "`included`"},
		{"excluded", "[]string", done, "`excluded`"},
	}},
	"SpanKind":               {null: true, enum: []string{"internal", "server", "client", "producer", "consumer"}},
	"ExperimentalSpanParent": {null: true, enum: []string{"none", "remote", "local"}},

	"IdGenerator": {one: true, open: openIDGenerator, properties: []otelProperty{
		{"random", "Empty", done, noMatter},
	}},
	"SpanLimits": {properties: []otelProperty{
		{"attribute_value_length_limit", "natural?", done, "`limits.attribute_value_length`; without it, that of `attribute_limits`"},
		{"attribute_value_depth_limit", "positive?", passed, "a value is a list of scalars at most"},
		{"attribute_count_limit", "natural?", done, "`limits.attribute_count`; without it, that of `attribute_limits`"},
		{"event_count_limit", "natural?", done, "`limits.event_count`; 128"},
		{"link_count_limit", "natural?", done, "`limits.link_count`; 128"},
		{"event_attribute_count_limit", "natural?", done, "`limits.event_attribute_count`; 128"},
		{"link_attribute_count_limit", "natural?", done, "`limits.link_attribute_count`; 128"},
	}},
	"ExperimentalTracerConfigurator": {properties: []otelProperty{
		{"default_config", "ExperimentalTracerConfig", refused, "see above"},
		{"tracers", "[]ExperimentalTracerMatcherAndConfig", refused, "see above"},
	}},
	"ExperimentalTracerMatcherAndConfig": {properties: []otelProperty{
		{"name", "string!", refused, "see above"},
		{"config", "ExperimentalTracerConfig!", refused, "see above"},
	}},
	"ExperimentalTracerConfig": {properties: []otelProperty{
		{"enabled", "boolean", refused, "see above"},
	}},
}

// otlpProperties are those of both OTLP exporters.
var otlpProperties = []otelProperty{
	{"headers", "[]NameStringValuePair", done, "`headers`; they win over `headers_list`"},
	{"headers_list", "secret?", done, "`headers`, in the form of `OTEL_EXPORTER_OTLP_HEADERS`"},
	{"compression", "string?", done, "`compression`: `none`, `gzip` or `zstd`; `none`"},
	{"max_request_size", "natural?", passed, "`batch.max_bytes` bounds a request"},
	{"max_response_size", "positive?", passed, "riffle bounds what it reads"},
	{"timeout", "natural?", done, "`timeout`, in milliseconds; 10000; 0 is a day"},
}

var tlsProperties = []otelProperty{
	{"ca_file", "string?", done, "`tls.ca_file`, an absolute path"},
	{"key_file", "string?", done, "`tls.key_file`, an absolute path"},
	{"cert_file", "string?", done, "`tls.cert_file`, an absolute path"},
}

var ratioProperties = []otelProperty{
	{"ratio", "ratio?", done, "the share that is kept; 1"},
}
