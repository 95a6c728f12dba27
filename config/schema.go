package config

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core/component"
)

// substitution is the regular expression of what ${NAME} is in.
const substitution = `\$\{`

// Schema returns the JSON Schema (2020-12) of a file, for editors. What it refuses,
// [Load] refuses too; what it cannot see, such as a name that is there twice, Load tells.
// Its error is what [CheckSection] says.
func Schema(opts ...Option) ([]byte, error) {
	path := newOptions(opts).section
	if err := CheckSection(path); err != nil {
		return nil, err
	}
	r := Describe(opts...)
	section := component.JSONSchema(r.Section, "which traces are kept, and where they go")
	section["type"], section["pattern"] = []string{"object", "string", "null"}, substitution
	defs := map[string]any{"section": section}
	addEntries(defs, section, "sampler", slices.Concat(r.Entry, r.SamplerKeys), r.Samplers)
	addEntries(defs, section, "exporter", slices.Concat(r.Entry, r.ExporterKeys), r.Exporters)
	addMetrics(defs, section, r.MetricsKeys, r.MeterProviders)

	document := map[string]any{"$ref": "#/$defs/section"}
	for _, key := range slices.Backward(names(path)) {
		document = map[string]any{"type": []string{"object", "null"}, "properties": map[string]any{key: document}}
	}
	document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	document["title"] = strings.TrimSuffix("a file with the configuration of riffle at "+path, " at ")
	document["$defs"] = defs

	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(document)
	return text.Bytes(), err
}

// addEntries says what the entries of a list are: the keys of every entry, and those of
// its type besides.
func addEntries[T any](defs, section map[string]any, kind string, hostKeys []component.Field, types []component.Factory[T]) {
	entry := component.JSONSchema(hostKeys, "")
	host := properties(entry)
	names, branches := []string{}, []any{}
	for _, f := range types {
		def := component.JSONSchema(f.Fields(), f.Doc())
		for key := range host {
			properties(def)[key] = map[string]any{"$ref": "#/$defs/" + kind + "/properties/" + key}
		}
		name := kind + "." + f.Name()
		defs[name] = def
		names = append(names, f.Name())
		branches = append(branches, branch("type", f.Name(), name))
	}
	host["type"] = nameOf("the kind of "+kind, names)
	entry["required"], entry["allOf"] = []string{"type"}, branches
	delete(entry, "additionalProperties") // each branch has its own
	defs[kind] = entry
	properties(section)[kind+"s"].(map[string]any)["items"] = map[string]any{"$ref": "#/$defs/" + kind}
}

// nameOf is a key that names one of several.
func nameOf(doc string, names []string) map[string]any {
	return map[string]any{
		"description": doc,
		"anyOf":       []any{map[string]any{"enum": names}, map[string]any{"type": "string", "pattern": substitution}},
	}
}

// branch is what holds of an entry whose key has a value.
func branch(key, value, def string) map[string]any {
	return map[string]any{
		"if":   map[string]any{"type": "object", "properties": map[string]any{key: map[string]any{"const": value}}, "required": []string{key}},
		"then": map[string]any{"$ref": "#/$defs/" + def},
	}
}

func properties(s map[string]any) map[string]any { return s["properties"].(map[string]any) }
