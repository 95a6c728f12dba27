package host

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/plugins/internal/lease"
)

// PluginStats is what is known about a plugin. Counters only grow.
type PluginStats struct {
	Name  string
	State State
	PID   int // 0 while there is no process
	// Restarts counts processes after the first, Calls those to the plugin and
	// Failures those of them that failed; Latency is the mean of all.
	Restarts, Calls, Failures uint64
	Latency                   time.Duration
	// Unsolicited counts answers about what was not asked.
	Unsolicited uint64
	// Leases are those of all its start samplers.
	Leases LeaseStats
}

// LeaseStats is about the answers of start samplers.
type LeaseStats = lease.Stats

// Stats tells about the plugins that this process runs, by name.
func Stats() []PluginStats {
	var all []PluginStats
	for _, p := range running.all() {
		all = append(all, p.Stats())
	}
	return all
}

// Stats returns a snapshot.
func (p *Plugin) Stats() PluginStats {
	s := PluginStats{
		Name: p.name, PID: p.PID(),
		Restarts: p.counts.restarts.Load(), Calls: p.counts.calls.Load(), Failures: p.counts.failures.Load(),
		Unsolicited: p.counts.unsolicited.Load(),
	}
	if s.Calls > 0 {
		s.Latency = time.Duration(p.counts.nanos.Load() / s.Calls)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.State = p.state
	for in := range p.instances {
		if in.metrics != nil && in.metrics.table != nil {
			l := in.metrics.table.Stats()
			s.Leases.Hits += l.Hits
			s.Leases.Misses += l.Misses
			s.Leases.Skipped += l.Skipped
			s.Leases.Batches += l.Batches
			s.Leases.Answers += l.Answers
			s.Leases.Keys += l.Keys
		}
	}
	return s
}

// PluginStatus tells about the plugin that serves the instance.
func (in *instanceClient) PluginStatus() component.PluginStatus {
	s := in.plugin.Stats()
	return component.PluginStatus{
		Name: s.Name, State: string(s.State), Restarts: s.Restarts, Calls: s.Calls, Failures: s.Failures,
	}
}

const scopeName = "github.com/riffletrace/riffle/plugins"

// metrics are what an instance measures.
type metrics struct {
	table        *lease.Table // nil without leases
	attrs        []attribute.KeyValue
	duration     metric.Float64Histogram // nil if it could not be made
	registration metric.Registration
}

// measure gives an instance its metrics.
func (in *instanceClient) measure(table *lease.Table) {
	m := newMetrics(in, table)
	in.plugin.mu.Lock()
	defer in.plugin.mu.Unlock()
	in.metrics = m
}

func newMetrics(in *instanceClient, table *lease.Table) *metrics {
	m := &metrics{table: table, attrs: []attribute.KeyValue{
		attribute.String("riffle.plugin", in.plugin.name), attribute.String("riffle.component", in.settings.ID),
	}}
	if in.settings.MeterProvider == nil {
		return m
	}
	meter := in.settings.MeterProvider.Meter(scopeName)
	var all []metric.Observable
	var failed error
	counter := func(name, unit, doc string) metric.Int64Observable {
		c, err := meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(doc))
		all = append(all, c)
		if err != nil {
			failed = err
		}
		return c
	}
	up := func(name, unit, doc string) metric.Int64Observable {
		g, err := meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(doc))
		all = append(all, g)
		if err != nil {
			failed = err
		}
		return g
	}
	state := up("riffle.plugin.state", "{plugin}", "1 for the state that the plugin is in.")
	restarts := counter("riffle.plugin.restarts", "{process}", "Processes of the plugin after the first.")
	starts := counter("riffle.plugin.leases.starts", "{span}", "Starts that a sampler of a plugin was asked about, by whether there was a lease.")
	skipped := counter("riffle.plugin.leases.skipped", "{start}", "Starts whose key was not asked about: too many wait, or it is too long.")
	keys := up("riffle.plugin.leases.keys", "{key}", "Keys in the table of leases.")
	duration, err := meter.Float64Histogram("riffle.plugin.call.duration", metric.WithUnit("s"), metric.WithDescription("What calls to the plugin took."))
	if failed != nil || err != nil {
		in.settings.Logger.Warn("registering the metrics of a plugin", "error", failed)
		return m
	}
	m.duration = duration
	m.registration, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		in.plugin.mu.Lock()
		now := in.plugin.state
		in.plugin.mu.Unlock()
		for _, s := range []State{Running, Restarting, Suspended, Stopped} {
			var is int64
			if s == now {
				is = 1
			}
			o.ObserveInt64(state, is, m.with(attribute.String("riffle.state", string(s))))
		}
		o.ObserveInt64(restarts, int64(in.plugin.counts.restarts.Load()), m.with())
		if table == nil {
			return nil
		}
		s := table.Stats()
		o.ObserveInt64(starts, int64(s.Hits), m.with(attribute.Bool("riffle.leased", true)))
		o.ObserveInt64(starts, int64(s.Misses), m.with(attribute.Bool("riffle.leased", false)))
		o.ObserveInt64(skipped, int64(s.Skipped), m.with())
		o.ObserveInt64(keys, int64(s.Keys), m.with())
		return nil
	}, all...)
	if err != nil {
		in.settings.Logger.Warn("registering the metrics of a plugin", "error", err)
	}
	return m
}

func (m *metrics) with(more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributes(append(more, m.attrs...)...)
}

// called records a call.
func (m *metrics) called(ctx context.Context, method string, took time.Duration, err error) {
	if m == nil || m.duration == nil {
		return
	}
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	m.duration.Record(context.WithoutCancel(ctx), took.Seconds(), m.with(attribute.String("riffle.method", method), attribute.String("riffle.outcome", outcome)))
}

func (m *metrics) close() {
	if m != nil && m.registration != nil {
		_ = m.registration.Unregister() // there is nothing to do about it
	}
}
