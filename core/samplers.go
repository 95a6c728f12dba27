package core

import (
	"context"
	"errors"
	"fmt"
)

// samplerList are the built samplers of a spec.
type samplerList struct {
	all    []Sampler
	start  []*startEntry
	end    []namedSampler[EndSampler]
	traces []namedSampler[TraceSampler]
}

type namedSampler[T Sampler] struct {
	name    string
	sampler T
}

// watches reports whether unselected traces must be recorded.
func (l *samplerList) watches() bool { return len(l.end) > 0 || len(l.traces) > 0 }

// buildSamplers builds the samplers of a spec. On an error, nothing is left.
func buildSamplers(ctx context.Context, spec *Spec, o *options) (*samplerList, error) {
	l := &samplerList{}
	var errs ConfigErrors
	var baseline bool
	firstWatcher := -1
	for i, c := range spec.Samplers {
		path := joinPath(spec.Path, fmt.Sprintf("samplers[%d]", i))
		s, err := o.samplers.Build(ctx, Settings{ID: c.ID(), Logger: o.logger.With("sampler", c.ID())}, c)
		if err != nil {
			errs = append(errs, buildErrors(c, path, "sampler", err)...)
			continue
		}
		l.all = append(l.all, s)
		start, isStart := s.(StartSampler)
		if isStart {
			l.start = append(l.start, &startEntry{name: c.ID(), sampler: start})
			if b, ok := s.(Baseline); ok && b.NeverAbstains() {
				baseline = true
			}
		}
		end, isEnd := s.(EndSampler)
		if isEnd {
			l.end = append(l.end, namedSampler[EndSampler]{c.ID(), end})
		}
		traces, isTrace := s.(TraceSampler)
		if isTrace {
			l.traces = append(l.traces, namedSampler[TraceSampler]{c.ID(), traces})
		}
		if (isEnd || isTrace) && firstWatcher < 0 {
			firstWatcher = i
		}
		if !isStart && !isEnd && !isTrace {
			err := fmt.Errorf("sampler %q (%T) is none of StartSampler, EndSampler and TraceSampler", c.ID(), s)
			errs = append(errs, configErrorsOf(c, path, err)...)
		}
	}
	if firstWatcher >= 0 && !baseline {
		err := errors.New(`no baseline: add "- type: ratio" (rate: 0 keeps only what error and slow keep)`)
		errs = append(errs, configErrorsOf(spec.Samplers[firstWatcher], joinPath(spec.Path, "samplers"), err)...)
	}
	if len(errs) > 0 {
		return nil, errors.Join(spec.quoted(errs).Sorted(), l.shutdown(ctx))
	}
	return l, nil
}

// shutdown releases the samplers.
func (l *samplerList) shutdown(ctx context.Context) error {
	var errs []error
	for _, s := range l.all {
		if s, ok := s.(Shutdowner); ok {
			errs = append(errs, s.Shutdown(ctx))
		}
	}
	return errors.Join(errs...)
}
