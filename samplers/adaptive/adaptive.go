// Package adaptive is the sampler that keeps about so many traces a second of
// each kind, where the values of some keys tell the kinds: all of a rare route, a
// small share of a busy one.
//
// The probability for a trace follows from the arrivals before it, so weighted
// counts stay right while it moves; see [rate.Target]. Of a key that is new the first
// few are kept, and no more than twice the target in its first second.
//
// At the end it is asked when the local root ends, or is overdue: then more is known,
// such as the route that a router found, and the status. Until then the trace is not
// selected, and services that are called before learn nothing of it.
package adaptive

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/rate"
	"github.com/riffletrace/riffle/core/sampling"
)

// maxKeys is how many combinations of values have a target of their own.
const maxKeys = 1000

// Config is what users set.
type Config struct {
	_               struct{}           `doc:"keeps about so many traces a second of each key; a baseline"`
	TargetPerSecond float64            `yaml:"target_per_second" doc:"traces to keep a second and key, above 0; required"`
	At              Moment             `yaml:"at" doc:"start: by what is known when a local root starts; end: by what is known when it ends"`
	Key             []string           `yaml:"key" doc:"attributes of the local root, route for http.route or, where that is not known, the path without what differs from request to request, name for the name likewise, kind, and, at the end, status; 1,000 combinations have a target each, the rest share one, as do those with a value of over 1,024 bytes"`
	Window          component.Duration `yaml:"window" doc:"the time after which half of what was seen is forgotten"`
}

// Moment is when the sampler is asked.
type Moment string

const (
	// Start is when a local root starts; also the empty value.
	Start Moment = "start"
	// End is when it ends.
	End Moment = "end"
)

// ConfigSchema lists the values.
func (Moment) ConfigSchema() component.Schema { return component.Enum(Start, End) }

// Validate checks the values.
func (c *Config) Validate() error {
	var errs []error
	bad := func(path, format string, args ...any) {
		errs = append(errs, &component.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
	}
	switch {
	case c.TargetPerSecond == 0:
		bad("target_per_second", "missing: want a number above 0")
	case !(c.TargetPerSecond > 0) || math.IsInf(c.TargetPerSecond, 0):
		bad("target_per_second", "%v is no target: want a number above 0", c.TargetPerSecond)
	}
	switch c.At {
	case "", Start, End:
	default:
		bad("at", "%s is not one of %s, %s", component.Shown(string(c.At)), Start, End)
	}
	errs = append(errs, rate.CheckKey(c.Key, c.At != End)...)
	if time.Duration(c.Window) < time.Millisecond {
		bad("window", "%v is too short: want at least 1ms", c.Window)
	}
	return errors.Join(errs...)
}

// Factory makes the sampler; it is registered as "adaptive".
var Factory = component.NewFactory("adaptive", Config{
	At:     Start,
	Key:    []string{rate.RouteKey, rate.NameKey},
	Window: component.Duration(10 * time.Second),
}, New)

func init() { sampling.Samplers.MustAdd(Factory) }

// New builds the sampler: a [sampling.StartSampler], or a [sampling.EndSampler] at the
// end.
func New(_ context.Context, _ component.Settings, c Config) (sampling.Sampler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &sampler{key: rate.NewKey(c.Key), targets: rate.NewTargets(c.TargetPerSecond, time.Duration(c.Window), maxKeys)}
	target := strconv.FormatFloat(c.TargetPerSecond, 'g', -1, 64) + "/s"
	s.reason = "adaptive, " + target
	s.description = "adaptive " + target
	if len(c.Key) > 0 {
		s.description += " by " + strings.Join(c.Key, ", ")
	}
	if c.At == End {
		s.description += ", at the end"
		return endSampler{s}, nil
	}
	return startSampler{s}, nil
}

type sampler struct {
	key         *rate.Key
	reason      string
	description string
	targets     *rate.Targets // by the key
}

func (s *sampler) answer(root *rate.Root) sampling.Answer {
	now := time.Now()
	target := s.targets.Rest()
	var buf [256]byte // enough for most
	if key, ok := s.key.Append(buf[:0], root, now); ok {
		target = s.targets.Of(key, now)
	}
	t, err := sampling.ThresholdFromProbability(target.Probability(now))
	if err != nil {
		return sampling.Abstain() // unreachable: the probability is one
	}
	return sampling.At(t).Because(s.reason)
}

type startSampler struct{ *sampler }

func (s startSampler) Traits() sampling.Traits {
	return sampling.Traits{
		Description: s.description, AlwaysAnswers: true,
		Keyed: true, Keys: s.key.Attributes(), IgnoresName: s.key.IgnoresName(), IgnoresKind: s.key.IgnoresKind(),
	}
}

func (s startSampler) SampleStart(p sampling.StartParameters) sampling.Answer {
	return s.answer(&rate.Root{Name: p.Name, Kind: p.Kind, Attributes: p.Attributes})
}

type endSampler struct{ *sampler }

// Traits says nothing about starts.
func (s endSampler) Traits() sampling.Traits {
	return sampling.Traits{Description: s.description, AlwaysAnswers: true}
}

func (s endSampler) SampleEnd(p sampling.EndParameters) sampling.Answer {
	if !p.LocalRoot {
		return sampling.Abstain()
	}
	root := rate.Root{
		Name: p.Span.Name(), Kind: p.Span.SpanKind(), Status: p.Span.Status().Code, Attributes: p.Span.Attributes(),
	}
	if s.key.LooksAtEvents() {
		root.Events = p.Span.Events()
	}
	return s.answer(&root)
}

// Interface guards.
var (
	_ sampling.StartSampler = startSampler{}
	_ sampling.EndSampler   = endSampler{}
)
