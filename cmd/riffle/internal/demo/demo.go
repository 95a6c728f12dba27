// Package demo runs a small HTTP service under load, with riffle deciding
// which of its traces to keep, and compares what the load driver saw with what
// arrived at a backend. The two are joined on trace IDs; neither knows of
// riffle's own counters.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/load"
	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/receiver"
	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/service"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
)

// receiverName is what the demo's own exporter is called among the others.
const receiverName = "demo-receiver"

// concurrency is how many requests are under way at once.
const concurrency = 64

// closeTimeout bounds flushing the exporters.
const closeTimeout = 5 * time.Second

// Options say what to run.
type Options struct {
	// Spec is what riffle does; the demo's own exporter, the one called otlp in
	// Exporters, is added to it.
	Spec      core.Spec
	Exporters *component.Registry[sdktrace.SpanExporter]
	Requests  int
	Seed      uint64
	// Logger is what riffle and its components log to.
	Logger *slog.Logger
	// Progress is called after each request, concurrently.
	Progress func()
}

// Run runs the demo. When ctx is done it sends no more requests and reports
// on those that it sent.
func Run(ctx context.Context, o Options) (*Result, error) {
	began := time.Now()
	backend, err := receiver.Start(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting the receiver: %w", err)
	}
	defer backend.Close()

	own, err := command.OTLP(o.Exporters, receiverName, map[string]any{
		"endpoint": backend.Endpoint(), "insecure": true, "protocol": "http/protobuf", "compression": "none",
	})
	if err != nil {
		return nil, err
	}
	spec := o.Spec
	spec.Exporters = append(slices.Clip(spec.Exporters), core.ExporterEntry{Plan: own})
	spec.Metrics = nil // the service that has it may be running
	provider, err := core.New(ctx, spec, core.Logger(o.Logger), core.IDGenerator(service.IDs{Seed: o.Seed}))
	if err != nil {
		return nil, err
	}
	responses, err := drive(ctx, provider, o)

	// Everything ends in order, also when ctx is done.
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := provider.Shutdown(closing); err != nil {
		o.Logger.Warn("not everything was delivered", "error", err)
	}
	if err != nil {
		return nil, err
	}
	result := newResult(responses, backend.Traces(), provider.Stats())
	result.Seed = o.Seed
	result.Interrupted = len(responses) < o.Requests
	result.Seconds = time.Since(began).Seconds()
	return result, result.check()
}

// drive runs the service, sends the requests and ends the service.
func drive(ctx context.Context, provider *core.Provider, o Options) ([]load.Response, error) {
	shop, err := service.Start(ctx, provider.TracerProvider(), provider.Propagator())
	if err != nil {
		return nil, fmt.Errorf("starting the service: %w", err)
	}
	responses, err := load.Run(ctx, shop.URL(), load.Plan(o.Requests, o.Seed), concurrency, o.Progress)
	return responses, errors.Join(err, shop.Close())
}
