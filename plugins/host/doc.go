// Package host runs plugins: importing it registers the type "plugin" with
// [sampling.Samplers] and [component.Exporters].
//
// What a configuration names is checked against the lock file, started, and
// supervised; all instances that one program serves share its process. Nothing of
// it is on the path of a span. An exporter gets the OTLP bytes of the delivery line
// in front of it, and what it does not acknowledge is sent again. A start sampler
// is asked ahead of time, per distinct key; its answers are leased, and decide in
// the host. A segment sampler is asked in batches about segments that are complete.
// A plugin that is dead, slow or hostile abstains, and is no error of the
// application.
package host
