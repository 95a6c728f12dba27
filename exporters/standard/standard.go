// Package standard registers the exporters that riffle comes with.
package standard

import (
	_ "github.com/riffletrace/riffle/exporters/file"   // type: file
	_ "github.com/riffletrace/riffle/exporters/otlp"   // type: otlp
	_ "github.com/riffletrace/riffle/exporters/sdk"    // types: otlptracegrpc, otlptracehttp
	_ "github.com/riffletrace/riffle/exporters/stdout" // type: stdout
)
