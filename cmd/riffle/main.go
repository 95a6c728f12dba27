// Command riffle shows what riffle does, checks configurations and lists the
// components that they can use.
package main

import (
	"os"

	_ "github.com/riffletrace/riffle/all"
	"github.com/riffletrace/riffle/cmd/riffle/cli"
)

func main() { os.Exit(cli.Main()) }
