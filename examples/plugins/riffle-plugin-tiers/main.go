// Program riffle-plugin-tiers is a sampler as a program of its own: it keeps the
// share of a tenant's traces that a file says, and follows the file.
//
//	samplers:
//	  - type: plugin
//	    plugin: tiers
//	    config: {file: tiers.yaml}
package main

import (
	"os"

	"github.com/riffletrace/riffle/plugins"
)

func main() { os.Exit(plugins.Main(plugins.Sampler(Factory))) }
