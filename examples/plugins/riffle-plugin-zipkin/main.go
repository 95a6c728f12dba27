// Program riffle-plugin-zipkin is an exporter as a program of its own: it sends
// spans to anything that takes Zipkin v2 JSON.
//
//	exporters:
//	  - type: plugin
//	    plugin: zipkin
//	    config: {endpoint: "http://localhost:9411/api/v2/spans"}
package main

import (
	"os"

	"github.com/riffletrace/riffle/plugins"
)

func main() { os.Exit(plugins.Main(plugins.Exporter(Factory))) }
