// Package demo runs a small HTTP service under load, with riffle deciding
// which of its traces to keep, and compares what the load driver saw with what riffle's
// metrics counted and with what arrived at a backend. The driver and the backend are
// joined on trace IDs; neither knows of riffle's own counters. Of those the metrics have
// what no span tells: how many local roots were not recorded.
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
	"github.com/riffletrace/riffle/core/spanmetrics"
)

// receiverName is what the demo's own exporter is called among the others.
const receiverName = "demo-receiver"

// closeTimeout bounds flushing the exporters.
const closeTimeout = 5 * time.Second

// Options say what to run.
type Options struct {
	// Spec is what riffle does; the demo's own exporter, the one called otlp in
	// Exporters, is added to it.
	Spec      core.Spec
	Exporters *component.Registry[sdktrace.SpanExporter]
	Requests  int
	// Concurrency is how many of them are under way at once.
	Concurrency int
	Seed        uint64
	// Logger is what riffle and its components log to.
	Logger *slog.Logger
	// Progress is called after each request, concurrently.
	Progress func()

	hold func() // is called in each request before it is answered; nil but in tests
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
	spec.Metrics = nil // the service that has it may be running, and the demo counts itself
	spec.SpanMetrics = spanMetrics(spec.SpanMetrics)
	meters := newMeters()
	provider, err := core.New(ctx, spec, core.Logger(o.Logger), core.IDGenerator(service.IDs{Seed: o.Seed}), core.MeterProvider(meters))
	if err != nil {
		return nil, err
	}
	var seen observed
	err = seen.drive(ctx, provider, o)

	// Everything ends in order, also when ctx is done.
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := provider.Shutdown(closing); err != nil {
		o.Logger.Warn("not everything was delivered", "error", err)
	}
	if err != nil {
		return nil, err
	}
	if seen.counted, err = meters.read(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	seen.traces, seen.stats = backend.Traces(), provider.Stats()
	result := newResult(&seen)
	result.Seed = o.Seed
	result.Interrupted = result.Requests < o.Requests
	result.Seconds = time.Since(began).Seconds()
	return result, result.check()
}

// spanMetrics are those of the user, in so far as the demo's figures can be read from
// them: their histogram has an edge from which on a request is slow.
func spanMetrics(users *spanmetrics.Config) *spanmetrics.Config {
	var c spanmetrics.Config
	if users != nil {
		c = *users
	}
	c.Exponential = false
	c.Buckets = []component.Duration{component.Duration(load.Slow)}
	return &c
}

// drive runs the service, sends the requests and ends the service.
func (s *observed) drive(ctx context.Context, provider *core.Provider, o Options) error {
	shop, err := service.Start(ctx, provider.TracerProvider(), provider.Propagator(), o.hold)
	if err != nil {
		return fmt.Errorf("starting the service: %w", err)
	}
	s.responses, err = load.Run(ctx, shop.URL(), load.Plan(o.Requests, o.Seed), o.Concurrency, o.Progress)
	err = errors.Join(err, shop.Close())
	s.payments, s.paymentsFailed = shop.Payments()
	return err
}
