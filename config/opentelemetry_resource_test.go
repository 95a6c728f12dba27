package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/config"
)

// Attributes of all types are taken; texts can be overridden key by key.
func TestOpenTelemetryResource(t *testing.T) {
	spec := parseOTel(t, console+`resource:
  attributes:
    - {name: service.name, value: checkout}
    - {name: s, value: 1.10}
    - {name: b, value: true, type: bool}
    - {name: i, value: 0x10, type: int}
    - {name: d, value: 1, type: double}
    - {name: ss, value: [a, 1], type: string_array}
    - {name: bs, value: [true, false], type: bool_array}
    - {name: is, value: [1, 2], type: int_array}
    - {name: ds, value: [1.5, 2], type: double_array}
    - {name: gone, value: null}
    - {name: over, value: 1, type: int}
  attributes_list: "over=text,service.version=1%202,deployment.environment.name=prod"
  schema_url: https://opentelemetry.io/schemas/1.16.0
  detection/development:
    attributes: {included: [process.*], excluded: ["*.pid"]}
    detectors: [{process: }, {host: {}}]
`)
	if spec.ServiceName != "checkout" || spec.ServiceVersion != "1 2" || spec.ServiceNamespace != "" {
		t.Errorf("the service is %q %q %q", spec.ServiceNamespace, spec.ServiceName, spec.ServiceVersion)
	}
	if diff := cmp.Diff(map[string]string{"s": "1.10", "deployment.environment.name": "prod"}, spec.Resource); diff != "" {
		t.Error(diff)
	}
	var attrs []string
	for _, kv := range spec.ExactResource.Attributes {
		attrs = append(attrs, string(kv.Key)+" "+kv.Value.Type().String()+" "+kv.Value.String())
	}
	want := []string{
		"b BOOL true", "i INT64 16", "d FLOAT64 1", `ss STRINGSLICE ["a","1"]`, "bs BOOLSLICE [true,false]", "is INT64SLICE [1,2]", "ds FLOAT64SLICE [1.5,2]", "over INT64 1",
	}
	if diff := cmp.Diff(want, attrs); diff != "" {
		t.Error(diff)
	}
	e := spec.ExactResource
	if e.SchemaURL != "https://opentelemetry.io/schemas/1.16.0" || strings.Join(e.Detectors, " ") != "process host" || e.Includes("process.pid") || e.Includes("host.name") || !e.Includes("process.owner") {
		t.Errorf("the rest is %+v", e)
	}
}

// The detector service takes the name from the variable, unless the file has one.
func TestOpenTelemetryServiceDetector(t *testing.T) {
	const detector = console + "resource: {detection/development: {detectors: [{service: }]}, attributes_list: \"LIST\"}\n"
	for list, want := range map[string]string{"": "from-env", "service.name=from-file": "from-file"} {
		spec := parseOTel(t, strings.Replace(detector, "LIST", list, 1), "OTEL_SERVICE_NAME=from-env")
		if spec.ServiceName != want {
			t.Errorf("%q: got %q, want %q", list, spec.ServiceName, want)
		}
	}
}

// The cases are those of the specification's table, and what it says of prefixes.
// Source: https://opentelemetry.io/docs/specs/otel/configuration/data-model/#environment-variable-substitution
func TestOpenTelemetrySubstitution(t *testing.T) {
	env := []string{
		"STRING_VALUE=value", "INT_VALUE=1", "REPLACE_ME=${DO_NOT_REPLACE_ME}", "DO_NOT_REPLACE_ME=never",
		"VALUE_WITH_ESCAPE=value$$", "INVALID_MAP_VALUE=value\nkey:value", "EMPTY=",
	}
	for _, tt := range []struct{ value, want string }{
		{"${STRING_VALUE}", "value"},
		{"${INT_VALUE}", "1"},
		{`"${INT_VALUE}"`, "1"},
		{"${env:STRING_VALUE}", "value"},
		{"${env:UNDEFINED:-fallback}", "fallback"},
		{"${INVALID_MAP_VALUE}", "value\nkey:value"},
		{"foo ${STRING_VALUE} ${INT_VALUE}", "foo value 1"},
		{"${UNDEFINED_KEY}", "(null)"},
		{"${EMPTY:-fallback}", "fallback"},
		{"${UNDEFINED_KEY:-fallback}", "fallback"},
		{"${UNDEFINED_KEY:--fallback:-}", "-fallback:-"},
		{"${REPLACE_ME}", "${DO_NOT_REPLACE_ME}"},
		{"${UNDEFINED_KEY:-${STRING_VALUE}}", "${STRING_VALUE}"},
		{"$${STRING_VALUE}", "${STRING_VALUE}"},
		{"$$${STRING_VALUE}", "$value"},
		{"$$$${STRING_VALUE}", "$${STRING_VALUE}"},
		{"$${STRING_VALUE:-fallback}", "${STRING_VALUE:-fallback}"},
		{"$${STRING_VALUE:-${STRING_VALUE}}", "${STRING_VALUE:-value}"},
		{"${UNDEFINED_KEY:-$${UNDEFINED_KEY}}", "${UNDEFINED_KEY:-${UNDEFINED_KEY}}"},
		{"${VALUE_WITH_ESCAPE}", "value$$"},
		{"a $$ b", "a $ b"},
		{"a $ b", "a $ b"},
		{"${STRING_VALUE:?error}", ""},
		{"${sys:user.name}", ""},
		{"${1API_KEY}", ""},
		{"${API_$KEY}", ""},
	} {
		text := console + "resource: {attributes: [\n{name: k, value: \n" + tt.value + "\n}]}\n"
		if strings.HasPrefix(tt.value, "$") || strings.Contains(tt.value, "{") {
			text = console + "resource:\n  attributes:\n    - name: k\n      value: " + tt.value + "\n"
		}
		spec, err := config.Parse([]byte(text), schemaRegistries(t, config.Environ(env))...)
		switch got, ok := spec.Resource["k"]; {
		case (err != nil) != (tt.want == ""):
			t.Errorf("%s: %v", tt.value, err)
		case err != nil:
		case !ok && tt.want != "(null)", ok && got != tt.want:
			t.Errorf("%s: got %q, want %q", tt.value, got, tt.want)
		}
	}
	// A key is no place for a variable.
	spec := parseOTel(t, console+"\"${STRING_VALUE}\": x\n", env...)
	if w := warnings(spec).Error(); !strings.Contains(w, "${STRING_VALUE}") {
		t.Error(w)
	}
}
