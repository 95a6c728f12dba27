// Package slow is the sampler that keeps every trace that took long, whatever
// the other samplers say.
//
// With an upper bound it keeps those that took so long and no longer. That is known when
// the span has ended: of a local root that is still open nothing is said, because it may
// take longer than that.
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
	Below     component.Duration `yaml:"below" doc:"what takes so long or longer is not kept by this sampler; 0 is no bound"`
	Spans     Spans              `yaml:"spans" doc:"which spans are measured: local_root, or any"`
	Routes    []Route            `yaml:"routes" doc:"local roots with bounds of their own, by pattern as in net/http; the most specific wins"`
}

// Route has bounds for the local roots that a pattern matches, instead of the others.
type Route struct {
	Route     string             `yaml:"route" doc:"[METHOD ]/path/{id}/{rest...}, matched with http.route, else the path of the URL, else a name such as GET /x"`
	Threshold component.Duration `yaml:"threshold" doc:"how long such a local root takes at least to be slow"`
	Below     component.Duration `yaml:"below" doc:"what takes so long or longer is not kept by this sampler; 0 is no bound, whatever the sampler's"`
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

// LeavesNothingOut implements [component.LeavesNothingOut].
func (*Config) LeavesNothingOut() bool { return true }

// Validate checks the thresholds.
func (c *Config) Validate() error {
	var errs []error
	errs = append(errs, checkBounds("", c.Threshold, c.Below)...)
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
		if err := t.Add(r.Route, newRule(r.Threshold, r.Below)); err != nil {
			errs = append(errs, &component.FieldError{Path: fmt.Sprintf("routes[%d].route", i), Err: err})
		}
		errs = append(errs, checkBounds(fmt.Sprintf("routes[%d].", i), r.Threshold, r.Below)...)
	}
	return &t, errs
}

// checkBounds returns what is wrong with the bounds of a rule, below a path.
func checkBounds(path string, threshold, below component.Duration) (errs []error) {
	bad := func(key, format string, args ...any) {
		errs = append(errs, &component.FieldError{Path: path + key, Err: fmt.Errorf(format, args...)})
	}
	switch {
	case threshold == 0:
		bad("threshold", "missing: want a duration such as 1s")
	case threshold < 0:
		bad("threshold", "%v is no time to wait for: want a duration above 0", threshold)
	}
	switch {
	case below < 0:
		bad("below", "%v is no time to wait for: want a duration above the threshold, or 0", below)
	case below > 0 && below <= threshold:
		bad("below", "%v is not above the threshold, %v: nothing takes so long", below, threshold)
	}
	return errs
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
		rule:        newRule(c.Threshold, c.Below),
		any:         c.Spans == Any,
		least:       time.Duration(c.Threshold),
		description: "slow from " + bounds(c.Threshold, c.Below),
	}
	s.waitFor("", c.Threshold, c.Below)
	s.routes, _ = c.table()
	most := c.Threshold
	for i, r := range c.Routes {
		s.least, most = min(s.least, time.Duration(r.Threshold)), max(most, r.Threshold)
		s.waitFor(fmt.Sprintf("routes[%d].", i), r.Threshold, r.Below)
	}
	if s.any {
		s.description += ", any span"
	}
	if n := len(c.Routes); n > 0 {
		s.description += fmt.Sprintf(", %d routes from %v to %v", n, component.Duration(s.least), most)
	}
	return s, nil
}

func bounds(threshold, below component.Duration) string {
	if below == 0 {
		return threshold.String()
	}
	return threshold.String() + " to below " + below.String()
}

type sampler struct {
	rule        rule
	any         bool
	routes      *route.Table[rule] // nil if there are none
	least       time.Duration      // of all thresholds
	longest     time.Duration      // that is waited for
	longestPath string             // the key that set it
	description string
}

// waitFor takes the bounds of a rule. About an open local root it speaks from the
// threshold on; if there is another bound, it waits for the end of all that take less.
func (s *sampler) waitFor(path string, threshold, below component.Duration) {
	d, key := time.Duration(threshold), "threshold"
	if below > 0 {
		d, key = time.Duration(below), "below"
	}
	if d > s.longest {
		s.longest, s.longestPath = d, path+key
	}
}

// rule is what is slow, and the answer to it.
type rule struct {
	threshold, below time.Duration // below is 0 if there is no bound
	answer           sampling.Answer
}

func newRule(threshold, below component.Duration) rule {
	reason := "took " + threshold.String() + " or longer"
	if below > 0 {
		reason = "took from " + bounds(threshold, below)
	}
	return rule{time.Duration(threshold), time.Duration(below), sampling.At(sampling.Always).Because(reason)}
}

func (s *sampler) Traits() sampling.Traits {
	return sampling.Traits{Description: s.description, LongestWait: s.longest, LongestWaitPath: s.longestPath}
}

// SampleEnd answers about an open local root from its age, if it can.
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
	if p.Duration < rule.threshold || rule.below > 0 && (p.Open || p.Duration >= rule.below) {
		return sampling.Abstain()
	}
	return rule.answer
}

// Interface guards.
var (
	_ sampling.EndSampler        = (*sampler)(nil)
	_ component.Warner           = (*Config)(nil)
	_ component.LeavesNothingOut = (*Config)(nil)
)
