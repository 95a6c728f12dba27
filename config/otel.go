package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// otelVariable is one of OpenTelemetry's own variables.
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

// otelVariables is the table; of two that set the same, the first wins.
var otelVariables = slices.Concat(
	[]otelVariable{
		{otelConfigFile, "", "a file of [OpenTelemetry's own schema](opentelemetry-configuration.md); while it is set, no other of these variables counts", nil},
		{"OTEL_SDK_DISABLED", "enabled", "its opposite: `true` turns tracing off, `false` on", readDisabled},
		{"OTEL_SERVICE_NAME", "service_name", "", readText("service_name")},
		{"OTEL_RESOURCE_ATTRIBUTES", "resource", "`key=value,key=value`, percent-encoded; those with a key of their own, such as `service.version`, set that", readAttributes},
		{"OTEL_PROPAGATORS", "propagators", "a list with commas", readPropagators},
		{"OTEL_TRACES_SAMPLER", "sample_rate", "`always_on`, `always_off`, `traceidratio`, and these with `parentbased_` before; what a parent means is up to `remote_parent`", readSampler},
		{"OTEL_TRACES_SAMPLER_ARG", "sample_rate", "the rate of `traceidratio`", nil},
		{"OTEL_TRACES_EXPORTER", "exporters", "a list with commas of `otlp`, `console` (`stdout`), or `none`", readExporters},
	},
	otlpVariables("ENDPOINT", "`endpoint` of OTLP exporters"),
	otlpVariables("INSECURE", "`insecure` of OTLP exporters"),
	otlpVariables("PROTOCOL", "`protocol` of OTLP exporters"),
	otlpVariables("HEADERS", "`headers` of OTLP exporters: `key=value,key=value`, percent-encoded"),
	otlpVariables("COMPRESSION", "`compression` of OTLP exporters"),
	otlpVariables("TIMEOUT", "`timeout` of OTLP exporters, in milliseconds"),
	otlpVariables("CERTIFICATE", "`tls.ca_file` of OTLP exporters"),
	otlpVariables("CLIENT_CERTIFICATE", "`tls.cert_file` of OTLP exporters"),
	otlpVariables("CLIENT_KEY", "`tls.key_file` of OTLP exporters"),
	[]otelVariable{
		{"OTEL_BSP_SCHEDULE_DELAY", "", "`batch.max_age` of each exporter, in milliseconds", nil},
		{"OTEL_BSP_EXPORT_TIMEOUT", "", "`send.timeout` of each exporter, in milliseconds", nil},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "", "`queue.max_bytes` of each exporter, in spans of 1 KiB", nil},
		{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "", "`batch.max_spans` of each exporter", nil},
		limitVariable("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "attribute_count"),
		limitVariable("OTEL_ATTRIBUTE_COUNT_LIMIT", "attribute_count"),
		limitVariable("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "attribute_value_length"),
		limitVariable("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "attribute_value_length"),
		limitVariable("OTEL_SPAN_EVENT_COUNT_LIMIT", "event_count"),
		limitVariable("OTEL_SPAN_LINK_COUNT_LIMIT", "link_count"),
		limitVariable("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "event_attribute_count"),
		limitVariable("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "link_attribute_count"),
	},
)

// otlpVariables are read by the exporters that speak OTLP, for the keys that
// their entry leaves out.
func otlpVariables(name, doc string) []otelVariable {
	return []otelVariable{
		{"OTEL_EXPORTER_OTLP_TRACES_" + name, "", doc, nil},
		{"OTEL_EXPORTER_OTLP_" + name, "", doc, nil},
	}
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
// one warning. The SDK reads those of its experiments itself.
func (r *reader) warnIgnored() {
	var ignored []string
	for _, name := range slices.Sorted(maps.Keys(r.env)) {
		if !strings.HasPrefix(name, "OTEL_") || strings.HasPrefix(name, "OTEL_GO_X_") || r.env[name] == "" {
			continue
		}
		if !slices.ContainsFunc(otelVariables, func(v otelVariable) bool { return v.name == name }) {
			ignored = append(ignored, name)
		}
	}
	if len(ignored) > 0 {
		r.warn("", "variables that riffle does not read: %s", strings.Join(ignored, ", "))
	}
}

func readText(key string) func(*reader, *node, string, string) error {
	return func(_ *reader, tree *node, name, value string) error {
		tree.setText(key, name, value)
		return nil
	}
}

func readDisabled(_ *reader, tree *node, name, value string) error {
	disabled, err := strconv.ParseBool(strings.ToLower(value))
	if err != nil {
		return fmt.Errorf("%s is neither true nor false: ignored", component.Shown(value))
	}
	tree.setText("enabled", name, strconv.FormatBool(!disabled))
	return nil
}

func readAttributes(_ *reader, tree *node, name, value string) error {
	resource := &node{kind: mapping, pos: name}
	for i, pair := range strings.Split(value, ",") {
		key, text, ok := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		text, err := url.PathUnescape(strings.TrimSpace(text))
		if !ok || key == "" || err != nil {
			return fmt.Errorf("entry %d is not key=value, percent-encoded: ignored as a whole", i+1)
		}
		resource.set(member{key: key, pos: name, value: &node{kind: scalar, text: text, quoted: true, pos: name}})
	}
	for _, a := range attributeKeys {
		if m := resource.member(a.attribute); m.value != nil {
			if !tree.has(a.key) {
				tree.setText(a.key, name, m.value.text)
			}
			resource.members = slices.DeleteFunc(resource.members, func(m member) bool { return m.key == a.attribute })
		}
	}
	tree.set(member{key: "resource", pos: name, value: resource})
	return nil
}

func readPropagators(_ *reader, tree *node, name, value string) error {
	items, unknown := pick(value, name, func(s string) (string, bool) {
		return s, slices.Contains(core.PropagatorNames(), s)
	})
	if slices.ContainsFunc(items, func(n *node) bool { return n.text == "none" }) {
		items = []*node{{kind: scalar, text: "none", pos: name}}
	}
	tree.setList("propagators", name, items)
	return ignored("propagators", unknown, core.PropagatorNames())
}

func readSampler(r *reader, tree *node, name, value string) error {
	var rate string
	switch strings.TrimPrefix(strings.ToLower(value), "parentbased_") {
	case "always_on":
		rate = "1"
	case "always_off":
		rate = "0"
	case "traceidratio":
		rate = "1"
		const arg = "OTEL_TRACES_SAMPLER_ARG"
		if text := strings.TrimSpace(r.env[arg]); text != "" {
			p, err := strconv.ParseFloat(text, 64)
			if _, bad := sampling.ThresholdFromProbability(p); err != nil || bad != nil {
				r.warn(arg, "%s is not a number from 0 to 1: 1 is taken", component.Shown(text))
				break
			}
			name, rate = arg, text
		}
	default:
		return fmt.Errorf("%s is not one of always_on, always_off, traceidratio, parentbased_*: ignored", component.Shown(value))
	}
	tree.setText("sample_rate", name, rate)
	return nil
}

func readExporters(r *reader, tree *node, name, value string) error {
	types := r.exporters.Names()
	names, unknown := pick(value, name, func(s string) (string, bool) {
		if s == "console" {
			s = "stdout"
		}
		return s, s == "none" || s == "otlp" || slices.Contains(types, s)
	})
	entries := []*node{}
	for _, n := range names {
		if n.text == "none" {
			entries = entries[:0]
			break
		}
		entry := &node{kind: mapping, pos: name}
		entry.set(member{key: "type", pos: name, value: n})
		entries = append(entries, entry)
	}
	if len(names) > 0 {
		tree.setList("exporters", name, entries)
	}
	return ignored("exporters", unknown, append(types, "console", "none"))
}

func limitVariable(name, key string) otelVariable {
	return otelVariable{name, "limits." + key, "", func(_ *reader, tree *node, name, value string) error {
		if _, err := strconv.ParseInt(value, 10, 32); err != nil {
			return fmt.Errorf("%s is not a whole number: ignored", component.Shown(value))
		}
		limits := &node{kind: mapping, pos: name}
		if m := tree.member("limits"); m.value != nil {
			limits = m.value
		}
		if !limits.has(key) {
			limits.setText(key, name, value)
		}
		tree.set(member{key: "limits", pos: name, value: limits})
		return nil
	}}
}

// pick takes a list with commas apart, into what translate knows and the
// rest, without repetitions.
func pick(value, name string, translate func(string) (string, bool)) (items []*node, unknown []string) {
	seen := map[string]bool{}
	for s := range strings.SplitSeq(value, ",") {
		s = strings.TrimSpace(s)
		text, ok := translate(s)
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
