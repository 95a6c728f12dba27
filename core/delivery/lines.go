package delivery

import (
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// Lines are the ways of spans to all exporters. The zero value has none. It is safe for
// concurrent use.
type Lines struct {
	current  atomic.Pointer[lineSet] // nil is none
	changing sync.Mutex
	meters   []*meters // guarded by changing
}

// lineSet is the lines that are there between two changes. Who hands over counts itself
// while it does, so that a change can wait for it, and never the other way round: to wait
// is to be scheduled again, which takes long on a busy machine.
type lineSet struct {
	batchers []*batcher
	readers  [readerParts]readers
}

// readers are in parts, so that goroutines seldom meet.
type readers struct {
	atomic.Int64
	_ [56]byte
}

const readerParts = 16

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
	for i, l := range lines {
		l.metrics = f.newMetrics(l, come[i].Settings)
	}
	f.change(lines, leave)
	for _, l := range lines {
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

// change puts another set into force. Batchers whose lines stay the same stay; others are
// replaced, for a batcher cannot gain or lose a line at the same moment as another.
func (f *Lines) change(come, leave []*Line) {
	last := f.current.Load()
	if last == nil {
		last = &lineSet{}
	}
	type group struct {
		sharing sharing
		lines   []*Line
		is      *batcher // nil if its lines are others
	}
	var groups []group
	for _, b := range last.batchers {
		all := b.members()
		stay := slices.DeleteFunc(slices.Clone(all), func(l *Line) bool { return slices.Contains(leave, l) })
		switch {
		case len(stay) == len(all) && len(all) > 0:
			groups = append(groups, group{b.sharing, all, b})
		case len(stay) > 0:
			groups = append(groups, group{b.sharing, stay, nil})
		}
	}
	for _, l := range come {
		s := sharingOf(&l.config)
		i := slices.IndexFunc(groups, func(g group) bool { return s.canShare() && s.equal(g.sharing) })
		if i < 0 {
			groups = append(groups, group{sharing: s, lines: []*Line{l}})
			continue
		}
		groups[i].lines, groups[i].is = append(slices.Clip(groups[i].lines), l), nil
	}
	next := &lineSet{}
	for _, g := range groups {
		if g.is == nil {
			g.is = newBatcher(g.sharing, g.lines)
		}
		next.batchers = append(next.batchers, g.is)
	}
	f.current.Store(next)
	last.wait()
	for _, b := range last.batchers {
		if !slices.Contains(next.batchers, b) {
			b.close()
		}
	}
}

// wait waits for those who hand over to a set that is not in force any more.
func (s *lineSet) wait() {
	const pause = 20 * time.Microsecond
	for i := range s.readers {
		for s.readers[i].Load() != 0 {
			time.Sleep(pause)
		}
	}
}

// HandOver hands ended spans over to each line. It only enqueues and never blocks;
// it keeps the spans, but not the slice. Lines that are shut down get nothing.
func (f *Lines) HandOver(spans ...sdktrace.ReadOnlySpan) {
	part := rand.Uint32() % readerParts
	for {
		if s := f.current.Load(); s == nil || f.handOver(s, part, spans) {
			return
		}
	}
}

// handOver hands over to a set, and reports whether it is in force.
func (f *Lines) handOver(s *lineSet, part uint32, spans []sdktrace.ReadOnlySpan) bool {
	n := &s.readers[part].Int64
	n.Add(1)
	defer n.Add(-1)
	if f.current.Load() != s { // it may not have been waited for
		return false
	}
	for _, b := range s.batchers {
		b.handOver(spans)
	}
	return true
}

// attach makes a batcher the line's.
func (l *Line) attach(b *batcher) {
	next := []*batcher{b}
	for _, o := range *l.batchers.Load() {
		select {
		case <-o.done:
		default:
			next = append(next, o)
		}
	}
	l.batchers.Store(&next)
}

// leaveBatchers takes the line off: nothing more is handed over to it. When the mark
// closes, it has everything that was.
func (l *Line) leaveBatchers() (mark <-chan struct{}) {
	return l.eachBatcher(func(b *batcher) <-chan struct{} { return b.leave(l) })
}

// eachBatcher returns a mark that closes when those of all have that f returns.
func (l *Line) eachBatcher(f func(*batcher) <-chan struct{}) <-chan struct{} {
	batchers := *l.batchers.Load()
	if len(batchers) == 1 {
		return f(batchers[0])
	}
	marks := make([]<-chan struct{}, len(batchers))
	for i, b := range batchers {
		marks[i] = f(b)
	}
	all := make(chan struct{})
	go func() {
		defer close(all)
		for _, m := range marks {
			<-m
		}
	}()
	return all
}
