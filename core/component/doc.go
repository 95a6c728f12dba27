// Package component is what samplers and exporters have in common: how one is
// named, configured, described and built.
//
// An author writes a configuration struct and makes a [Factory] of it with
// [NewFactory]. The struct is the only source of what users can set: its tags
// and values are the strict decoding, the defaults, the documentation and the
// JSON Schema. A [Registry] knows the factories of one kind by name; the default
// ones are [Exporters] and sampling.Samplers.
//
// An entry of a configuration goes one way:
//
//	entry --Registry.Plan--> Plan --Plan.Build--> component
//	        decoded, checked       built, once
//
// A [Plan] has been decoded and checked, and nothing is built yet, so that every
// mistake of a configuration is found before anything starts. [Use] makes a plan
// in Go, without a registry.
package component
