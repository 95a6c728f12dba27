// Package riffle traces an application as its configuration says:
//
//	shutdown, err := riffle.Start(ctx, "fluxbase.yaml", riffle.App("fluxbase"))
//	if err != nil {
//		return err
//	}
//	defer shutdown(context.Background())
//
// From then on, every library that is instrumented with OpenTelemetry makes
// spans, the configured samplers decide which traces to keep, and the configured
// exporters send them. It comes with the standard samplers and exporters; others
// are registered by importing them.
package riffle

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"sync"

	"go.opentelemetry.io/otel"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	_ "github.com/riffletrace/riffle/exporters/standard"
	_ "github.com/riffletrace/riffle/plugins"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

// Option changes how [Start] works.
type Option func(*options)

type options struct {
	logger *slog.Logger
	config []config.Option
	core   []core.Option
}

// App names the application, by default fluxbase. Its name leads that of its
// variables, FLUXBASE_OBSERVABILITY_TRACING_*, and is the default of the service
// namespace.
func App(name string) Option { return Config(config.App(name)) }

// Logger makes riffle and its components speak through l instead of
// [slog.Default].
func Logger(l *slog.Logger) Option {
	return func(o *options) { o.logger = l }
}

// Samplers takes sampler types from r instead of [core.Samplers].
func Samplers(r *core.Registry[core.Sampler]) Option {
	return func(o *options) {
		Config(config.Samplers(r))(o)
		Core(core.WithSamplers(r))(o)
	}
}

// Exporters takes exporter types from r instead of [core.Exporters].
func Exporters(r *core.Registry[core.Exporter]) Option {
	return func(o *options) {
		Config(config.Exporters(r))(o)
		Core(core.WithExporters(r))(o)
	}
}

// Config passes options on to package config.
func Config(opts ...config.Option) Option {
	return func(o *options) { o.config = append(o.config, opts...) }
}

// Core passes options on to [core.New].
func Core(opts ...core.Option) Option {
	return func(o *options) { o.core = append(o.core, opts...) }
}

// Start reads the configuration from file and the environment, and makes
// what it describes OpenTelemetry's global tracer provider and propagators. A
// file that does not exist, or an empty name, leaves the environment; without
// any configuration tracing is off, which is no error. Mistakes in the
// configuration are [core.ConfigErrors], and leave nothing started.
//
// ctx bounds the start only. shutdown undoes the installation and sends what
// is left, bounded by its context; calling it again does nothing more. It is never
// nil.
func Start(ctx context.Context, file string, opts ...Option) (shutdown func(context.Context) error, err error) {
	o := &options{logger: slog.Default()}
	for _, opt := range opts {
		opt(o)
	}
	nothing := func(context.Context) error { return nil }
	spec, missing, err := load(file, o.config)
	if err != nil {
		return nothing, err
	}
	for _, w := range spec.Warnings {
		o.logger.WarnContext(ctx, "OpenTelemetry tracing: "+w.Err.Error(), "position", w.Position)
	}
	provider, err := core.New(ctx, spec, append([]core.Option{core.WithLogger(o.logger)}, o.core...)...)
	if err != nil {
		return nothing, err
	}
	if !spec.Enabled {
		var attrs []any
		if missing {
			attrs = append(attrs, "file_not_found", file)
		}
		o.logger.InfoContext(ctx, "OpenTelemetry tracing is disabled", attrs...)
		return disabled(provider), nil
	}
	undo := sync.OnceFunc(provider.Install())
	o.logger.InfoContext(ctx, "OpenTelemetry tracing initialized", describe(&spec, provider.Stats())...)
	return func(ctx context.Context) error {
		undo()
		return provider.Shutdown(ctx)
	}, nil
}

// load reads the file and the environment, or the environment alone if there
// is no such file.
func load(file string, opts []config.Option) (spec core.Spec, missing bool, err error) {
	if file == "" {
		spec, err = config.FromEnv(opts...)
		return spec, false, err
	}
	spec, err = config.Load(file, opts...)
	// The file may be there and name another that is not.
	if mistakes := core.ConfigErrors(nil); errors.Is(err, fs.ErrNotExist) && !errors.As(err, &mistakes) {
		spec, err = config.FromEnv(opts...)
		return spec, true, err
	}
	return spec, false, err
}

// disabled installs the propagators alone, so that the traces of others pass
// through this process unbroken.
func disabled(provider *core.Provider) (shutdown func(context.Context) error) {
	before := otel.GetTextMapPropagator()
	otel.SetTextMapPropagator(provider.Propagator())
	undo := sync.OnceFunc(func() { otel.SetTextMapPropagator(before) })
	return func(ctx context.Context) error {
		undo()
		return provider.Shutdown(ctx)
	}
}

// describe says in attributes what was started.
func describe(spec *core.Spec, stats core.Stats) []any {
	var exporters, endpoints, samplers []string
	for _, e := range stats.Exporters {
		exporters = append(exporters, e.Name)
		if e.Endpoint != "" {
			endpoints = append(endpoints, e.Endpoint)
		}
	}
	for _, s := range stats.Samplers {
		samplers = append(samplers, s.Description)
	}
	return []any{
		"service_name", spec.ServiceName,
		"environment", spec.Environment,
		"exporters", exporters,
		"endpoints", endpoints,
		"samplers", samplers,
	}
}
