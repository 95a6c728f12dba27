package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/otelenv"
)

// otelVariable is one of OpenTelemetry's own variables. They are read as its
// specification says: enums and booleans by no case, an empty value as none at all, and
// one that makes no sense with a warning as none too.
// Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
type otelVariable struct {
	name string
	// sets is the key that it sets when nothing else does; "" if it is the
	// exporter or the SDK that reads the variable.
	sets string
	doc  string
	// read puts the value into the tree. An error is a warning: the variable
	// is ignored, as the specification says.
	read func(r *reader, tree *node, name, value string) error
}

// otelVariables is the table; of two that set the same, the first wins. What is not of
// the source above has its own.
var otelVariables = slices.Concat(
	[]otelVariable{
		{otelConfigFile, "", "a file of [OpenTelemetry's own schema](opentelemetry-configuration.md); while it is set, no other of these variables counts", nil},
		{"OTEL_SDK_DISABLED", "enabled", "its opposite: `true` turns tracing off, `false` on", readDisabled},
		{otelenv.ServiceName, "service_name", "wins over `service.name` in `OTEL_RESOURCE_ATTRIBUTES`", readText("service_name")},
		// https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable
		{otelenv.ResourceAttributes, "resource", "`key=value,key=value`, percent-encoded; those with a key of their own, such as `service.version`, set that; of several entries, those that can be read are taken", readAttributes},
		{"OTEL_PROPAGATORS", "propagators", "a list with commas of `" + strings.Join(core.PropagatorNames(), "`, `") + "`; the last stands alone", readPropagators},
		{tracesSampler, "sample_rate", "`always_on`, `always_off`, `traceidratio`, `jaeger_remote` (which is an entry of `samplers`), and these with `parentbased_` before; without that they are asked below remote parents too, which is `remote_parent: ask` unless that is set", readSampler},
		{samplerArg, "sample_rate", "the rate of `traceidratio`, from 0 to 1; 1 if it is none; of `jaeger_remote`, `endpoint=URL,pollingIntervalMs=N,initialSamplingRate=P`", nil},
		{"OTEL_TRACES_EXPORTER", "exporters", "a list with commas of `otlp`, `console` (`stdout`) and other types that need no key, or `none` alone", readExporters},
	},
	// https://opentelemetry.io/docs/specs/otel/protocol/exporter/
	otlpVariables("ENDPOINT", "`endpoint` of OTLP exporters"),
	otlpVariables("INSECURE", "`insecure` of OTLP exporters, for an endpoint without a scheme: `true`, or `false`, which anything else is too"),
	otlpVariables("PROTOCOL", "`protocol` of OTLP exporters: `grpc` or `http/protobuf`, which `http/json` is taken for"),
	otlpVariables("HEADERS", "`headers` of OTLP exporters: `key=value,key=value`, percent-encoded; those that can be read are taken"),
	otlpVariables("COMPRESSION", "`compression` of OTLP exporters: `none`, `gzip`, and for `type: otlp` `zstd`"),
	// https://opentelemetry.io/docs/specs/otel/configuration/common/#timeout
	otlpVariables("TIMEOUT", "`timeout` of OTLP exporters, in milliseconds; 0 is no limit besides `send.timeout`"),
	otlpVariables("CERTIFICATE", "`tls.ca_file` of OTLP exporters"),
	otlpVariables("CLIENT_CERTIFICATE", "`tls.cert_file` of OTLP exporters"),
	otlpVariables("CLIENT_KEY", "`tls.key_file` of OTLP exporters"),
	[]otelVariable{
		// https://opentelemetry.io/docs/specs/otel/configuration/common/#duration
		{"OTEL_BSP_SCHEDULE_DELAY", "", "`batch.max_age` of each exporter, in milliseconds; 0 sends at once", nil},
		{"OTEL_BSP_EXPORT_TIMEOUT", "", "`send.timeout` of each exporter, in milliseconds; 0 is no limit", nil},
		{otelenv.MaxQueueSize, "", "`queue.max_bytes` of each exporter, in spans of 1 KiB; 1 or more", nil},
		{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "", "`batch.max_spans` of each exporter; 1 to 65536, and no more than `OTEL_BSP_MAX_QUEUE_SIZE`", nil},
	},
	limitVariables(),
)

// metricsVariables are read where the metrics section starts what reads them.
// Sources: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#periodic-exporting-metricreader
// and https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/otlp/
var metricsVariables = func() (all []otelVariable) {
	for _, key := range []string{"ENDPOINT", "INSECURE", "PROTOCOL", "HEADERS", "COMPRESSION", "TIMEOUT", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"} {
		all = append(all, otelVariable{"OTEL_EXPORTER_OTLP_METRICS_" + key, "", "of `metrics: {exporter: otlp}`, as `OTEL_EXPORTER_OTLP_" + key + "`, over which it wins", nil})
	}
	return append(
		all,
		otelVariable{"OTEL_METRIC_EXPORT_INTERVAL", "", "`interval` of `metrics: {exporter: otlp}`, in milliseconds", nil},
		otelVariable{"OTEL_METRIC_EXPORT_TIMEOUT", "", "how long reading and sending metrics may take there, in milliseconds; 0 is no limit; 30 s by default", nil},
		otelVariable{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "", "`temporality` there: `cumulative`, `delta` or `lowmemory`", nil},
		otelVariable{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "", "the buckets of histograms there: `explicit_bucket_histogram` or `base2_exponential_bucket_histogram`", nil},
	)
}()

