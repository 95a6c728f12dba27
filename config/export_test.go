package config

import (
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
)

// Variable is one of OpenTelemetry's, for the documentation and its test.
type Variable struct{ Name, Sets, Doc string }

// OTelVariables lists them.
func OTelVariables() []Variable {
	var all []Variable
	for _, v := range otelVariables {
		all = append(all, Variable{Name: v.name, Sets: v.sets, Doc: v.doc})
	}
	return all
}

// Keys describes the section, with what registered components share, and Entry what
// every entry has.
func Keys() []component.Field {
	fields, _ := component.FieldsOf(defaults("fluxbase"))
	for name, types := range newReader(newOptions(nil)).sharedTypes() {
		fields = append(fields, component.Field{
			Key: name, Schema: component.Schema{Kind: component.Section, Fields: sharedFields(types)},
			Doc: "what is the same for all entries of a type: its keys " + name + ".* can stand in an entry, too",
		})
	}
	return fields
}

// Entry describes the keys that every entry has.
func Entry() []component.Field {
	fields, _ := component.FieldsOf(entry{})
	return fields
}

// SamplerKeys and ExporterKeys describe what the host reads of an entry of a kind,
// with the defaults.
func SamplerKeys() []component.Field {
	fields, _ := component.FieldsOf(core.SamplerKeys{})
	return fields
}

// ExporterKeys is about exporters.
func ExporterKeys() []component.Field {
	fields, _ := component.FieldsOf(delivery.Defaults())
	return fields
}

// VariableOf is the application's variable for a key, "" if it has none.
func VariableOf(key string) string {
	if !slices.Contains(variables(), key) {
		return ""
	}
	return prefix("fluxbase") + strings.ToUpper(key)
}
