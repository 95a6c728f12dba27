// Package rare is the sampler that keeps the first traces of each kind, where the
// values of some keys tell the kinds, among them what is known when a segment is
// over: an error that is new is seen, whatever the other samplers say.
//
// Of each key it keeps the first few in each window, which begins with the first of
// them. Those are kept with certainty, whatever their randomness, and say so in
// sampling.rule; about the rest it says nothing. Which are first depends on what came
// before them, and on nothing else, so that weighted counts stay right.
//
// A segment counts once, when what ends with its local root is decided. One that is
// overdue counts with the spans that have ended, if its local root has.
package rare

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/rate"
	"github.com/riffletrace/riffle/core/sampling"
)

const (
	// maxKeys is how many keys are counted apart.
	maxKeys = 10_000
	// fingerprintKey stands for the set of a segment's spans.
	fingerprintKey = "fingerprint"
	// logEvery is how often at most it is logged that keys are counted together.
	logEvery = time.Minute
)

// Config is what users set.
type Config struct {
	_      struct{}           `doc:"keeps the first traces of each key in each window"`
	First  int                `yaml:"first" doc:"how many to keep of each key in a window, from 1"`
	Window component.Duration `yaml:"window" doc:"how long a key is remembered from the first of its traces on, at least 1s"`
	Key    []string           `yaml:"key" doc:"attributes of the local root, route for http.route or, where that is not known, the path without what differs from request to request, name for the name likewise, kind, status, and fingerprint for the set of the segment's spans by name, kind and status; 10,000 keys are counted apart, the rest together, as are those with a value of over 1,024 bytes"`
}

// LeavesNothingOut implements [component.LeavesNothingOut].
func (*Config) LeavesNothingOut() bool { return true }

// Validate checks the values.
func (c *Config) Validate() error {
	var errs []error
	if c.First < 1 {
		errs = append(errs, &component.FieldError{Path: "first", Err: fmt.Errorf("%d keeps none: want 1 or more", c.First)})
	}
	if time.Duration(c.Window) < time.Second {
		errs = append(errs, &component.FieldError{Path: "window", Err: fmt.Errorf("%v is too short: want at least 1s", c.Window)})
	}
	if len(c.Key) == 0 {
		errs = append(errs, &component.FieldError{Path: "key", Err: errors.New("empty: want an attribute, route, name, kind, status or fingerprint")})
	}
	return errors.Join(append(errs, rate.CheckKey(c.Key, false, fingerprintKey)...)...)
}

// Factory makes the sampler; it is registered as "rare".
var Factory = component.NewFactory("rare", Config{
	First:  5,
	Window: component.Duration(time.Hour),
	Key:    []string{rate.RouteKey, rate.StatusKey, "error.type"},
}, New)

func init() { sampling.Samplers.MustAdd(Factory) }

// New builds the sampler.
func New(_ context.Context, settings component.Settings, c Config) (sampling.Sampler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &sampler{
		first:       c.First,
		window:      time.Duration(c.Window),
		answer:      sampling.At(sampling.Always).WithRule(fmt.Sprintf("first %d of its key", c.First)),
		description: fmt.Sprintf("rare, first %d in %v by %s", c.First, c.Window, strings.Join(c.Key, ", ")),
		seed:        maphash.MakeSeed(),
		seen:        map[uint64]int{},
		logger:      settings.Logger,
	}
	if i := slices.Index(c.Key, fingerprintKey); i >= 0 {
		s.fingerprints = newFingerprints()
		c.Key = slices.Delete(slices.Clone(c.Key), i, i+1)
	}
	s.key = rate.NewKey(c.Key)
	return s, nil
}

// sampler is asked by one goroutine at a time.
type sampler struct {
	first       int
	window      time.Duration
	key         *rate.Key
	answer      sampling.Answer
	description string

	fingerprints *fingerprints // nil if the key has none
	buf          []byte        // of a key
	// Keys are remembered by a hash that is another one in each process: what clients
	// write does not count, and cannot be made to have the hash of something else.
	seed maphash.Seed

	// seen is how often each key was seen whose window is not over, up to first. The
	// windows are in the order in which they began.
	seen    map[uint64]int
	windows []window
	rest    struct { // what has no room, or too long a value
		since time.Time
		seen  int
	}

	logger *slog.Logger
	// crowded counts what was counted with the rest since that was logged.
	crowded int64
	logged  time.Time
}

// window is that of a key.
type window struct {
	key   uint64
	since time.Time
}

func (s *sampler) Traits() sampling.Traits {
	return sampling.Traits{Description: s.description, NeverRaises: true}
}

// SampleSegments answers until its context is done.
func (s *sampler) SampleSegments(ctx context.Context, segments []sampling.Segment, answers []sampling.Answer) {
	now := time.Now()
	s.forget(now)
	for i := range segments {
		if ctx.Err() != nil {
			return
		}
		if g := &segments[i]; g.Root != nil && hasRoot(g) && s.isFirst(g, now) {
			answers[i] = s.answer
		}
	}
	if s.crowded > 0 && now.Sub(s.logged) >= logEvery {
		s.logger.WarnContext(ctx, "there are more keys than are counted apart, or values that are too long: the others are counted together",
			slog.Int("keys", len(s.seen)), slog.Int64("traces", s.crowded))
		s.crowded, s.logged = 0, now
	}
}

// hasRoot reports whether the local root is among the spans. It is not among those that
// ended after it, when the segment was decided before.
func hasRoot(g *sampling.Segment) bool {
	root := g.Root.SpanContext().SpanID()
	for _, span := range slices.Backward(g.Spans) { // it mostly is the last one
		if span.SpanContext().SpanID() == root {
			return true
		}
	}
	return false
}

// forget makes room for other keys.
func (s *sampler) forget(now time.Time) {
	over := 0
	for over < len(s.windows) && now.Sub(s.windows[over].since) >= s.window {
		delete(s.seen, s.windows[over].key)
		over++
	}
	s.windows = s.windows[over:]
}

// isFirst counts a segment, and reports whether it is one of the first of its key.
func (s *sampler) isFirst(g *sampling.Segment, now time.Time) bool {
	text, ok := s.keyOf(g, now)
	key := maphash.Bytes(s.seed, text)
	seen, known := s.seen[key]
	switch {
	case ok && known:
	case ok && len(s.seen) < maxKeys:
		s.windows = append(s.windows, window{key, now})
	default:
		s.crowded++
		if now.Sub(s.rest.since) >= s.window {
			s.rest.since, s.rest.seen = now, 0
		}
		s.rest.seen++
		return s.rest.seen <= s.first
	}
	if seen == s.first {
		return false
	}
	s.seen[key] = seen + 1
	return true
}

// keyOf writes the key of a segment.
func (s *sampler) keyOf(g *sampling.Segment, now time.Time) (key []byte, ok bool) {
	root := rate.Root{
		Name: g.Root.Name(), Kind: g.Root.SpanKind(), Status: g.Root.Status().Code, Attributes: g.Root.Attributes(),
	}
	if s.key.LooksAtEvents() {
		root.Events = g.Root.Events()
	}
	s.buf, ok = s.key.Append(s.buf[:0], &root, now)
	if ok && s.fingerprints != nil {
		s.buf = strconv.AppendBool(s.buf, g.Complete) // otherwise spans are missing
		s.buf = s.fingerprints.append(s.buf, g.Spans)
	}
	return s.buf, ok
}

// Interface guards.
var (
	_ sampling.SegmentSampler    = (*sampler)(nil)
	_ component.LeavesNothingOut = (*Config)(nil)
)
