package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/rate"
	"github.com/riffletrace/riffle/core/sampling"
)

// samplerList are the built samplers of a spec.
type samplerList struct {
	all    []sampling.Sampler
	names  []string
	guards []*guard
	start  []*startEntry
	end    []*endEntry
	traces []*traceEntry
}

// maxEndSamplers is how many bits a trace has to remember who answered.
const maxEndSamplers = 64

// waitsForEnd reports whether unselected traces must be recorded.
func (l *samplerList) waitsForEnd() bool { return len(l.end) > 0 || len(l.traces) > 0 }

// buildSamplers builds the samplers of a plan. On an error, nothing is left.
func (p *plan) buildSamplers(ctx context.Context, o *options) (*samplerList, error) {
	l := &samplerList{}
	errs := mistakes{source: p.Source}
	var baseline bool
	waiting := -1
	for i, e := range p.Samplers {
		path := entryPath("samplers", i)
		s, err := e.Build(ctx, o.settings("sampler", e.ID()))
		if err != nil {
			errs.addBuild(path, "sampler", e.ID(), err)
			continue
		}
		l.all, l.names = append(l.all, s), append(l.names, e.ID())
		traits := s.Traits()
		if err := l.add(s, traits, &e, p.matchers[i], int32(i), o); err != nil {
			errs.addAll(path, err)
			continue
		}
		baseline = baseline || traits.AlwaysAnswers && p.matchers[i] == nil
		if waiting < 0 && l.waitsForEnd() {
			waiting = i
		}
		if wait := component.Duration(traits.LongestWait); wait >= p.DecisionWait {
			err := fmt.Errorf("%s is not below decision_wait (%s), at which open traces are decided", wait, p.DecisionWait)
			errs.add(component.JoinPath(path, traits.LongestWaitPath), err)
		}
	}
	if waiting >= 0 && !baseline {
		errs.addAboutList("samplers", waiting, errors.New(`no baseline: add "- type: ratio" (rate: 0 keeps only what error and slow keep)`))
	}
	if err := errs.sorted(); err != nil {
		return nil, errors.Join(err, l.shutdown(ctx))
	}
	return l, nil
}

// add files a built sampler under the kinds it has.
func (l *samplerList) add(s sampling.Sampler, traits sampling.Traits, c *SamplerEntry, matcher *match.Matcher, rank int32, o *options) error {
	common := func() entry { return entry{name: c.ID(), rank: rank, match: matcher} }
	start, isStart := s.(sampling.StartSampler)
	end, isEnd := s.(sampling.EndSampler)
	traces, isTrace := s.(sampling.SegmentSampler)
	switch {
	case !isStart && !isEnd && !isTrace:
		return fmt.Errorf("sampler %q (%T) is none of StartSampler, EndSampler and SegmentSampler", c.ID(), s)
	case traits.NeedsMatch && matcher == nil:
		return &component.FieldError{Path: "match", Err: fmt.Errorf("missing: it says which traces %q is about", c.Type())}
	case c.Limit != nil && !isEnd:
		return &component.FieldError{Path: "limit", Err: fmt.Errorf("%q is no end sampler: only what one keeps can be limited", c.Type())}
	case isEnd && len(l.end) == maxEndSamplers:
		return fmt.Errorf("more than %d end samplers", maxEndSamplers)
	}
	if isStart {
		e := &startEntry{entry: common(), sampler: start, attrs: []attribute.KeyValue{sampling.SamplerKey.String(c.ID())}}
		l.start = append(l.start, e)
		l.guards = append(l.guards, e.guard.init(c.ID(), o.logger))
	}
	if isEnd {
		e := &endEntry{entry: common(), sampler: end, bit: 1 << len(l.end)}
		if c.Limit != nil {
			e.limit = rate.NewLimiter(c.Limit.PerSecond, time.Second)
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

// shutdown releases the samplers.
func (l *samplerList) shutdown(ctx context.Context) error {
	var errs []error
	for _, s := range l.all {
		if s, ok := s.(component.Shutdowner); ok {
			errs = append(errs, s.Shutdown(ctx))
		}
	}
	return errors.Join(errs...)
}
