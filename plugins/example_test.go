package plugins_test

import (
	"os"

	"github.com/riffletrace/riffle/exporters/file"
	"github.com/riffletrace/riffle/plugins"
	"github.com/riffletrace/riffle/samplers/adaptive"
)

// A plugin is a main package that serves factories, the same that would be
// registered if they were compiled in.
func ExampleMain() {
	main := func() { os.Exit(plugins.Main(plugins.Sampler(adaptive.Factory), plugins.Exporter(file.Factory))) }
	_ = main
}
