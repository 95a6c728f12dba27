// Command riffle shows what riffle does, checks configurations and lists the
// components that they can use.
package main

import (
	"os"

	_ "github.com/riffletrace/riffle/all"
	"github.com/riffletrace/riffle/bench"
	"github.com/riffletrace/riffle/cmd/riffle/cli"
	"github.com/riffletrace/riffle/cmd/riffle/cli/benchmark"
	"github.com/riffletrace/riffle/cmd/riffle/cli/hosting"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

func main() {
	os.Exit(bench.Main(func() int { return cli.Main(benchmark.Command(), hosting.Plugins()) }, bench.Shop())) // which may have started this process
}
