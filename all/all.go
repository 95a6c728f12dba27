// Package all registers every exporter, the host of plugins, and what starts a
// MeterProvider: what exporters/standard has, the exporters of the clouds, which bring
// the clouds' own libraries, the type plugin, and what a metrics section names. It is a
// module of its own, so that only who imports it requires all that. A service that sends
// to one cloud imports that one's package beside riffle instead; one that runs plugins
// imports plugins/host, one whose metrics riffle is to export imports metrics.
package all

import (
	_ "github.com/riffletrace/riffle/exporters/azuremonitor" // type: azuremonitor
	_ "github.com/riffletrace/riffle/exporters/cloudtrace"   // type: cloudtrace
	_ "github.com/riffletrace/riffle/exporters/standard"     // file, otlp, otlptracegrpc, otlptracehttp, stdout
	_ "github.com/riffletrace/riffle/exporters/xray"         // type: xray
	_ "github.com/riffletrace/riffle/metrics"                // metrics: {exporter: otlp} and prometheus
	_ "github.com/riffletrace/riffle/plugins/host"           // type: plugin
)
