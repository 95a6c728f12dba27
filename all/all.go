// Package all registers every exporter and the host of plugins: what
// exporters/standard has, the exporters of the clouds, which bring the clouds' own
// libraries, and the type plugin. It is a module of its own, so that only who
// imports it requires all that. A service that sends to one cloud imports that
// one's package beside riffle instead; one that runs plugins imports plugins/host.
package all

import (
	_ "github.com/riffletrace/riffle/exporters/azuremonitor" // type: azuremonitor
	_ "github.com/riffletrace/riffle/exporters/cloudtrace"   // type: cloudtrace
	_ "github.com/riffletrace/riffle/exporters/standard"     // file, otlp, otlptracegrpc, otlptracehttp, stdout
	_ "github.com/riffletrace/riffle/exporters/xray"         // type: xray
	_ "github.com/riffletrace/riffle/plugins/host"           // type: plugin
)
