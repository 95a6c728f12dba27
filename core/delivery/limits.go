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
func (m Limits) narrow(b Batch) Batch {
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
	first, last    time.Time // starts of spans
	oldest, newest time.Time // ends of spans
	largest        int       // span
	bytes          int       // of the request, or of its spans
	exact          bool      // largest is no estimate
}

func (e *extent) add(s sdktrace.ReadOnlySpan, size int) {
	start, end := s.StartTime(), s.EndTime()
	if e.largest == 0 || start.Before(e.first) {
		e.first = start
	}
	if start.After(e.last) {
		e.last = start
	}
	if e.largest == 0 || end.Before(e.oldest) {
		e.oldest = end
	}
	if end.After(e.newest) {
		e.newest = end
	}
	e.largest = max(e.largest, size)
	e.bytes += size
}

// take reports whether a backend takes a batch for sure.
func (m Limits) take(b *batch, now time.Time) bool {
	e := &b.extent
	switch {
	case m == Limits{}:
		return true
	case e.largest == 0, // nothing is known of it
		m.MaxSpans > 0 && b.count > m.MaxSpans,
		m.MaxBytes > 0 && e.bytes > m.MaxBytes,
		m.MaxSpread > 0 && e.last.Sub(e.first) > m.MaxSpread,
		m.MaxSpanBytes > 0 && e.largest > m.MaxSpanBytes/2 && !e.exact: // estimates are better than that
		return false
	}
	return !past(m.MaxStartAge, now.Sub(e.first)) && !past(m.MaxAge, now.Sub(e.oldest)) && !past(m.MaxAhead, e.newest.Sub(now))
}

func past(limit, d time.Duration) bool { return limit > 0 && d > limit }

// misfit is why spans cannot be sent.
func (m Limits) misfit(s sdktrace.ReadOnlySpan, size int, now time.Time) (why cause, err error) {
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

// fit reports whether a batch that is about to be sent keeps the limits. If it
// does not, what can be sent of it takes its place in the queue.
func (l *Line) fit(b *batch) bool {
	now := time.Now()
	if l.traits.Limits.take(b, now) {
		return true
	}
	spans, err := l.decode(b)
	if err != nil {
		l.probed(b)
		l.report.warn("batch cannot be read, to see whether the backend takes it; it is dropped", "spans", b.count, "error", err)
		l.discard(b, refused, fmt.Errorf("looking at a batch: %w", err))
		return false
	}
	f := fitting{line: l, now: now}
	for _, s := range spans {
		f.add(s)
	}
	f.cut()
	if f.lost == 0 && len(f.parts) == 1 {
		b.extent = f.parts[0].extent
		return true
	}
	l.probed(b)
	l.replace(b, f.parts, f.lost, f.err)
	return false
}

// fitting makes batches that keep the limits.
type fitting struct {
	line *Line
	now  time.Time

	spans  []sdktrace.ReadOnlySpan
	extent extent
	parts  []*batch

	lost int
	err  error // why the last of them was
}

func (f *fitting) add(s sdktrace.ReadOnlySpan) {
	m := f.line.traits.Limits
	size := otlp.Size(s)
	if why, err := m.misfit(s, size, f.now); err != nil {
		f.lose(s, why, err)
		return
	}
	with := f.extent
	with.add(s, size)
	if m.MaxSpans > 0 && len(f.spans) >= m.MaxSpans || m.MaxSpread > 0 && with.last.Sub(with.first) > m.MaxSpread {
		f.cut()
		with = extent{}
		with.add(s, size)
	}
	f.spans, f.extent = append(f.spans, s), with
}

func (f *fitting) lose(s sdktrace.ReadOnlySpan, why cause, err error) {
	f.lost++
	f.err = fmt.Errorf("%s: %w", describe([]sdktrace.ReadOnlySpan{s}), err)
	f.line.count(1, why)
	f.line.report.warn("span is dropped, which the backend would refuse together with its batch", "cause", why.String(), "error", f.err)
}

// cut makes parts of the spans so far.
func (f *fitting) cut() {
	if len(f.spans) > 0 {
		f.encode(f.spans)
	}
	f.spans, f.extent = nil, extent{}
}

func (f *fitting) encode(spans []sdktrace.ReadOnlySpan) {
	m := f.line.traits.Limits
	raw := otlp.AppendRequest(nil, spans)
	if m.MaxBytes > 0 && len(raw) > m.MaxBytes {
		if len(spans) == 1 {
			f.lose(spans[0], tooLarge, errors.New("its request is larger than the backend takes"))
			return
		}
		f.encode(spans[:len(spans)/2])
		f.encode(spans[len(spans)/2:])
		return
	}
	part := f.line.part(spans, raw)
	for _, s := range spans {
		part.extent.add(s, otlp.Size(s))
	}
	part.extent.bytes, part.extent.exact = len(raw), true
	f.parts = append(f.parts, part)
}
