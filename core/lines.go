package core

import (
	"context"
	"fmt"
	"os"

	"github.com/riffletrace/riffle/core/delivery"
)

// ExporterKeys are the keys of an exporters entry that belong to the host,
// besides type and name.
type ExporterKeys struct {
	delivery.Config `yaml:",inline"`
}

// exporterKeys decodes the keys of the entry that belong to the host. What it
// leaves out is taken from OTEL_BSP_* before it is a default.
func (c Component) exporterKeys() (ExporterKeys, error) {
	config, err := delivery.Defaults().WithEnv(os.Getenv)
	keys := ExporterKeys{config}
	if err != nil {
		return keys, err
	}
	if c.Host != nil {
		if err := c.Host(&keys); err != nil {
			return keys, err
		}
	}
	return keys, keys.Validate()
}

// WithDelivery returns the exporter's entry with a configuration of its line.
// It is for entries made in Go; start from [delivery.Defaults].
func (c Component) WithDelivery(d delivery.Config) Component {
	c.Host = func(into any) error {
		if keys, ok := into.(*ExporterKeys); ok {
			keys.Config = d
		}
		return nil
	}
	return c
}

// line takes spans to one exporter.
type line struct {
	name, kind, endpoint string
	*delivery.Line
}

// addLine builds an exporter and starts a line to it.
func (pl *pipeline) addLine(ctx context.Context, c Component, spec *Spec, o *options) error {
	keys, err := c.exporterKeys()
	if err != nil {
		return err
	}
	keys.RedactAll = spec.Redact
	settings := spec.settings(c, o, "exporter")
	exporter, err := o.exporters.Build(ctx, settings, c)
	if err != nil {
		return err
	}
	l := line{name: c.ID(), kind: c.Type}
	if e, ok := exporter.(Endpointer); ok {
		l.endpoint = e.Endpoint()
	}
	l.Line = pl.fan.Add(exporter, keys.Config, delivery.Settings{
		Name: l.name, Type: l.kind, Endpoint: l.endpoint, Logger: settings.Logger, MeterProvider: o.meters,
	})
	pl.lines = append(pl.lines, l)
	return nil
}

// checkLines finds the mistakes in the keys that belong to the host.
func (s *Spec) checkLines() ConfigErrors {
	var errs ConfigErrors
	for i, c := range s.Exporters {
		if _, err := c.exporterKeys(); err != nil {
			errs = append(errs, configErrorsOf(c, joinPath(s.Path, fmt.Sprintf("exporters[%d]", i)), err)...)
		}
	}
	return errs
}
