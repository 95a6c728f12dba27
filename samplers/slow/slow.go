// Package slow is the sampler that keeps every trace that took long, whatever
// the other samplers say.
package slow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/route"
)

// Config is what users set.
type Config struct {
	_         struct{}      `doc:"keeps every trace that took long"`
	Threshold core.Duration `yaml:"threshold" doc:"how long a local root takes at least to be slow; required"`
	Spans     Spans         `yaml:"spans" doc:"which spans are measured: local_root, or any"`
	Routes    []Route       `yaml:"routes" doc:"local roots with thresholds of their own, by pattern as in net/http; the most specific wins"`
}

// Route is a threshold for the local roots that a pattern matches.
type Route struct {
	Route     string        `yaml:"route" doc:"[METHOD ]/path/{id}/{rest...}, matched with http.route, else the path of the URL, else a name such as GET /x"`
	Threshold core.Duration `yaml:"threshold" doc:"how long such a local root takes at least to be slow"`
}

// Spans says which spans are measured.
type Spans string

const (
	// LocalRoot measures the spans with no parent or a remote one.
	LocalRoot Spans = "local_root"
	// Any measures every span.
	Any Spans = "any"
)

// Validate checks the thresholds.
func (c *Config) Validate() error {
	var errs []error
	if err := positive(c.Threshold); err != nil {
		errs = append(errs, &core.FieldError{Path: "threshold", Err: err})
	}
	if c.Spans != LocalRoot && c.Spans != Any {
		errs = append(errs, &core.FieldError{Path: "spans", Err: fmt.Errorf("%q is not one of %s, %s", string(c.Spans), LocalRoot, Any)})
	}
	_, routeErrs := c.table()
	return errors.Join(append(errs, routeErrs...)...)
}

// table returns the limits by route.
func (c *Config) table() (*route.Table[limit], []error) {
	if len(c.Routes) == 0 {
		return nil, nil
	}
	var t route.Table[limit]
	var errs []error
	for i, r := range c.Routes {
		if err := t.Add(r.Route, newLimit(r.Threshold)); err != nil {
			errs = append(errs, &core.FieldError{Path: fmt.Sprintf("routes[%d].route", i), Err: err})
		}
		if err := positive(r.Threshold); err != nil {
			errs = append(errs, &core.FieldError{Path: fmt.Sprintf("routes[%d].threshold", i), Err: err})
		}
	}
	return &t, errs
}

func positive(d core.Duration) error {
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
var Factory = core.NewFactory("slow", Config{Spans: LocalRoot}, New)

func init() { core.Samplers.MustAdd(Factory) }

// New builds the sampler.
func New(_ context.Context, _ core.Settings, c Config) (core.Sampler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &sampler{
		limit:       newLimit(c.Threshold),
		any:         c.Spans == Any,
		least:       time.Duration(c.Threshold),
		most:        time.Duration(c.Threshold),
		description: "slow from " + c.Threshold.String(),
	}
	s.routes, _ = c.table()
	for _, r := range c.Routes {
		s.least = min(s.least, time.Duration(r.Threshold))
		s.most = max(s.most, time.Duration(r.Threshold))
	}
	if s.any {
		s.description += ", any span"
	}
	if n := len(c.Routes); n > 0 {
		s.description += fmt.Sprintf(", %d routes from %v to %v", n, core.Duration(s.least), core.Duration(s.most))
	}
	return s, nil
}

type sampler struct {
	limit       limit
	any         bool
	routes      *route.Table[limit] // nil if there are none
	least, most time.Duration       // of all thresholds
	description string
}

// limit is a threshold and the answer to what reaches it.
type limit struct {
	threshold time.Duration
	answer    core.Answer
}

func newLimit(d core.Duration) limit {
	return limit{time.Duration(d), core.At(core.Always).Because("took " + d.String() + " or longer")}
}

func (s *sampler) Description() string { return s.description }

// SampleEnd answers about an open local root from its age.
func (s *sampler) SampleEnd(p core.EndParameters) core.Answer {
	if p.Duration < s.least || !s.any && !p.LocalRoot {
		return core.Abstain()
	}
	l := s.limit
	if s.routes != nil && p.LocalRoot {
		if method, path, ok := route.Subject(p.Span.Name(), p.Span.Attributes()); ok {
			if own, ok := s.routes.Lookup(method, path); ok {
				l = own
			}
		}
	}
	if p.Duration < l.threshold {
		return core.Abstain()
	}
	return l.answer
}

// LongestWait is how long a trace must be watched at least, so that the
// sampler can find it slow: the longest threshold. A host that decides earlier
// than that refuses the configuration.
func (s *sampler) LongestWait() time.Duration { return s.most }

// Interface guards.
var _ core.EndSampler = (*sampler)(nil)
