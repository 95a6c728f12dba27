package core

import (
	"log/slog"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Option changes how a [Provider] is made.
type Option func(*options)

type options struct {
	samplers  *Registry[Sampler]
	exporters *Registry[Exporter]
	logger    *slog.Logger
	ids       sdktrace.IDGenerator
	meters    metric.MeterProvider
}

func newOptions(opts []Option) *options {
	o := &options{samplers: &Samplers, exporters: &Exporters, logger: slog.Default(), ids: newRandomIDs(stripes()), meters: otel.GetMeterProvider()}
	for _, opt := range opts {
		opt(o)
	}
	return o
}

// WithSamplers takes sampler types from r instead of [Samplers].
func WithSamplers(r *Registry[Sampler]) Option {
	return func(o *options) { o.samplers = r }
}

// WithExporters takes exporter types from r instead of [Exporters].
func WithExporters(r *Registry[Exporter]) Option {
	return func(o *options) { o.exporters = r }
}

// WithLogger makes the provider and its components speak through l instead
// of [slog.Default].
func WithLogger(l *slog.Logger) Option {
	return func(o *options) { o.logger = l }
}

// WithIDGenerator makes trace and span IDs with g instead of at
// random. The low 56 bits of its trace IDs must be random.
func WithIDGenerator(g sdktrace.IDGenerator) Option {
	return func(o *options) { o.ids = g }
}

// WithMeterProvider measures riffle itself with m instead of the global
// provider.
func WithMeterProvider(m metric.MeterProvider) Option {
	return func(o *options) { o.meters = m }
}
