package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/config"
)

// schemaFacts are the types and properties of OpenTelemetry's schema at v1.1.0, made
// from its opentelemetry_configuration.json by
//
//	RIFFLE_OTEL_SCHEMA=FILE go test ./config -run TestOpenTelemetrySchema -update
const schemaFacts = "testdata/opentelemetry/schema-1.1.0.txt"

// sinceThen are the properties that the schema got after v1.1.0, and what the
// specification has and the schema does not yet.
var sinceThen = []string{
	"AlwaysRecordSampler ", "AlwaysRecordSampler.", "Sampler.always_record ",
	".attribute_value_depth_limit ", ".max_request_size ", ".max_response_size ",
	"ComposableAnnotating", "AnnotatingAttributes",
}

// The table has every property of the schema that is about traces, with its type, and
// only those in development are refused.
func TestOpenTelemetrySchema(t *testing.T) {
	if schema := os.Getenv("RIFFLE_OTEL_SCHEMA"); schema != "" && *update {
		data, err := os.ReadFile(schema)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(schemaFacts, []byte(factsOf(t, data)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(schemaFacts)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(data)), "\n")
	var got []string
	for _, typ := range config.Describe(registries(t)...).OpenTelemetry {
		got = append(got, fact(typ.Name, typ.Kind, typ.Open))
		for _, p := range typ.Properties {
			line := typ.Name + "." + p.Key + " " + p.Type
			got = append(got, line)
			experimental := strings.HasPrefix(typ.Name, "Experimental") || strings.HasSuffix(p.Key, "/development")
			if p.Fate == "refused" && !experimental {
				t.Errorf("%s is stable, and refused", line)
			}
			if p.Doc == "" {
				t.Errorf("nothing is said of %s", line)
			}
		}
	}
	got = slices.DeleteFunc(got, func(line string) bool {
		return slices.ContainsFunc(sinceThen, func(s string) bool { return strings.Contains(line, s) })
	})
	slices.Sort(got)
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("the table is not that of the schema (-schema +table):\n%s", diff)
	}
}

func fact(name, kind string, open bool) string {
	if open {
		kind += ", open"
	}
	return name + " " + kind
}

// notAboutTraces are properties whose types are not looked at.
var notAboutTraces = []string{"logger_provider", "meter_provider", "instrumentation/development"}

type jsonSchema struct {
	Ref              string                `json:"$ref"`
	Type             any                   `json:"type"`
	Properties       map[string]jsonSchema `json:"properties"`
	Required         []string              `json:"required"`
	Additional       any                   `json:"additionalProperties"`
	Items            *jsonSchema           `json:"items"`
	Enum             []any                 `json:"enum"`
	OneOf            []jsonSchema          `json:"oneOf"`
	Minimum          *float64              `json:"minimum"`
	ExclusiveMinimum *float64              `json:"exclusiveMinimum"`
	MaxProperties    int                   `json:"maxProperties"`
	Defs             map[string]jsonSchema `json:"$defs"`
}

// factsOf writes what is needed of a schema: no descriptions.
func factsOf(t *testing.T, data []byte) string {
	t.Helper()
	var root jsonSchema
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	var lines []string
	seen := map[string]bool{}
	var add func(name string, s jsonSchema)
	// typeOf names the type of a value, and adds that type.
	typeOf := func(key string, s jsonSchema) string {
		if slices.Contains(notAboutTraces, key) {
			return "any"
		}
		list := ""
		if s.Items != nil {
			list, s = "[]", *s.Items
		}
		if name := strings.TrimPrefix(s.Ref, "#/$defs/"); name != "" {
			if isEmpty(root.Defs[name]) {
				name, s = "Empty", root.Defs[name]
			} else {
				s = root.Defs[name]
			}
			add(name, s)
			return list + name
		}
		types := typesOf(s)
		name := types[0]
		switch {
		case len(s.OneOf) > 0:
			name = "value?"
		case name == "integer" && s.ExclusiveMinimum != nil, name == "integer" && s.Minimum != nil && *s.Minimum == 1:
			name = "positive"
		case name == "integer":
			name = "natural"
		case name == "number":
			name = "ratio"
		}
		if slices.Contains(types, "null") {
			name += "?"
		}
		return list + name
	}
	add = func(name string, s jsonSchema) {
		if seen[name] {
			return
		}
		seen[name] = true
		kind := "mapping"
		for i, v := range s.Enum {
			if kind += "|" + fmt.Sprint(v); i == 0 {
				kind = fmt.Sprint(v)
			}
		}
		if s.MaxProperties == 1 {
			kind = "one key"
		}
		if slices.Contains(typesOf(s), "null") {
			kind += "?"
		}
		open := s.Additional != false && s.Additional != nil && name != "OpenTelemetryConfiguration" && name != "ExperimentalComposableSampler"
		lines = append(lines, fact(name, kind, open))
		for key, p := range s.Properties {
			line := name + "." + key + " " + typeOf(key, p)
			if slices.Contains(s.Required, key) {
				line += "!"
			}
			lines = append(lines, line)
		}
	}
	add("OpenTelemetryConfiguration", root)
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

func isEmpty(s jsonSchema) bool {
	return len(s.Properties) == 0 && s.Additional == false && len(s.Enum) == 0
}

func typesOf(s jsonSchema) []string {
	switch v := s.Type.(type) {
	case string:
		return []string{v}
	case []any:
		types := make([]string, len(v))
		for i, typ := range v {
			types[i] = fmt.Sprint(typ)
		}
		return types
	}
	return []string{""}
}
