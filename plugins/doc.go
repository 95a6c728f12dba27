// Package plugins is what authors of plugins import: programs that serve samplers
// and exporters to services, so that a configuration can choose them and the
// service need not be built again.
//
// A plugin is a main package that hands factories to [Main], the same that would
// be registered if they were compiled in:
//
//	func main() { os.Exit(plugins.Main(plugins.Sampler(tenant.Factory))) }
//
// Package plugins/host is the other end: a service that imports it can run
// plugins. plugins/plugintest checks a plugin, in any language, as a host does.
package plugins
