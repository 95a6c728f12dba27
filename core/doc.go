// Package core joins the parts of riffle: it makes spans with the OpenTelemetry
// SDK, asks samplers which traces to keep, and hands those to exporters.
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
// in package component, and the way to the backends is in package delivery.
//
// A local root is a span with no parent, or whose parent is in another process.
// When one starts, the start samplers are asked in order and the first that does
// not abstain decides. Spans below it inherit.
package core
