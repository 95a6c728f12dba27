// Package interop holds riffle to real backends: Jaeger and the OpenTelemetry
// Collector, built from their modules and started on free ports of loopback.
// What users read in docs/backends.md is what runs here: the tests take the
// configurations from that page, send the traces of riffle demo through them,
// and read them back from the backend. What docs/weights.md says was run is what
// TestWeights and its like run.
//
// The backends are modules of their own, so that neither's requirements meet
// riffle's or the other's: jaeger is a go.mod alone, collector has a small
// main package. Each is built once per version, into the user's cache
// directory.
//
// The tests need some minutes for that, and are skipped unless RIFFLE_INTEROP
// is 1, which make interop sets. TestJSON alone always runs: it compares riffle's
// JSON with that of the Collector's library, without a server.
package interop
