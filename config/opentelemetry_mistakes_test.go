package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/samplers/composite"
)

// A mistake is told once, in the words of the file, however many parts of riffle see
// what comes of it.
func TestOpenTelemetryMistakes(t *testing.T) {
	const (
		sampler  = "tracer_provider.sampler"
		tree     = sampler + ".composite/development"
		exporter = "tracer_provider.processors[0].batch.exporter"
		samplers = "always_off, always_on, parent_threshold, probability, rule_based, annotating"
	)
	for _, tt := range []struct{ lines, want string }{
		{"  sampler: {composite/development: {rule_base: }}", tree + `.rule_base: unknown key (did you mean "rule_based"?)`},
		{"  sampler: {composite/development: {rule_based/development: }}", tree + `.rule_based/development: unknown key (did you mean "rule_based"?)`},
		{"  sampler: {composite/development: {other: }}", tree + ".other: unknown key: known are always_off, always_on, annotating, parent_threshold, probability, rule_based"},
		{"  sampler: {composite/development: {}}", tree + ": want one key, which says what kind it is, not 0: one of " + samplers},
		{"  sampler: {composite/development: {parent_threshold: {}}}", tree + ".parent_threshold.root: missing"},
		{"  sampler: {composite/development: {parent_threshold: }}", tree + ".parent_threshold: want a mapping, not an empty value"},
		{"  sampler: {composite/development: {parent_threshold: {root: }}}", tree + ".parent_threshold.root: want a mapping, not an empty value"},
		{"  sampler: {composite/development: {annotating: {attributes: {a: 1}}}}", tree + ".annotating.sampler: missing"},
		{"  sampler: {composite/development: {annotating: {sampler: {always_on: }}}}", tree + ".annotating.attributes: missing"},
		{"  sampler: {composite/development: {annotating: {sampler: {always_on: }, attributes: [a]}}}", tree + ".annotating.attributes: want a mapping, not a list"},
		{"  sampler: {composite/development: {rule_based: {rules: [{}]}}}", tree + ".rule_based.rules[0].sampler: missing"},
		{"  sampler: {composite/development: {rule_based: {rules: [{sampler: {always_on: }, span_kinds: [servr]}]}}}", tree + `.rule_based.rules[0].span_kinds[0]: want one of internal, server, client, producer, consumer, not "servr"`},
		{"  sampler: {composite/development: {rule_based: {rules: [{sampler: {always_on: }, attribute_values: {key: a, values: [null]}}]}}}", tree + ".rule_based.rules[0].attribute_values.values[0]: want a string, not an empty value"},
		{"  sampler: {composite/development: {probability: {ratio: 5}}}", tree + `.probability.ratio: want a number from 0 to 1, not "5"`},
		{"  sampler: {parent_based: {remote_parent_sampled: {slow: }}}", sampler + `.parent_based.remote_parent_sampled.slow: only the root of a parent_based with the default for remote parents can be "slow"`},
		{"  sampler: {probability: {ratio: 0.5}}", sampler + `.probability: unknown sampler (did you mean "probability/development"?): known are always_off, always_on, always_record, composite/development, jaeger_remote/development, parent_based, probability/development, trace_id_ratio_based, composite, plugin, ratio, route, slow (forgotten import?)`},
		{"  sampler: {always_on: {ratio: 1}}", sampler + ".always_on.ratio: unknown key: want none here"},
		{"propagator: {composite_list: 'tracecontext, bagage, Baggage'}", "propagator.composite_list: unknown propagator \"bagage\" (did you mean \"baggage\"?): known are tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace, none\n" +
			"propagator.composite_list: unknown propagator a text of 7 characters (did you mean \"baggage\"?): known are tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace, none"},
		{"resource: {attributes_list: 'a=b,c,=d,e=%zz,'}", "resource.attributes_list: entry 2 is not key=value, entry 3 is not key=value, entry 4 is not percent-encoded (a % is written %25)"},
		{"resource: {detection: }", `resource.detection: unknown key (did you mean "detection/development"?)`},
	} {
		checkMistakes(t, console+tt.lines+"\n", tt.want)
	}
	for _, tt := range []struct{ exporter, want string }{
		{"otlp_file: ", exporter + `.otlp_file: unknown exporter (did you mean "otlp_file/development"?): known are otlp_http, otlp_grpc, otlp_file/development, console, file, otlp, otlptracehttp, stdout (forgotten import?)`},
		{"otlp_http: {headers: [{name: 'a b', value: x}]}", exporter + ".otlp_http.headers[0]: the name is not one that HTTP can carry"},
	} {
		checkMistakes(t, "file_format: '1.0'\ntracer_provider: {processors: [{batch: {exporter: {"+tt.exporter+"}}}]}\n", tt.want)
	}
	checkMistakes(t, "file_format: 1.0-rc.1\n", `file_format: "1.0-rc.1" is not read: want "1.0" or "1.1"`)
}

