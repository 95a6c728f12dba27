// Package all registers every exporter: those of [standard], and those of the
// clouds, which bring the clouds' own libraries. A service that sends to one
// cloud imports that one's package beside standard.
//
// [standard]: https://pkg.go.dev/github.com/riffletrace/riffle/exporters/standard
package all

import (
	_ "github.com/riffletrace/riffle/exporters/standard" // file, otlp, otlptracegrpc, otlptracehttp, stdout

	_ "github.com/riffletrace/riffle/exporters/azuremonitor" // type: azuremonitor
	_ "github.com/riffletrace/riffle/exporters/cloudtrace"   // type: cloudtrace
	_ "github.com/riffletrace/riffle/exporters/xray"         // type: xray
)
