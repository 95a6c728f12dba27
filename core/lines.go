package core

import (
	"context"

	"github.com/riffletrace/riffle/core/delivery"
)

// line is the way of spans to one exporter.
type line struct {
	name, kind string
	*delivery.Line
}

// addLine builds an exporter and starts a line to it.
func (pl *pipeline) addLine(ctx context.Context, e *ExporterEntry, c delivery.Config, o *options) error {
	settings := o.settings("exporter", e.ID())
	exporter, err := e.Build(ctx, settings)
	if err != nil {
		return err
	}
	l := pl.lines.Add(exporter, c, delivery.Settings{
		Name: e.ID(), Type: e.Type(), Logger: settings.Logger, MeterProvider: o.meters,
	})
	pl.exporters = append(pl.exporters, line{name: e.ID(), kind: e.Type(), Line: l})
	return nil
}
