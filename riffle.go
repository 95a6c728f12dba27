// Package riffle traces an application as its configuration says:
//
//	tracing, err := riffle.Start(ctx, "fluxbase.yaml", riffle.App("fluxbase"))
//	if err != nil {
//		return err
//	}
//	defer tracing.Shutdown(context.Background())
//
// From then on, every library that is instrumented with OpenTelemetry makes
// spans, the configured samplers decide which traces to keep, and the configured
// exporters send them. It comes with the standard samplers and exporters; others
// are registered by importing them: riffle/all has every exporter and the host of
// plugins.
package riffle

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	_ "github.com/riffletrace/riffle/exporters/standard"
	"github.com/riffletrace/riffle/internal/untrusted"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

// Option changes how [Start] works.
type Option func(*options)

type options struct {
	logger  *slog.Logger
	config  []config.Option
	core    []core.Option
	signals []os.Signal
}

// App names the application. The variables of one called fluxbase are
// FLUXBASE_OBSERVABILITY_TRACING_*, and its name is the default of the service
// namespace. Without it, there are neither.
func App(name string) Option { return Config(config.App(name)) }

// Section reads another section of the file than observability.tracing. With
// "tracing", the keys stand below a tracing: at the top of the file, and the variables
// are FLUXBASE_TRACING_*; see [config.Section].
func Section(path string) Option { return Config(config.Section(path)) }

// Logger makes riffle and its components log to l instead of [slog.Default].
func Logger(l *slog.Logger) Option {
	return func(o *options) { o.logger = l }
}

// Samplers takes sampler types from r instead of [sampling.Samplers].
func Samplers(r *component.Registry[sampling.Sampler]) Option { return Config(config.Samplers(r)) }

// Exporters takes exporter types from r instead of [component.Exporters].
func Exporters(r *component.Registry[sdktrace.SpanExporter]) Option {
	return Config(config.Exporters(r))
}

// ReloadOn reads the configuration again when the process gets one of the signals:
//
//	riffle.ReloadOn(syscall.SIGHUP)
//
// See [Tracing.Reload]. What it comes to is logged.
func ReloadOn(signals ...os.Signal) Option {
	return func(o *options) { o.signals = append(o.signals, signals...) }
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
// ctx bounds the start only. Where tracing is off, the propagators alone are
// installed, so that the traces of others pass through this process unbroken.
func Start(ctx context.Context, file string, opts ...Option) (*Tracing, error) {
	o := &options{logger: slog.Default()}
	for _, opt := range opts {
		opt(o)
	}
	o.logger = untrusted.Logger(o.logger)
	spec, missing, err := load(file, o.config)
	if err != nil {
		return nil, err
	}
	o.warn(ctx, spec)
	w := watchedBy(file, spec)
	provider, err := core.New(ctx, spec, append([]core.Option{core.Logger(o.logger)}, o.core...)...)
	if err != nil {
		return nil, err
	}
	var attrs []any
	if missing {
		attrs = append(attrs, "file_not_found", file)
	}
	if !spec.Enabled {
		o.logger.InfoContext(ctx, "OpenTelemetry tracing is disabled", attrs...)
	} else {
		o.logger.InfoContext(ctx, "OpenTelemetry tracing initialized", append(attrs, describe(provider, spec.Environment)...)...)
	}
	t := &Tracing{provider: provider, undo: provider.Install(), options: o, file: file, missing: missing}
	t.reloads.start(t, w)
	return t, nil
}

// warn logs what is worth telling about a configuration.
func (o *options) warn(ctx context.Context, spec core.Spec) {
	for _, w := range spec.Source.Warnings() {
		text := w.Err.Error()
		if w.Path != "" {
			text = w.Path + ": " + text
		}
		o.logger.WarnContext(ctx, "OpenTelemetry tracing: "+text, "position", w.Position)
	}
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

// describe says in attributes what was started.
func describe(p *core.Provider, environment string) []any {
	var exporters, endpoints, samplers []string
	stats := p.Stats()
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
		"service_name", p.ServiceName(),
		"environment", environment,
		"exporters", exporters,
		"endpoints", endpoints,
		"samplers", samplers,
	}
}
