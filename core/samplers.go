package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/rate"
)

// samplerList are the built samplers of a spec.
type samplerList struct {
	all    []Sampler
	names  []string
	guards []*guard
	start  []*startEntry
	end    []*endEntry
	traces []*traceEntry
}

// maxEndSamplers is how many bits a trace has to remember who answered.
const maxEndSamplers = 64

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
		s, err := o.samplers.Build(ctx, spec.settings(c, o, "sampler"), c)
		if err != nil {
			errs = append(errs, buildErrors(c, path, "sampler", err)...)
			continue
		}
		l.all, l.names = append(l.all, s), append(l.names, c.ID())
		if err := l.add(s, c, int32(i), o); err != nil {
			errs = append(errs, configErrorsOf(c, path, err)...)
			continue
		}
		if b, ok := s.(Baseline); ok && b.NeverAbstains() && l.start[len(l.start)-1].match == nil {
			baseline = true
		}
		if firstWatcher < 0 && l.watches() {
			firstWatcher = i
		}
		if w, ok := s.(Waiter); ok && w.LongestWait() >= spec.decisionWait() {
			err := fmt.Errorf("%s is not below decision_wait (%s), at which open traces are decided", Duration(w.LongestWait()), Duration(spec.decisionWait()))
			errs = append(errs, configErrorsOf(c, path, &FieldError{Path: "threshold", Err: err})...)
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

// add files a built sampler under the kinds it has.
func (l *samplerList) add(s Sampler, c Component, place int32, o *options) error {
	keys, err := c.samplerKeys()
	if err != nil {
		return err
	}
	var matcher *match.Matcher
	if keys.Match != nil {
		if matcher, err = keys.Match.Compile(); err != nil {
			return err
		}
	}
	common := func() entry { return entry{name: c.ID(), rank: place, match: matcher} }
	start, isStart := s.(StartSampler)
	end, isEnd := s.(EndSampler)
	traces, isTrace := s.(TraceSampler)
	switch {
	case !isStart && !isEnd && !isTrace:
		return fmt.Errorf("sampler %q (%T) is none of StartSampler, EndSampler and TraceSampler", c.ID(), s)
	case needsMatch(s) && matcher == nil:
		return &FieldError{Path: "match", Err: fmt.Errorf("missing: it says which traces %q is about", c.Type)}
	case keys.Limit != nil && !isEnd:
		return &FieldError{Path: "limit", Err: fmt.Errorf("%q is no end sampler: only what one keeps can be limited", c.Type)}
	case isEnd && len(l.end) == maxEndSamplers:
		return fmt.Errorf("more than %d end samplers", maxEndSamplers)
	}
	if isStart {
		e := &startEntry{entry: common(), sampler: start, attrs: []attribute.KeyValue{SamplerKey.String(c.ID())}}
		l.start = append(l.start, e)
		l.guards = append(l.guards, e.guard.init(c.ID(), o.logger))
	}
	if isEnd {
		e := &endEntry{entry: common(), sampler: end, bit: 1 << len(l.end)}
		if keys.Limit != nil {
			e.limit = rate.NewLimiter(keys.Limit.PerSecond, time.Second)
		}
		l.end = append(l.end, e)
		l.guards = append(l.guards, e.guard.init(c.ID(), o.logger))
	}
	if isTrace {
		e := &traceEntry{entry: common(), sampler: traces}
		l.traces = append(l.traces, e)
		l.guards = append(l.guards, e.guard.init(c.ID(), o.logger))
	}
	return nil
}

func needsMatch(s Sampler) bool {
	selective, ok := s.(Selective)
	return ok && selective.NeedsMatch()
}

// number gives the names of the list their numbers.
func (l *samplerList) number(n *names) {
	n.number("")
	for _, e := range l.start {
		e.number = n.number(e.name)
	}
	for _, e := range l.end {
		e.number = n.number(e.name)
	}
	for _, e := range l.traces {
		e.number = n.number(e.name)
	}
}

// samplerKeys decodes the keys of the entry that belong to the host.
func (c Component) samplerKeys() (SamplerKeys, error) {
	var keys SamplerKeys
	if c.Host == nil {
		return keys, nil
	}
	if err := c.Host(&keys); err != nil {
		return keys, err
	}
	return keys, keys.Validate()
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
