package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// samplerList are the built samplers of a spec.
type samplerList struct {
	all    []*sampler
	record record.Samplers
	// unreached are those that nobody will ask.
	unreached ConfigErrors
}

// sampler is a built one, and what it was made from.
type sampler struct {
	sampling.Sampler
	entry   SamplerEntry
	service string
	lists   atomic.Int32 // that have it
	rules   rules
}

// buildSamplers builds the samplers of a plan, for the service of that name; those of entries that are in the former
// list too are taken from it, unless that is nil. On an error, nothing is left. observe
// is told what they answer; it may be nil.
func (p *plan) buildSamplers(ctx context.Context, o *options, service string, former *samplerList, observe observer) (*samplerList, error) {
	l := &samplerList{}
	errs := mistakes{source: p.Source}
	doubts := mistakes{source: p.Source}
	var baseline bool
	var decides string // the path and the name of the sampler behind which no start sampler is asked
	waiting := -1
	for i, e := range p.Samplers {
		path := entryPath("samplers", i)
		if p.unfit[path] {
			baseline = true // it may have been one
			continue
		}
		s := former.like(&e, service)
		if s != nil && !s.stay() {
			s = nil // a shutdown has come before
		}
		stays := s != nil
		if !stays {
			settings := o.settings("sampler", e.ID())
			settings.ServiceName = service
			built, err := e.Build(ctx, settings)
			if err != nil {
				errs.addBuild(path, "sampler", e.ID(), err)
				continue
			}
			s = &sampler{Sampler: built, entry: e, service: service, rules: rules{since: time.Now()}}
			s.lists.Store(1)
		}
		l.all = append(l.all, s)
		traits := s.Traits()
		switch err := l.check(s.Sampler, traits, &e, p.matchers[i]); {
		case err != nil:
			errs.addAll(path, err)
			continue
		case stays:
			l.record.AddSame(&former.record, e.ID())
		default:
			if err := l.add(s.Sampler, &e, p.matchers[i], o, observe); err != nil {
				errs.addAll(path, err)
				continue
			}
		}
		_, starts := s.Sampler.(sampling.StartSampler)
		if decides != "" && onlyStarts(s.Sampler) {
			doubts.add(path, unreached(decides, traits.MayDrop || e.Sample == sampling.SampleDrop))
		}
		if traits.AlwaysAnswers && p.matchers[i] == nil {
			baseline = true
			if starts {
				decides = cmp.Or(decides, fmt.Sprintf("%s (%q)", path, e.ID()))
			}
		}
		if waiting < 0 && l.record.WaitForEnd() {
			waiting = i
		}
		if wait := component.Duration(traits.LongestWait); wait >= p.MaxWait {
			err := fmt.Errorf("%s is not below max_wait (%s), at which open segments are decided", wait, p.MaxWait)
			errs.add(component.JoinPath(path, traits.LongestWaitPath), err)
		}
	}
	if waiting >= 0 && !baseline {
		errs.addAboutList("samplers", waiting, errors.New(`no baseline: add "- type: ratio" (rate: 0 keeps only what error and slow keep)`))
	}
	if err := errs.sorted(); err != nil {
		return nil, joinMistakes(err, l.abandon(ctx))
	}
	l.unreached = doubts.all
	return l, nil
}

// like is the sampler of an entry like that, for the same service; nil if there is none.
func (l *samplerList) like(e *SamplerEntry, service string) *sampler {
	if l == nil {
		return nil
	}
	i := slices.IndexFunc(l.all, func(s *sampler) bool {
		return s.service == service && s.entry.Same(e.Plan) && reflect.DeepEqual(s.entry.SamplerKeys, e.SamplerKeys)
	})
	if i < 0 {
		return nil
	}
	return l.all[i]
}

// onlyStarts reports whether a sampler is asked about nothing but starts.
func onlyStarts(s sampling.Sampler) bool {
	_, start := s.(sampling.StartSampler)
	_, end := s.(sampling.EndSampler)
	_, segments := s.(sampling.SegmentSampler)
	return start && !end && !segments
}

