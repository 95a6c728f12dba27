package delivery

import (
	"errors"
	"fmt"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/otlp"
)

// Limits are those of a backend. A field that is zero is no limit.
type Limits struct {
	// MaxSpans and MaxBytes are of a request, before compression.
	MaxSpans, MaxBytes int
	// MaxSpanBytes is of a span in a request.
	MaxSpanBytes int
	// MaxAge and MaxStartAge are how long ago a span can have ended and started,
	// and MaxAhead how far in the future it can have ended, when it is sent.
	MaxAge, MaxStartAge, MaxAhead time.Duration
	// MaxSpread is how far apart the starts of the spans of a request can be.
	MaxSpread time.Duration
}

// narrow makes batches that the backend takes.
func (m Limits) narrow(b BatchConfig) BatchConfig {
	if m.MaxSpans > 0 {
		b.MaxSpans = min(b.MaxSpans, m.MaxSpans)
	}
	if m.MaxBytes > 0 {
		// Sizes are estimates there, within a quarter of the truth.
		b.MaxBytes = min(b.MaxBytes, max(1, component.Size(m.MaxBytes)*3/4))
	}
	return b
}

// extent is what limits are about in a batch. The zero value is unknown.
type extent struct {
	firstStart, lastStart time.Time // starts of spans
	firstEnd, lastEnd     time.Time // ends of spans
	largest               int       // span
	bytes                 int       // of the request, or of its spans
	exact                 bool      // largest is no estimate
}

func (e *extent) add(s sdktrace.ReadOnlySpan, size int) {
	start, end := s.StartTime(), s.EndTime()
	if e.largest == 0 || start.Before(e.firstStart) {
		e.firstStart = start
	}
	if start.After(e.lastStart) {
		e.lastStart = start
	}
	if e.largest == 0 || end.Before(e.firstEnd) {
		e.firstEnd = end
	}
	if end.After(e.lastEnd) {
		e.lastEnd = end
	}
	e.largest = max(e.largest, size)
	e.bytes += size
}

// allow reports whether a backend takes a batch for sure.
func (m Limits) allow(b *batch, now time.Time) bool {
	e := &b.extent
	switch {
	case m == Limits{}:
		return true
	case e.largest == 0, // nothing is known of it
		m.MaxSpans > 0 && b.count > m.MaxSpans,
		m.MaxBytes > 0 && e.bytes > m.MaxBytes,
		m.MaxSpread > 0 && e.lastStart.Sub(e.firstStart) > m.MaxSpread,
		m.MaxSpanBytes > 0 && e.largest > m.MaxSpanBytes/2 && !e.exact: // estimates are better than that
		return false
	}
	return !past(m.MaxStartAge, now.Sub(e.firstStart)) && !past(m.MaxAge, now.Sub(e.firstEnd)) && !past(m.MaxAhead, e.lastEnd.Sub(now))
}

func past(limit, d time.Duration) bool { return limit > 0 && d > limit }

// violation is why spans cannot be sent.
func (m Limits) violation(s sdktrace.ReadOnlySpan, size int, now time.Time) (why cause, err error) {
	start, end := s.StartTime(), s.EndTime()
	switch {
	case m.MaxSpanBytes > 0 && size > m.MaxSpanBytes:
		return tooLarge, fmt.Errorf("it is of %d bytes, the backend takes %d", size, m.MaxSpanBytes)
	case past(m.MaxStartAge, now.Sub(start)):
		return tooOld, fmt.Errorf("it started at %s, the backend takes what started in the last %s", start.UTC().Format(time.RFC3339), m.MaxStartAge)
	case past(m.MaxAge, now.Sub(end)):
		return tooOld, fmt.Errorf("it ended at %s, the backend takes what ended in the last %s", end.UTC().Format(time.RFC3339), m.MaxAge)
	case past(m.MaxAhead, end.Sub(now)):
		return tooNew, fmt.Errorf("it ended at %s, the backend takes what is up to %s ahead: is the clock right?", end.UTC().Format(time.RFC3339), m.MaxAhead)
	default:
		return 0, nil
	}
}

// enforceLimits reports whether a batch that is about to be sent keeps the
// limits. If it does not, what can be sent of it takes its place in the queue.
func (l *Line) enforceLimits(b *batch) (o outcome, ok bool) {
	now := time.Now()
	if l.traits.Limits.allow(b, now) {
		return o, true
	}
	spans, err := l.decode(b)
	if err != nil {
		o.drop(b.count, refused, fmt.Errorf("looking whether the backend takes a batch: %w", err), nil)
		return o, false
	}
	f := limitSplitter{line: l, now: now}
	for _, s := range spans {
		f.add(s)
	}
	f.cut()
	if f.out.lost() == 0 && len(f.out.rest) == 1 {
		b.extent = f.out.rest[0].extent
		return o, true
	}
	return f.out, false
}

// limitSplitter makes batches that keep the limits.
type limitSplitter struct {
	line *Line
	now  time.Time

	spans  []sdktrace.ReadOnlySpan
	extent extent
	out    outcome
}

func (f *limitSplitter) add(s sdktrace.ReadOnlySpan) {
	m := f.line.traits.Limits
	size := otlp.Size(s)
	if why, err := m.violation(s, size, f.now); err != nil {
		f.drop(s, why, err)
		return
	}
	with := f.extent
	with.add(s, size)
	if m.MaxSpans > 0 && len(f.spans) >= m.MaxSpans || m.MaxSpread > 0 && with.lastStart.Sub(with.firstStart) > m.MaxSpread {
		f.cut()
		with = extent{}
		with.add(s, size)
	}
	f.spans, f.extent = append(f.spans, s), with
}

func (f *limitSplitter) drop(s sdktrace.ReadOnlySpan, why cause, err error) {
	spans := []sdktrace.ReadOnlySpan{s}
	f.out.drop(1, why, fmt.Errorf("%s: %w", describe(spans), err), spans)
}

// cut makes pieces of the spans so far.
func (f *limitSplitter) cut() {
	if len(f.spans) > 0 {
		f.encode(f.spans)
	}
	f.spans, f.extent = nil, extent{}
}

func (f *limitSplitter) encode(spans []sdktrace.ReadOnlySpan) {
	m := f.line.traits.Limits
	raw := otlp.AppendRequest(nil, spans)
	if m.MaxBytes > 0 && len(raw) > m.MaxBytes {
		if len(spans) == 1 {
			f.drop(spans[0], tooLarge, errors.New("its request is larger than the backend takes"))
			return
		}
		f.encode(spans[:len(spans)/2])
		f.encode(spans[len(spans)/2:])
		return
	}
	piece := f.line.pieceOf(spans, raw)
	for _, s := range spans {
		piece.extent.add(s, otlp.Size(s))
	}
	piece.extent.bytes, piece.extent.exact = len(raw), true
	f.out.rest = append(f.out.rest, piece)
}
