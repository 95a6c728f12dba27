package delivery

import (
	"log/slog"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// Lines are the ways of spans to all exporters. The zero value has none.
type Lines struct{ batchers []*batcher }

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
// must be valid. Lines that batch, filter and redact alike share the batches. Add
// is not safe for concurrent use, neither with itself nor with HandOver.
func (f *Lines) Add(exporter sdktrace.SpanExporter, c Config, s Settings) *Line {
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
	l := newLine(exporter, c, s)
	for _, b := range f.batchers {
		if b.sharing.equal(sharingOf(&l.config)) && b.join(l) {
			l.begin(s)
			return l
		}
	}
	b := newBatcher(sharingOf(&l.config))
	f.batchers = append(f.batchers, b)
	b.join(l)
	l.begin(s)
	return l
}

// HandOver hands ended spans over to each line. It only enqueues and never blocks;
// it keeps the spans, but not the slice. It is safe for concurrent use; lines that
// are shut down get nothing.
func (f *Lines) HandOver(spans ...sdktrace.ReadOnlySpan) {
	for _, b := range f.batchers {
		b.handOver(spans)
	}
}