const (
	tracesSampler = "OTEL_TRACES_SAMPLER"
	samplerArg    = "OTEL_TRACES_SAMPLER_ARG"
)

// otlpVariables are read by the exporters that speak OTLP, for the keys that
// their entry leaves out.
func otlpVariables(name, doc string) []otelVariable {
	return []otelVariable{
		{"OTEL_EXPORTER_OTLP_TRACES_" + name, "", doc, nil},
		{"OTEL_EXPORTER_OTLP_" + name, "", doc, nil},
	}
}

// limitVariables set what a span can hold. A negative number is none, and so no limit
// cannot be asked for: what is not negative is valid, says the specification.
func limitVariables() (all []otelVariable) {
	for _, l := range otelenv.Limits {
		for _, name := range l.Variables {
			all = append(all, otelVariable{name, "limits." + l.Key, "0 or more", readLimit(l.Key)})
		}
	}
	return all
}

// otelTree reads OpenTelemetry's variables.
func (r *reader) otelTree() *node {
	tree := &node{kind: mapping}
	for _, v := range otelVariables {
		value := strings.TrimSpace(r.env[v.name])
		if v.read == nil || value == "" {
			continue
		}
		if err := v.read(r, tree, v.name, value); err != nil {
			r.warn(v.name, "%w", err)
		}
	}
	return tree
}

// warnIgnored names OpenTelemetry's variables that riffle does not read, in
// one warning. The SDK reads those of its experiments itself, and riffle's helpers for
// instrumentation have to do with the others.
func (r *reader) warnIgnored() {
	others := []string{"OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_TRACE_ID", "OTEL_SPAN_ID"}
	read := otelVariables
	if r.metricsReads {
		read = slices.Concat(read, metricsVariables)
	}
	var ignored []string
	for _, name := range slices.Sorted(maps.Keys(r.env)) {
		if !strings.HasPrefix(name, "OTEL_") || strings.HasPrefix(name, "OTEL_GO_X_") || slices.Contains(others, name) || strings.TrimSpace(r.env[name]) == "" {
			continue
		}
		if !slices.ContainsFunc(read, func(v otelVariable) bool { return v.name == name }) {
			ignored = append(ignored, name)
		}
	}
	if len(ignored) > 0 {
		r.warn("", "variables that riffle does not read: %s", strings.Join(ignored, ", "))
	}
}

// warnAll adds warnings of components and lines about variables that they read, each
// once, however many of them read it.
func (r *reader) warnAll(warnings []*component.FieldError) {
	for _, w := range warnings {
		said := func(e *core.ConfigError) bool { return e.Position == w.Path && e.Err.Error() == w.Err.Error() }
		if !slices.ContainsFunc(r.warnings, said) {
			r.warn(w.Path, "%w", w.Err)
		}
	}
}

func readText(key string) func(*reader, *node, string, string) error {
	return func(_ *reader, tree *node, name, value string) error {
		tree.setText(key, name, value)
		return nil
	}
}

// readDisabled takes nothing but true and false: what is false by being neither must
// not turn tracing on.
func readDisabled(_ *reader, tree *node, name, value string) error {
	disabled, err := otelenv.Bool(value)
	if err != nil {
		return otelenv.Ignored(err)
	}
	tree.setText("enabled", name, strconv.FormatBool(!disabled))
	return nil
}

func readAttributes(_ *reader, tree *node, name, value string) error {
	attributes, err := otelenv.Attributes(value)
	resource := &node{kind: mapping, pos: name}
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		resource.set(member{key: key, pos: name, value: &node{kind: scalar, text: attributes[key], quoted: true, pos: name}})
	}
	for _, a := range attributeKeys {
		if m := resource.member(a.attribute); m.value != nil {
			if !tree.has(a.key) {
				tree.setText(a.key, name, m.value.text)
			}
			resource = resource.without(a.attribute)
		}
	}
	tree.set(member{key: "resource", pos: name, value: resource})
	if err != nil {
		return otelenv.Ignored(err)
	}
	return nil
}

func readPropagators(_ *reader, tree *node, name, value string) error {
	items, unknown := pick(value, name, func(s string) (string, bool) {
		return s, slices.Contains(core.PropagatorNames(), s)
	})
	items, alone := noneAlone(items)
	tree.setList("propagators", name, items)
	return errorsOf(alone, ignored("propagators", unknown, core.PropagatorNames()))
}

