// Package adaptive is the sampler that keeps about so many traces a second of
// each kind, where the values of some keys tell the kinds: all of a rare route, a
// small share of a busy one.
//
// The probability for a trace follows from the arrivals before it, so weighted
// counts stay right while it moves; see [rate.Target]. A key that is new starts
// with a probability of 1.
package adaptive

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/rate"
	"github.com/riffletrace/riffle/core/sampling"
)

const (
	// maxKeys is how many combinations of values have a target of their own.
	maxKeys = 1000
	// maxText bounds the name and each value of a key. Longer ones are the rest.
	maxText = 1 << 10
	// nameKey stands for the span's name in the list of keys.
	nameKey = "name"
)

// Config is what users set.
type Config struct {
	_               struct{}           `doc:"keeps about so many traces a second of each key; a baseline"`
	TargetPerSecond float64            `yaml:"target_per_second" doc:"traces to keep a second and key, above 0; required"`
	Key             []string           `yaml:"key" doc:"attributes that the span has when it starts, or name for its name; 1,000 combinations have a target each, the rest share one, as do those with a value of over 1,024 bytes"`
	Window          component.Duration `yaml:"window" doc:"the time after which half of what was seen is forgotten"`
}

// Validate checks the values.
func (c *Config) Validate() error {
	var errs []error
	switch {
	case c.TargetPerSecond == 0:
		errs = append(errs, &component.FieldError{Path: "target_per_second", Err: errors.New("missing: want a number above 0")})
	case !(c.TargetPerSecond > 0) || math.IsInf(c.TargetPerSecond, 0):
		errs = append(errs, &component.FieldError{Path: "target_per_second", Err: fmt.Errorf("%v is no target: want a number above 0", c.TargetPerSecond)})
	}
	for i, key := range c.Key {
		switch {
		case key == "":
			errs = append(errs, &component.FieldError{Path: fmt.Sprintf("key[%d]", i), Err: errors.New("empty: want an attribute, or name")})
		case slices.Index(c.Key, key) < i:
			errs = append(errs, &component.FieldError{Path: fmt.Sprintf("key[%d]", i), Err: fmt.Errorf("%q is listed twice", key)})
		}
	}
	if time.Duration(c.Window) < time.Millisecond {
		errs = append(errs, &component.FieldError{Path: "window", Err: fmt.Errorf("%v is too short: want at least 1ms", c.Window)})
	}
	return errors.Join(errs...)
}

// Factory makes the sampler; it is registered as "adaptive".
var Factory = component.NewFactory("adaptive", Config{
	Key:    []string{"http.route", nameKey},
	Window: component.Duration(10 * time.Second),
}, New)

func init() { sampling.Samplers.MustAdd(Factory) }

// New builds the sampler.
func New(_ context.Context, _ component.Settings, c Config) (sampling.Sampler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &sampler{targets: rate.NewTargets(c.TargetPerSecond, time.Duration(c.Window), maxKeys)}
	target := strconv.FormatFloat(c.TargetPerSecond, 'g', -1, 64) + "/s"
	s.reason = "adaptive, " + target
	s.description = "adaptive " + target
	for _, key := range c.Key {
		if key == nameKey {
			s.byName = true
			continue
		}
		s.keys = append(s.keys, attribute.Key(key))
	}
	if len(c.Key) > 0 {
		s.description += " by " + strings.Join(c.Key, ", ")
	}
	return s, nil
}

type sampler struct {
	keys        []attribute.Key
	byName      bool
	reason      string
	description string
	targets     *rate.Targets // by the values, as appendKey writes them
}

func (s *sampler) Traits() sampling.Traits {
	return sampling.Traits{Description: s.description, Keyed: true, Keys: slices.Clone(s.keys), IgnoresName: !s.byName, IgnoresKind: true, AlwaysAnswers: true}
}

func (s *sampler) SampleStart(p sampling.StartParameters) sampling.Answer {
	now := time.Now()
	target := s.targets.Rest()
	var buf [256]byte // enough for most
	if key, ok := s.appendKey(buf[:0], &p); ok {
		target = s.targets.Of(key, now)
	}
	t, err := sampling.ThresholdFromProbability(target.Probability(now))
	if err != nil {
		return sampling.Abstain() // unreachable: the probability is one
	}
	return sampling.At(t).Because(s.reason)
}

// appendKey writes the values of the keys, so that others are written otherwise:
// values of different types differ, and so does one that is missing from an empty
// one. It is not ok where one is too long.
func (s *sampler) appendKey(dst []byte, p *sampling.StartParameters) (key []byte, ok bool) {
	if s.byName {
		if len(p.Name) > maxText {
			return nil, false
		}
		dst = appendText(dst, p.Name)
	}
	for _, key := range s.keys {
		// The last one counts, as in the SDK.
		var v attribute.Value
		for i := range p.Attributes {
			if p.Attributes[i].Key == key {
				v = p.Attributes[i].Value
			}
		}
		dst = append(dst, byte(v.Type()))
		switch v.Type() {
		case attribute.EMPTY:
		case attribute.STRING, attribute.BYTESLICE:
			if len(v.AsString()) > maxText {
				return nil, false
			}
			dst = appendText(dst, v.AsString())
		case attribute.INT64:
			dst = binary.LittleEndian.AppendUint64(dst, uint64(v.AsInt64()))
		case attribute.FLOAT64:
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.AsFloat64()))
		case attribute.BOOL:
			dst = strconv.AppendBool(dst, v.AsBool())
		default:
			if sizeOf(v) > maxText {
				return nil, false
			}
			dst = appendText(dst, v.String())
		}
	}
	return dst, true
}

func appendText(dst []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(s))), s...)
}

// sizeOf is about the size of a list or a map, up to what is too much.
func sizeOf(v attribute.Value) (size int) {
	const each = 8 // of an element
	switch v.Type() {
	case attribute.BOOLSLICE:
		return each * len(v.AsBoolSlice())
	case attribute.INT64SLICE:
		return each * len(v.AsInt64Slice())
	case attribute.FLOAT64SLICE:
		return each * len(v.AsFloat64Slice())
	case attribute.STRINGSLICE:
		for _, s := range v.AsStringSlice() {
			if size += each + len(s); size > maxText {
				break
			}
		}
	case attribute.SLICE:
		for _, e := range v.AsSlice() {
			if size += each + sizeOf(e); size > maxText {
				break
			}
		}
	case attribute.MAP:
		for _, kv := range v.AsMap() {
			if size += each + len(kv.Key) + sizeOf(kv.Value); size > maxText {
				break
			}
		}
	default:
		size = len(v.AsString())
	}
	return size
}

// Interface guards.
var _ sampling.StartSampler = (*sampler)(nil)