// unreached says that a start sampler stands behind one that always answers.
func unreached(decides string, mayDrop bool) error {
	if mayDrop {
		return fmt.Errorf("only asked about requests of services that decided themselves: for all others %s before it always answers: move this one before it", decides)
	}
	return fmt.Errorf("never asked: %s before it always answers: move this one before it, or leave it out", decides)
}

// description says what the sampler does, with what the host makes of it.
func (s *sampler) description() string {
	text := s.Traits().Description
	if s.entry.Sample != "" {
		text += ", sample " + string(s.entry.Sample)
	}
	return text
}

// stay takes the sampler into another list, unless the last that had it has shut it down.
func (s *sampler) stay() bool {
	for {
		n := s.lists.Load()
		if n == 0 {
			return false
		}
		if s.lists.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// observer is told what the i-th sampler of a list answers at a stage, or that its
// match does not hold, or not yet.
type observer func(i int, stage string, a sampling.Answer, matched match.Result)

// check finds what forbids that a built sampler is the next of the list.
func (l *samplerList) check(s sampling.Sampler, traits sampling.Traits, c *SamplerEntry, matcher *match.Matcher) error {
	_, isStart := s.(sampling.StartSampler)
	_, isEnd := s.(sampling.EndSampler)
	if isStart {
		if err := matcher.Check(match.AtStart); err != nil {
			return below("match", err)
		}
	}
	switch {
	case traits.NeedsMatch && matcher == nil:
		return &component.FieldError{Path: "match", Err: fmt.Errorf("missing: it says which traces %q is about", c.Type())}
	case c.Limit != nil && !isEnd:
		return &component.FieldError{Path: "limit", Err: fmt.Errorf("%q is no end sampler: only what one keeps can be limited", c.Type())}
	case traits.NeedsSample && c.Sample == "":
		what := "the share of the traces to keep, 0 to 1"
		if onlyStarts(s) {
			what = "drop, or " + what
		}
		return &component.FieldError{Path: "sample", Err: errors.New("missing: want " + what)}
	case c.Sample != "" && (traits.IgnoresSample || onlyStarts(s) && !traits.NeedsSample):
		return &component.FieldError{Path: "sample", Err: fmt.Errorf("%q keeps no share of what it selects: sample is for what an end or a segment sampler keeps", c.Type())}
	case c.Sample == sampling.SampleDrop && !onlyStarts(s):
		return &component.FieldError{Path: "sample", Err: errors.New(`a span that ends is recorded already: to discard its trace, use "type: discard"`)}
	case isEnd && l.record.EndSamplers() == record.MaxEndSamplers:
		return fmt.Errorf("more than %d end samplers", record.MaxEndSamplers)
	}
	return nil
}

// add adds a sampler that is new.
func (l *samplerList) add(s sampling.Sampler, c *SamplerEntry, matcher *match.Matcher, o *options, observe observer) error {
	e := record.Entry{Name: c.ID(), Match: matcher, Sample: c.Sample, Logger: o.logger}
	if c.Limit != nil {
		e.Limit = c.Limit.PerSecond
	}
	if i := len(l.all) - 1; observe != nil {
		e.Observe = func(stage string, a sampling.Answer, matched match.Result) { observe(i, stage, a, matched) }
	}
	if !l.record.Add(s, e) {
		return fmt.Errorf("sampler %q (%T) is none of StartSampler, EndSampler and SegmentSampler", c.ID(), s)
	}
	return nil
}

// abandon is shutdown for a list that does not come into force.
func (l *samplerList) abandon(ctx context.Context) error {
	ctx, cancel := abandoning(ctx)
	defer cancel()
	return l.shutdown(ctx)
}

// shutdown releases the samplers that no other list has.
func (l *samplerList) shutdown(ctx context.Context) error {
	var errs []error
	for _, s := range l.all {
		if s.lists.Add(-1) > 0 {
			continue
		}
		if s, ok := s.Sampler.(component.Shutdowner); ok {
			errs = append(errs, untrusted.Error(s.Shutdown(ctx), untrusted.Line))
		}
	}
	return errors.Join(errs...)
}
