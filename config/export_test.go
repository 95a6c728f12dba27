package config

import (
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core"
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

// Keys describes the section, and Host what the host reads of an entry.
func Keys() []core.Field {
	fields, _ := core.FieldsOf(defaults("fluxbase"))
	return fields
}

// Host describes the keys of an entry that belong to the host.
func Host() []core.Field {
	fields, _ := core.FieldsOf(host{})
	return fields
}

// ExporterKeys describes those of exporters, with their defaults.
func ExporterKeys() []core.Field {
	fields, _ := core.FieldsOf(core.ExporterKeys{Config: delivery.Defaults()})
	return fields
}

// VariableOf is the application's variable for a key, "" if it has none.
func VariableOf(key string) string {
	if !slices.Contains(variables(), key) {
		return ""
	}
	return prefix("fluxbase") + strings.ToUpper(key)
}
