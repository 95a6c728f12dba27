package core

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Warnings returns what is no mistake in a spec, but hardly what was meant, as far as
// that shows without building anything. What is wrong it leaves to [Spec.Check].
func (s *Spec) Warnings() ConfigErrors {
	found := mistakes{source: s.Source}
	for i := range s.Samplers {
		e := &s.Samplers[i]
		found.addAll(entryPath("samplers", i), errors.Join(e.warn(), e.Warnings()))
	}
	sampled := s.sampled()
	for i := range s.Exporters {
		e := &s.Exporters[i]
		found.addAll(entryPath("exporters", i), errors.Join(e.warn(), e.Warnings()))
		if sampled {
			found.addAll(entryPath("exporters", i), e.SampleWarnings())
		}
	}
	if s.Metrics != nil {
		found.addAll("metrics", s.Metrics.Warnings())
	}
	return found.all.Sorted()
}

// sampled reports whether something of the spec may leave traces out, while there is room.
func (s *Spec) sampled() bool {
	return s.Budget != nil || slices.ContainsFunc(s.Samplers, func(e SamplerEntry) bool { return !e.LeavesNothingOut() })
}

// Trial is what was found out by building a spec's components.
type Trial struct {
	// Samplers are the descriptions of the samplers, in order; "" of one with a mistake.
	Samplers []string
	// Warnings are about samplers that cannot do what they are for.
	Warnings ConfigErrors
}

// Try builds the samplers of a spec and those exporters that are built to be checked,
// as [component.BuiltToCheck] says, and shuts them down: that finds the mistakes that
// only show then, for tools that check configurations. An entry with another mistake
// is left out, so that the others are told at once; what [Spec.Check] finds itself, Try
// does not repeat. Its errors are [ConfigErrors].
func Try(ctx context.Context, spec Spec, opts ...Option) (Trial, error) {
	o := newOptions(opts)
	p, _ := spec.check()
	t := Trial{Samplers: make([]string, len(spec.Samplers))}
	res, err := newResource(ctx, p)
	if err != nil {
		return t, err
	}
	samplers, err := p.buildSamplers(ctx, o, serviceName(res), nil, nil)
	if err == nil {
		at := 0
		for i := range spec.Samplers {
			if !p.unfit[entryPath("samplers", i)] {
				t.Samplers[i] = samplers.all[at].description()
				at++
			}
		}
		t.Warnings = samplers.unreached
		err = end(ctx, samplers.shutdown)
	}
	errs := mistakes{source: spec.Source}
	var failures []error
	for i := range spec.Exporters {
		e, path := &spec.Exporters[i], entryPath("exporters", i)
		if p.unfit[path] || !e.BuiltToCheck() {
			continue
		}
		exporter, err := e.Build(ctx, o.settings("exporter", e.ID()))
		if err != nil {
			errs.addBuild(path, "exporter", e.ID(), err)
			continue
		}
		failures = append(failures, end(ctx, exporter.Shutdown))
	}
	var found ConfigErrors
	if err != nil && !errors.As(err, &found) {
		failures = append(failures, err)
	}
	if found = append(found, errs.all...); len(found) > 0 {
		return t, found.Sorted()
	}
	return t, errors.Join(failures...)
}

// trialEnd is how long the components of a trial have to end.
const trialEnd = 10 * time.Second

// end shuts down what was built for a trial.
func end(ctx context.Context, shutdown func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), trialEnd)
	defer cancel()
	return shutdown(ctx)
}
