// Package plugins runs exporters and samplers as programs of their own, so that
// a configuration can choose them and the service need not be built again.
//
// # The author's side
//
// A plugin is a main package that hands factories to [Main], the same that would
// be registered if they were compiled in:
//
//	func main() { os.Exit(plugins.Main(plugins.Sampler(tenant.Factory))) }
//
// # The host's side
//
// Importing this package registers the type "plugin" with [core.Samplers] and
// [core.Exporters]. What a configuration names is checked against the lock file,
// started, and supervised; all instances that one program serves share its
// process. Nothing of it is on the path of a span. An exporter gets the OTLP
// bytes of the delivery line in front of it, and what it does not acknowledge is
// sent again. A start sampler is asked ahead of time, per distinct key; its
// answers are leased, and decide in the host. A trace sampler is asked in
// batches about traces that are complete. A plugin that is dead, slow or
// hostile abstains, and is no error of the application.
package plugins
