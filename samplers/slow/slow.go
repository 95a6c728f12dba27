// Package slow is the sampler that keeps every trace that took long, whatever
// the other samplers say.
package slow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/route"
	"github.com/riffletrace/riffle/core/sampling"
)

// Config is what users set.
type Config struct {
	_         struct{}           `doc:"keeps every trace that took long"`
	Threshold component.Duration `yaml:"threshold" doc:"how long a local root takes at least to be slow; required"`
	Spans     Spans              `yaml:"spans" doc:"which spans are measured: local_root, or any"`
	Routes    []Route            `yaml:"routes" doc:"local roots with thresholds of their own, by pattern as in net/http; the most specific wins"`
}

// Route is a threshold for the local roots that a pattern matches.
type Route struct {
	Route     string             `yaml:"route" doc:"[METHOD ]/path/{id}/{rest...}, matched with http.route, else the path of the URL, else a name such as GET /x"`
	Threshold component.Duration `yaml:"threshold" doc:"how long such a local root takes at least to be slow"`
}

// Spans says which spans are measured.
type Spans string

const (
	// LocalRoot measures the spans with no parent or a remote one.
	LocalRoot Spans = "local_root"
	// Any measures every span.
	Any Spans = "any"
)

// ConfigSchema lists the values.
func (Spans) ConfigSchema() component.Schema { return component.Enum(LocalRoot, Any) }

// Validate checks the thresholds.
func (c *Config) Validate() error {
	var errs []error
	if err := positive(c.Threshold); err != nil {
		errs = append(errs, &component.FieldError{Path: "threshold", Err: err})
	}
	if c.Spans != LocalRoot && c.Spans != Any {
		errs = append(errs, &component.FieldError{Path: "spans", Err: fmt.Errorf("%s is not one of %s, %s", component.Shown(string(c.Spans)), LocalRoot, Any)})
	}
	_, routeErrs := c.table()
	return errors.Join(append(errs, routeErrs...)...)
}

// Warn finds patterns in the syntax of other routers.
func (c *Config) Warn() error {
	var errs []error
	for i, r := range c.Routes {
		if err := route.Doubt(r.Route); err != nil {
			errs = append(errs, &component.FieldError{Path: fmt.Sprintf("routes[%d].route", i), Err: err})
		}
	}
	return errors.Join(errs...)
}

// table returns the rules by route.
func (c *Config) table() (*route.Table[rule], []error) {
	if len(c.Routes) == 0 {
		return nil, nil
	}
	var t route.Table[rule]
	var errs []error
	for i, r := range c.Routes {
		if err := t.Add(r.Route, newRule(r.Threshold)); err != nil {
			errs = append(errs, &component.FieldError{Path: fmt.Sprintf("routes[%d].route", i), Err: err})
		}
		if err := positive(r.Threshold); err != nil {
			errs = append(errs, &component.FieldError{Path: fmt.Sprintf("routes[%d].threshold", i), Err: err})
		}
	}
	return &t, errs
}

func positive(d component.Duration) error {
	switch {
	case d == 0:
		return errors.New("missing: want a duration such as 1s")
	case d < 0:
		return fmt.Errorf("%v is no time to wait for: want a duration above 0", d)
	default:
		return nil
	}
}

// Factory makes the sampler; it is registered as "slow".
var Factory = component.NewFactory("slow", Config{Spans: LocalRoot}, New)

func init() { sampling.Samplers.MustAdd(Factory) }

// New builds the sampler.
func New(_ context.Context, _ component.Settings, c Config) (sampling.Sampler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &sampler{
		rule:        newRule(c.Threshold),
		any:         c.Spans == Any,
		least:       time.Duration(c.Threshold),
		most:        time.Duration(c.Threshold),
		mostPath:    "threshold",
		description: "slow from " + c.Threshold.String(),
	}
	s.routes, _ = c.table()
	for i, r := range c.Routes {
		d := time.Duration(r.Threshold)
		s.least = min(s.least, d)
		if d > s.most {
			s.most, s.mostPath = d, fmt.Sprintf("routes[%d].threshold", i)
		}
	}
	if s.any {
		s.description += ", any span"
	}
	if n := len(c.Routes); n > 0 {
		s.description += fmt.Sprintf(", %d routes from %v to %v", n, component.Duration(s.least), component.Duration(s.most))
	}
	return s, nil
}

type sampler struct {
	rule        rule
	any         bool
	routes      *route.Table[rule] // nil if there are none
	least, most time.Duration      // of all thresholds
	mostPath    string             // the key that has most
	description string
}

// rule is a threshold and the answer to what reaches it.
type rule struct {
	threshold time.Duration
	answer    sampling.Answer
}

func newRule(d component.Duration) rule {
	return rule{time.Duration(d), sampling.At(sampling.Always).Because("took " + d.String() + " or longer")}
}

func (s *sampler) Traits() sampling.Traits {
	return sampling.Traits{Description: s.description, LongestWait: s.most, LongestWaitPath: s.mostPath}
}

// SampleEnd answers about an open local root from its age.
func (s *sampler) SampleEnd(p sampling.EndParameters) sampling.Answer {
	if p.Duration < s.least || !s.any && !p.LocalRoot {
		return sampling.Abstain()
	}
	rule := s.rule
	if s.routes != nil && p.LocalRoot {
		if request, ok := route.RequestOf(p.Span.Name(), p.Span.Attributes()); ok {
			if own, ok := s.routes.Lookup(request); ok {
				rule = own
			}
		}
	}
	if p.Duration < rule.threshold {
		return sampling.Abstain()
	}
	return rule.answer
}

// Interface guards.
var (
	_ sampling.EndSampler = (*sampler)(nil)
	_ component.Warner    = (*Config)(nil)
)
