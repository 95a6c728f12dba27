// Package metrics starts a MeterProvider of OpenTelemetry's SDK for a service that has
// none:
//
//	metrics: {exporter: prometheus, listen: "localhost:9464"}
//	metrics: {exporter: otlp, endpoint: "https://collector:4317"}
//
// Importing it, which package all does, makes both exporters known:
//
//	import _ "github.com/riffletrace/riffle/metrics"
//
// It is a module of its own, so that only who imports it requires Prometheus's client and
// the SDK's exporters of metrics. A service that has a MeterProvider needs none of it.
package metrics
