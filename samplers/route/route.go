// Package route is the sampler that drops or keeps traces by the route of the
// request that starts them: health checks out, checkouts in.
package route

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/route"
	"github.com/riffletrace/riffle/core/sampling"
)

// Config is what users set.
type Config struct {
	_     struct{} `doc:"drops or keeps traces by the route of the request that starts them"`
	Rules []Rule   `yaml:"rules" doc:"the most specific that matches decides, whatever the order; if none does, the next sampler is asked"`
}

// Rule says what to do with the requests of a route.
type Rule struct {
	Route  string          `yaml:"route" doc:"a pattern of net/http: [METHOD ]/path/{id}/{rest...}; a trailing slash stands for everything below it"`
	Sample sampling.Sample `yaml:"sample" doc:"drop, or the share of the traces to keep, 0 to 1"`
}

// Validate checks the rules, each alone and against the others.
func (c *Config) Validate() error {
	_, err := c.build()
	return err
}

// Warn finds patterns in the syntax of other routers.
func (c *Config) Warn() error {
	var errs []error
	for i, r := range c.Rules {
		if err := route.Doubt(r.Route); err != nil {
			errs = append(errs, &component.FieldError{Path: fmt.Sprintf("rules[%d].route", i), Err: err})
		}
	}
	return errors.Join(errs...)
}

func (c *Config) build() (*sampler, error) {
	s := &sampler{description: fmt.Sprintf("route by %d rules", len(c.Rules))}
	if len(c.Rules) == 1 {
		s.description = "route by " + c.Rules[0].Route
	}
	var errs []error
	fail := func(rule int, key string, err error) {
		errs = append(errs, &component.FieldError{Path: fmt.Sprintf("rules[%d].%s", rule, key), Err: err})
	}
	for i, r := range c.Rules {
		answer, err := r.Sample.Answer()
		if err != nil {
			fail(i, "sample", err)
		}
		name := fmt.Sprintf("rules[%d]: %s", i, r.Route)
		own := &rule{name: name, answer: answer.WithRule(name)}
		s.rules = append(s.rules, own)
		err = s.table.Add(r.Route, own)
		if conflict := (*route.ConflictError)(nil); errors.As(err, &conflict) {
			// Each of the two is told, so that both positions are.
			other := slices.IndexFunc(c.Rules, func(r Rule) bool { return r.Route == conflict.Other })
			fail(other, "route", fmt.Errorf("see rules[%d].route, which conflicts with it", i))
			err = fmt.Errorf("%w; see rules[%d].route", err, other)
		}
		if err != nil {
			fail(i, "route", err)
		}
		s.drops = s.drops || answer.IsDrop()
	}
	if len(c.Rules) == 0 {
		errs = append(errs, &component.FieldError{Path: "rules", Err: errors.New(`missing: want one or more, such as {route: "GET /healthz", sample: drop}`)})
	}
	return s, errors.Join(errs...)
}

// Factory makes the sampler; it is registered as "route".
var Factory = component.NewFactory("route", Config{}, New)

func init() { sampling.Samplers.MustAdd(Factory) }

// New builds the sampler.
func New(_ context.Context, _ component.Settings, c Config) (sampling.Sampler, error) {
	s, err := c.build()
	if err != nil {
		return nil, err
	}
	return s, nil
}

type sampler struct {
	table       route.Table[*rule]
	rules       []*rule
	drops       bool
	description string
}

// rule is one of the config, as it is asked.
type rule struct {
	name   string
	answer sampling.Answer
	used   atomic.Bool // since RulesUsed was last called
}

func (s *sampler) SampleStart(p sampling.StartParameters) sampling.Answer {
	request, ok := route.RequestOf(p.Name, p.Attributes)
	if !ok {
		return sampling.Abstain()
	}
	met, ok := s.table.Lookup(request)
	if !ok {
		return sampling.Abstain()
	}
	if !met.used.Load() { // a store each time would pass the line from processor to processor
		met.used.Store(true)
	}
	return met.answer
}

// RulesUsed tells which rules met a request since it was last called.
func (s *sampler) RulesUsed(use func(rule string, used bool)) {
	for _, r := range s.rules {
		use(r.name, r.used.Swap(false))
	}
}

// Traits: the keys are those that tell what request a span is about.
func (s *sampler) Traits() sampling.Traits {
	return sampling.Traits{Description: s.description, Keyed: true, Keys: route.Keys(), IgnoresKind: true, MayDrop: s.drops}
}

// Interface guards.
var (
	_ sampling.StartSampler = (*sampler)(nil)
	_ sampling.RuleUser     = (*sampler)(nil)
	_ component.Warner      = (*Config)(nil)
)