func readSampler(r *reader, tree *node, name, value string) error {
	known := []string{"always_on", "always_off", "traceidratio", jaegerRemote}
	for _, s := range known {
		known = append(known, "parentbased_"+s)
	}
	sampler, rate := strings.ToLower(value), 1.0
	switch {
	case sampler == "xray":
		return otelenv.Ignored(fmt.Errorf("%s is not supported by this variable (supported are %s)", component.Shown(sampler), strings.Join(known, ", ")))
	case !slices.Contains(known, sampler):
		return otelenv.Ignored(fmt.Errorf("%s is not one of %s", component.Shown(value), strings.Join(known, ", ")))
	}
	r.asks = !strings.HasPrefix(sampler, "parentbased_")
	switch {
	case strings.HasSuffix(sampler, jaegerRemote):
		return readJaegerRemote(r, tree, name)
	case strings.HasSuffix(sampler, "always_off"):
		rate = 0
	case strings.HasSuffix(sampler, "traceidratio"):
		if text := strings.TrimSpace(r.env[samplerArg]); text != "" {
			p, err := strconv.ParseFloat(text, 64)
			if _, bad := sampling.ThresholdFromProbability(p); err != nil || bad != nil {
				r.warn(samplerArg, "%s is not a number from 0 to 1: 1 is taken", component.Shown(text))
				break
			}
			name, rate = samplerArg, p
		}
	}
	tree.setText("sample_rate", name, strconv.FormatFloat(rate, 'g', -1, 64))
	return nil
}

// askBelowParents lets the sampler of OTEL_TRACES_SAMPLER be asked below remote parents,
// if it is the one in force and is not based on them.
func (r *reader) askBelowParents() {
	samples := func(tree *node) bool { return tree.has("samplers") || tree.has("sample_rate") }
	if r.asks && samples(r.otel) && !samples(r.file) && !samples(r.app) {
		r.otel.setText("remote_parent", tracesSampler, string(record.Ask))
	}
}

func readExporters(r *reader, tree *node, name, value string) error {
	types := r.exporters.Names()
	var bad []error
	names, unknown := pick(value, name, func(s string) (string, bool) {
		if s == "console" {
			s = "stdout"
		}
		return s, s == "none" || s == "otlp" || slices.Contains(types, s)
	})
	names, alone := noneAlone(names)
	entries := []*node{}
	for _, n := range names {
		if n.text == "none" {
			continue
		}
		if _, ok := r.exporters.Lookup(n.text); ok && r.exporters.Plan(n.text, "", nil).Err() != nil {
			bad = append(bad, otelenv.Ignored(fmt.Errorf("exporter %s needs an entry in the file", n.text)))
			continue
		}
		entry := &node{kind: mapping, pos: name}
		entry.set(member{key: "type", pos: name, value: n})
		entries = append(entries, entry)
	}
	if len(names) > len(bad) {
		tree.setList("exporters", name, entries)
	}
	return errorsOf(append(bad, alone, ignored("exporters", unknown, append(types, "console", "none")))...)
}

// noneAlone leaves none alone where it is in a list, with an error if it was not.
func noneAlone(items []*node) ([]*node, error) {
	i := slices.IndexFunc(items, func(n *node) bool { return n.text == "none" })
	if i < 0 || len(items) == 1 {
		return items, nil
	}
	return items[i : i+1], errors.New("none stands alone: the others are ignored")
}

// errorsOf makes one error of those that are some.
func errorsOf(errs ...error) error {
	return otelenv.Join(slices.DeleteFunc(errs, func(err error) bool { return err == nil }))
}

func readLimit(key string) func(*reader, *node, string, string) error {
	return func(_ *reader, tree *node, name, value string) error {
		n, err := otelenv.Integer(value, 0)
		if err != nil {
			return otelenv.Ignored(err)
		}
		limits := &node{kind: mapping, pos: name}
		if m := tree.member("limits"); m.value != nil {
			limits = m.value
		}
		if !limits.has(key) {
			limits.setText(key, name, strconv.Itoa(n))
		}
		tree.set(member{key: "limits", pos: name, value: limits})
		return nil
	}
}

// pick takes a list with commas apart, into what translate knows by no case and the
// rest, without repetitions.
func pick(value, name string, translate func(string) (string, bool)) (items []*node, unknown []string) {
	seen := map[string]bool{}
	for s := range strings.SplitSeq(value, ",") {
		s = strings.TrimSpace(s)
		text, ok := translate(strings.ToLower(s))
		switch {
		case s == "" || seen[text]:
		case ok:
			items = append(items, &node{kind: scalar, text: text, pos: name})
		default:
			unknown = append(unknown, s)
		}
		seen[text] = true
	}
	return items, unknown
}

// setList adds a list; an empty one is set too, nil is not.
func (n *node) setList(key, variable string, items []*node) {
	if items != nil {
		n.set(member{key: key, pos: variable, value: &node{kind: list, pos: variable, items: items}})
	}
}

func ignored(what string, unknown, known []string) error {
	if len(unknown) == 0 {
		return nil
	}
	return fmt.Errorf("unknown %s are ignored: %s (known are %s)", what, strings.Join(shownAll(unknown), ", "), strings.Join(known, ", "))
}

// shownAll are texts as they may be shown, words without quotes.
func shownAll(texts []string) []string {
	shown := make([]string, len(texts))
	for i, s := range texts {
		shown[i] = strings.Trim(component.Shown(s), `"`)
	}
	return shown
}