func checkMistakes(t *testing.T, text, want string) {
	t.Helper()
	samplers := samplersWithout()
	samplers.MustAdd(composite.Factory)
	_, err := config.Parse([]byte(text), schemaRegistries(t, config.Samplers(samplers), config.Environ(nil))...)
	var all core.ConfigErrors
	if !errors.As(err, &all) {
		t.Errorf("%s: %v", text, err)
		return
	}
	got := make([]string, len(all))
	for i, e := range all {
		got[i] = e.Path + ": " + e.Err.Error()
	}
	if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", text, diff)
	}
}

// annotating is in the specification, and not yet in the schema.
func TestOpenTelemetryAnnotating(t *testing.T) {
	samplers := samplersWithout()
	samplers.MustAdd(composite.Factory)
	spec, err := config.Parse([]byte(console+`  sampler:
    composite/development:
      parent_threshold:
        root:
          annotating:
            sampler: {rule_based: {rules: [{sampler: {annotating: {sampler: {always_off: }, attributes: {b: [1, 2]}}}}]}}
            attributes: {a: x}
`), schemaRegistries(t, config.Samplers(samplers), config.Environ(nil))...)
	if err != nil {
		t.Fatal(err)
	}
	outer := decoded[composite.Config](t, spec.Samplers[0]).Sampler.ParentThreshold.Root.Annotating
	inner := outer.Sampler.RuleBased.Rules[0].Sampler.Annotating
	if diff := cmp.Diff([]any{map[string]any{"a": "x"}, map[string]any{"b": []any{1, 2}}}, []any{outer.Attributes, inner.Attributes}); diff != "" {
		t.Error(diff)
	}
	if inner.Sampler.AlwaysOff == nil {
		t.Errorf("%+v", inner.Sampler)
	}
}

// always_record records all, also where it stands for some parents alone.
func TestOpenTelemetryRecordsBelowParents(t *testing.T) {
	samplers := samplersWithout()
	samplers.MustAdd(composite.Factory)
	spec, err := config.Parse([]byte(console+"  sampler: {parent_based: {remote_parent_not_sampled: {always_record: {root: {always_off: }}}}}\n"),
		schemaRegistries(t, config.Samplers(samplers), config.Environ(nil))...)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := describeSamplers(spec), "ask: composite (all recorded)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if s := decoded[composite.Config](t, spec.Samplers[0]).Sampler.ParentBased.RemoteParentNotSampled; s.AlwaysOff == nil {
		t.Errorf("%+v", s)
	}
}

// Names that riffle makes up give way to those that the file gives.
func TestOpenTelemetryGivenNames(t *testing.T) {
	spec := parseOTel(t, console+"distribution: {riffle: {exporters: [{type: stdout, name: console}], samplers: [{type: slow, threshold: 1s, name: ratio}]}}\n")
	var ids []string
	for _, e := range spec.Exporters {
		ids = append(ids, e.ID())
	}
	for _, e := range spec.Samplers {
		ids = append(ids, e.ID())
	}
	if diff := cmp.Diff([]string{"console_2", "console", "ratio", "ratio_2"}, ids); diff != "" {
		t.Error(diff)
	}
}

// A generator of IDs that is set in Go can be named by a file that others read too.
func TestOpenTelemetryIDGenerator(t *testing.T) {
	spec := parseOTel(t, console+"  id_generator: {mine: {key: s3cret}}\n")
	const want = `otel.yaml:4:18: ID generator "mine" is set in Go, with core.IDGenerator: without it, IDs are at random` + "\n  id_generator: {mine: ***\n                 ^"
	if all := warnings(spec); len(all) != 1 || all[0].Error() != want {
		t.Errorf("%v", all)
	}
}
