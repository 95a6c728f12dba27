package core

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/riffletrace/riffle/core/delivery"
)

// pipeline is what stands before and behind the recorder.
type pipeline struct {
	samplers  *samplerList
	budget    budget
	exporters []line
	begins    []int // places in exporters of the lines that are not begun
}

// line is the way of spans to one exporter, and what it was made from.
type line struct {
	*delivery.Line
	entry  ExporterEntry
	config delivery.Config
	start  delivery.Addition // of a line that is not begun
}

// newPipeline builds samplers and exporters; those of entries that are in the former
// pipeline too are taken from it. On an error, nothing is left.
func (p *plan) newPipeline(ctx context.Context, o *options, service string, former *pipeline) (*pipeline, error) {
	var last *samplerList
	if former != nil {
		last = former.samplers
	}
	samplers, err := p.buildSamplers(ctx, o, service, last, nil)
	pl := &pipeline{samplers: samplers, budget: newBudget(p.Budget, p.Samplers, former)}
	errs := mistakes{source: p.Source}
	for i := range p.Exporters {
		if e := &p.Exporters[i]; !pl.stays(former, e, &p.lines[i]) {
			if err := pl.addLine(ctx, e, p.lines[i], o); err != nil {
				errs.addBuild(entryPath("exporters", i), "exporter", e.ID(), err)
			}
		}
	}
	if err = joinMistakes(err, errs.sorted()); err != nil {
		return nil, joinMistakes(err, pl.abandon(ctx))
	}
	for _, w := range samplers.unreached {
		o.logger.WarnContext(ctx, "a sampler that cannot do what it is for: "+w.Path+": "+w.Err.Error(), "position", w.Position)
	}
	return pl, nil
}

// stays takes the line of an entry from the former pipeline, if there is one like it.
func (pl *pipeline) stays(former *pipeline, e *ExporterEntry, c *delivery.Config) bool {
	if former == nil {
		return false
	}
	i := slices.IndexFunc(former.exporters, func(l line) bool {
		return l.entry.Same(e.Plan) && reflect.DeepEqual(l.config, *c)
	})
	if i >= 0 {
		pl.exporters = append(pl.exporters, former.exporters[i])
	}
	return i >= 0
}

// addLine builds an exporter.
func (pl *pipeline) addLine(ctx context.Context, e *ExporterEntry, c delivery.Config, o *options) error {
	settings := o.settings("exporter", e.ID())
	exporter, err := e.Build(ctx, settings)
	if err != nil {
		return err
	}
	pl.begins = append(pl.begins, len(pl.exporters))
	pl.exporters = append(pl.exporters, line{entry: *e, config: c, start: delivery.Addition{
		Exporter: exporter, Config: c,
		Settings: delivery.Settings{Name: e.ID(), Type: e.Type(), Logger: settings.Logger, MeterProvider: o.meters},
	}})
	return nil
}

// abandonTime bounds the shutdown of what was built in vain.
const abandonTime = 5 * time.Second

// abandoning is a context for that: what builds may end because its own has ended, but a
// component that has others to tell, such as a plugin, needs time.
func abandoning(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), abandonTime)
}

// abandon releases what was built and has not begun.
func (pl *pipeline) abandon(ctx context.Context) error {
	ctx, cancel := abandoning(ctx)
	defer cancel()
	var errs []error
	if pl.samplers != nil {
		errs = append(errs, pl.samplers.shutdown(ctx))
	}
	for _, i := range pl.begins {
		errs = append(errs, pl.exporters[i].start.Exporter.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

// start starts the lines that are new and takes off those of the former pipeline that do
// not stay, which it returns.
func (pl *pipeline) start(lines *delivery.Lines, former *pipeline) (leave []line) {
	if former != nil {
		for _, l := range former.exporters {
			if !slices.ContainsFunc(pl.exporters, func(o line) bool { return o.Line == l.Line }) {
				leave = append(leave, l)
			}
		}
	}
	come := make([]delivery.Addition, len(pl.begins))
	for i, place := range pl.begins {
		come[i] = pl.exporters[place].start
		pl.exporters[place].start = delivery.Addition{}
	}
	left := make([]*delivery.Line, len(leave))
	for i, l := range leave {
		left[i] = l.Line
	}
	for i, l := range lines.Change(come, left) {
		pl.exporters[pl.begins[i]].Line = l
	}
	return leave
}

// each runs f for all lines at once, so that one that is slow takes no time
// from the others.
func each(lines []line, f func(line) error) error {
	errs := make([]error, len(lines))
	var wg sync.WaitGroup
	for i, l := range lines {
		wg.Go(func() {
			if err := f(l); err != nil {
				errs[i] = fmt.Errorf("exporter %q: %w", l.entry.ID(), err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
