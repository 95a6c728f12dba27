// Package core joins the parts of riffle: it records spans, asks samplers which to
// keep, and hands those to exporters.
//
// A [Spec] says what a [Provider] is made of: settings, and two lists of entries,
// the samplers and the exporters. An entry holds a plan of its component, which is
// decoded and checked and not built, and the keys that belong to the host. Package
// config makes a Spec from YAML and the environment; [UseSampler] and
// [UseExporter] make entries in Go.
//
//	Spec --check--> plan --New--> Provider
//	                every mistake, at once      samplers and lines are built
//
// The vocabulary of decisions is in package sampling, factories and registries are
// in package component, spans and what is decided about them are in package record,
// and the way to the backends is in package delivery.
package core
