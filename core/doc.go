// Package core is riffle's engine: it makes spans with the OpenTelemetry SDK,
// asks samplers which traces to keep, and hands those to exporters.
//
// A [Spec] says what a [Provider] is made of: two lists of [Component], the
// samplers and the exporters. Each entry names a type; a [Registry] knows the
// [Factory] of each type. Package config makes a Spec from YAML and the
// environment, [Use] makes entries in Go.
//
// # Sampling
//
// The trace ID holds 56 random bits, R. A sampler answers with a [Threshold] T,
// and the trace is selected if R >= T, so that all samplers, services and
// languages that follow OpenTelemetry's consistent probability sampling agree.
// The threshold of a kept span travels in tracestate (ot=th:...); its adjusted
// count, 2^56/(2^56-T), is how many spans it speaks for.
//
// A local root is a span with no parent, or whose parent is in another process.
// When one starts, the start samplers are asked in order and the first that does
// not abstain decides. Spans below it inherit.
package core
