// Package spanmetrics counts spans, whether or not their traces are kept: how many
// there were, how many of them failed, and how long they took.
//
// # Series
//
// A series stands for what spans have in common: the service, the name, the kind, the
// status, and the dimensions that are asked for. There are at most max_series of each
// metric, as OpenTelemetry's cardinality limit says: what does not fit is counted in one
// of its own, so that the sum over all series is always exact. A path in a name that is
// not the span's route has its shape ([route.Shapes]): no service has as many series as it
// has users.
//
// # Cost
//
// A span is found by the hash of what it has, in a table without a lock, in which what
// was found once stands under the name that the span had. Calls are atomic counters that
// are read when metrics are collected. Durations are recorded through the API, whose SDK
// finds the series once more, unless the histogram is a [Binder].
package spanmetrics
