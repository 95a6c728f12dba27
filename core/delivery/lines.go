package delivery

import (
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// Lines are the ways of spans to all exporters. The zero value has none. It is safe for
// concurrent use.
type Lines struct {
	gates    [gates]gate
	changing sync.Mutex
	batchers []*batcher // guarded by the gates
	meters   []*meters
}

// gate is passed by those who hand over, and closed while lines come and go. There are
// several, so that goroutines seldom meet.
type gate struct {
	sync.RWMutex
	_ [64]byte
}

const gates = 16

// Addition is a line that is to be started. The configuration must be valid.
type Addition struct {
	Exporter sdktrace.SpanExporter
	Config   Config
	Settings Settings
}

// Settings is what the host gives to a line.
type Settings struct {
	// Name is the exporter's in the configuration, Type its type, for people. Both
	// may be empty.
	Name, Type string
	// Logger is what the line logs to; nil is nothing.
	Logger *slog.Logger
	// MeterProvider is where the line counts; nil is the global one.
	MeterProvider metric.MeterProvider

	fs disk.FS // of disk queues; nil is the operating system's
}

// Add starts a line to an exporter and owns it from now on. The configuration
// must be valid.
func (f *Lines) Add(exporter sdktrace.SpanExporter, c Config, s Settings) *Line {
	return f.Change([]Addition{{exporter, c, s}}, nil)[0]
}

// Measure registers the metrics of all lines with a meter provider. Else the first line
// that has it does, inside of Change.
func (f *Lines) Measure(p metric.MeterProvider) {
	f.changing.Lock()
	defer f.changing.Unlock()
	f.metersOf(p)
}

// Change starts lines, and takes others off, at one moment: what was handed over before
// is for those that were there, what comes later for those that are there then. Who calls
// it shuts down the lines that it took off. Lines that batch, filter and redact alike
// share the batches.
func (f *Lines) Change(come []Addition, leave []*Line) []*Line {
	f.changing.Lock()
	defer f.changing.Unlock()
	lines := make([]*Line, len(come))
	for i := range come {
		come[i].Settings = come[i].Settings.withDefaults()
		lines[i] = newLine(come[i].Exporter, come[i].Config, come[i].Settings)
	}
	f.change(lines, leave)
	for i, l := range lines {
		l.metrics = f.newMetrics(l, come[i].Settings)
		l.begin()
	}
	return lines
}

func (s Settings) withDefaults() Settings {
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	s.Logger = untrusted.Logger(s.Logger)
	if s.fs == nil {
		s.fs = disk.OS{}
	}
	if s.MeterProvider == nil {
		s.MeterProvider = otel.GetMeterProvider()
	}
	return s
}

func (f *Lines) change(come, leave []*Line) {
	for i := range f.gates {
		f.gates[i].Lock()
		defer f.gates[i].Unlock()
	}
	for _, l := range leave {
		l.leaveBatcher()
	}
	f.batchers = slices.DeleteFunc(slices.Clone(f.batchers), (*batcher).isClosed)
	for _, l := range come {
		joins := func(b *batcher) bool { return b.sharing.equal(sharingOf(&l.config)) && b.join(l) }
		if !slices.ContainsFunc(f.batchers, joins) {
			b := newBatcher(sharingOf(&l.config))
			f.batchers = append(f.batchers, b)
			b.join(l)
		}
	}
}

// HandOver hands ended spans over to each line. It only enqueues and never blocks;
// it keeps the spans, but not the slice. Lines that are shut down get nothing.
func (f *Lines) HandOver(spans ...sdktrace.ReadOnlySpan) {
	g := &f.gates[rand.Uint32()%gates]
	g.RLock()
	defer g.RUnlock()
	for _, b := range f.batchers {
		b.handOver(spans)
	}
}
