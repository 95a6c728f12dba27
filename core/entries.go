package core

import (
	"errors"
	"fmt"
	"os"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/sampling"
)

// SamplerEntry is an entry of the samplers list.
type SamplerEntry struct {
	component.Plan[sampling.Sampler]
	SamplerKeys
}

// SamplerKeys are the keys of a samplers entry that belong to the host,
// besides type and name.
type SamplerKeys struct {
	Match *match.Config `yaml:"match" doc:"asks the sampler only about spans that match"`
	Limit *LimitConfig  `yaml:"limit" doc:"on an end sampler: bounds what it keeps"`
	// Sample is empty for 1.
	Sample sampling.Sample `yaml:"sample" doc:"on an end or segment sampler: the share of what it keeps that is kept, 0 to 1; on attribute at the start also drop"`
}

// LimitConfig bounds what an end sampler keeps.
type LimitConfig struct {
	PerSecond float64 `yaml:"per_second" doc:"traces kept per second on average; above it, the threshold rises and the weights with it"`
}

// ExporterEntry is an entry of the exporters list.
type ExporterEntry struct {
	component.Plan[sdktrace.SpanExporter]
	// Delivery is the configuration of the exporter's line; nil is the default, with
	// what the OTEL_BSP_* variables set.
	Delivery *delivery.Config
}

// UseSampler returns an entry made in Go; see [component.Use].
func UseSampler[C any](f component.Factory[sampling.Sampler], name string, c C) SamplerEntry {
	return SamplerEntry{Plan: component.Use(f, name, c)}
}

// UseExporter returns an entry made in Go; see [component.Use].
func UseExporter[C any](f component.Factory[sdktrace.SpanExporter], name string, c C) ExporterEntry {
	return ExporterEntry{Plan: component.Use(f, name, c)}
}

// WithDelivery returns the entry with a configuration of its line; start from
// [delivery.Defaults].
func (e ExporterEntry) WithDelivery(c delivery.Config) ExporterEntry {
	e.Delivery = &c
	return e
}

// check returns the matcher, nil without one.
func (k *SamplerKeys) check() (matcher *match.Matcher, err error) {
	var errs []error
	if k.Match != nil {
		if matcher, err = k.Match.Compile(); err != nil {
			errs = append(errs, below("match", err))
		}
	}
	if k.Limit != nil && !(k.Limit.PerSecond > 0) {
		errs = append(errs, &component.FieldError{Path: "limit.per_second", Err: fmt.Errorf("%v is not a rate: want a number above 0", k.Limit.PerSecond)})
	}
	if k.Sample != "" {
		if _, err := k.Sample.Answer(); err != nil {
			errs = append(errs, &component.FieldError{Path: "sample", Err: err})
		}
	}
	return matcher, errors.Join(errs...)
}

// warn returns what is no mistake in the keys, but hardly what was meant.
func (k *SamplerKeys) warn() error {
	if k.Match == nil {
		return nil
	}
	return below("match", k.Match.Warn())
}

// warn is likewise about the line.
func (e *ExporterEntry) warn() error {
	if e.Delivery == nil || e.Delivery.Filter == nil || e.Delivery.Filter.Match == nil {
		return nil
	}
	return below("filter.match", e.Delivery.Filter.Match.Warn())
}

// below puts [component.FieldError]s below a path.
func below(path string, err error) error {
	var errs []error
	for _, fe := range component.FieldErrors(err) {
		errs = append(errs, &component.FieldError{Path: component.JoinPath(path, fe.Path), Err: fe.Err})
	}
	return errors.Join(errs...)
}

// check returns the configuration of the line, with the warnings about what it takes
// from the environment.
func (e *ExporterEntry) check() (delivery.Config, []*component.FieldError, error) {
	if e.Delivery != nil {
		return *e.Delivery, nil, e.Delivery.Validate()
	}
	c, warnings := delivery.Defaults().WithEnv(os.Getenv)
	return c, warnings, c.Validate()
}
