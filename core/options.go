package core

import (
	"log/slog"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// Option changes how a [Provider] is made.
type Option func(*options)

type options struct {
	logger *slog.Logger
	ids    sdktrace.IDGenerator // nil is at random
	meters metric.MeterProvider
	// metersGiven tells that the application did.
	metersGiven bool

	processors []sdktrace.SpanProcessor
}

func newOptions(opts []Option) *options {
	o := &options{logger: slog.Default(), meters: otel.GetMeterProvider()}
	for _, opt := range opts {
		opt(o)
	}
	o.logger = untrusted.Logger(o.logger)
	return o
}

// Logger makes the provider and its components log to l instead of
// [slog.Default].
func Logger(l *slog.Logger) Option {
	return func(o *options) { o.logger = l }
}

// IDGenerator makes trace and span IDs with g instead of at
// random. The low 56 bits of its trace IDs must be random.
func IDGenerator(g sdktrace.IDGenerator) Option {
	return func(o *options) { o.ids = g }
}

// SpanProcessor adds a processor, which sees every recorded span when it starts and
// ends, before anything is decided. What exports spans belongs into the spec: the
// SDK's batch and simple processors take only those that were sampled at the start.
func SpanProcessor(sp sdktrace.SpanProcessor) Option {
	return func(o *options) { o.processors = append(o.processors, sp) }
}

// MeterProvider measures riffle itself with m instead of the global
// provider. A spec with a metrics section is then an error.
func MeterProvider(m metric.MeterProvider) Option {
	return func(o *options) { o.meters, o.metersGiven = m, true }
}

// settings are what the host gives to a component.
func (o *options) settings(kind, id string) component.Settings {
	return component.Settings{ID: id, Logger: o.logger.With(kind, id), MeterProvider: o.meters}
}
