package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/otlp"
)

// maxSuspectFailures is when a batch that alone fails is dropped as poisoned.
const maxSuspectFailures = 20

// work sends batches until the line ends.
func (l *Line) work() {
	for {
		b := l.next()
		if b == nil {
			return
		}
		if !l.fetch(b) || !l.enforceLimits(b) {
			continue
		}
		if b.firstAttempt.IsZero() {
			b.firstAttempt = time.Now()
		}
		l.counts.sending.Add(int64(b.count))
		resp, err := l.attempt(b)
		l.counts.sending.Add(-int64(b.count))
		l.applyOutcome(b, resp, err)
	}
}

// attempt sends a batch once.
func (l *Line) attempt(b *batch) (resp Response, err error) {
	ctx, cancel := context.WithTimeout(l.ctx, time.Duration(l.config.Send.Timeout))
	defer cancel()
	began := time.Now()
	defer func() {
		// A line outlives its exporter's mistakes.
		if p := recover(); p != nil {
			err = &ExportError{Outcome: Refused, Err: fmt.Errorf("the exporter panicked: %v", p)}
		}
		l.metrics.attempted(time.Since(began), err)
	}()
	l.counts.attempts.Add(1)
	if l.requests != nil {
		return l.requests.ExportRequest(ctx, Request{Body: b.body, Spans: b.count})
	}
	return resp, l.exporter.ExportSpans(ctx, b.spans)
}

// applyOutcome decides what becomes of a batch after an attempt.
func (l *Line) applyOutcome(b *batch, resp Response, err error) {
	if err == nil {
		l.accept(b, resp)
		return
	}
	f := Classify(err)
	if f.PartialSuccess != nil && len(f.PartialSuccess.Remaining) <= b.count {
		l.applyPartial(b, f)
		return
	}
	if f.Outcome != Retry {
		l.backendUp()
	}
	switch {
	case f.Outcome == TooLarge && b.count > 1:
		pieces, err := l.split(b)
		if err == nil {
			l.replace(b, pieces, 0, nil)
			return
		}
		l.dropFailed(b, refused, err)
	case f.Outcome == TooLarge:
		l.dropFailed(b, tooLarge, f.Err)
	case f.Outcome == Refused, f.Outcome == Invalid:
		l.dropFailed(b, refused, f.Err)
	case l.isPoisoned(b, f):
		l.backendDown(b, f)
		l.dropFailed(b, poisoned, f.Err)
	case l.config.Send.MaxElapsed > 0 && time.Since(b.firstAttempt) >= time.Duration(l.config.Send.MaxElapsed):
		l.backendDown(b, f)
		l.dropFailed(b, expired, f.Err)
	default:
		if l.ctx.Err() == nil { // else it is the line that has given up
			l.reporter.failed(f.Err, true)
		}
		l.retryLater(b, f)
		l.warnFull()
	}
}

func (l *Line) accept(b *batch, resp Response) {
	rejected := int(min(max(resp.Rejected, 0), int64(b.count)))
	l.counts.sent.Add(uint64(b.count - rejected))
	l.counts.rejected.Add(uint64(rejected))
	l.accepted.Add(1)
	l.backendUp()
	l.reporter.accepted()
	var err error
	switch {
	case rejected > 0:
		err = fmt.Errorf("the backend rejected %d of %d spans: %s", rejected, b.count, resp.Message)
		l.reporter.warn("backend rejected spans of a batch that it accepted", "spans_rejected", rejected, "of", b.count, "message", resp.Message)
	case resp.Message != "":
		l.reporter.warn("backend warns about a batch that it accepted", "message", resp.Message)
	}
	l.done(b, rejected, err)
}

// applyPartial goes on with what remains of a batch.
func (l *Line) applyPartial(b *batch, f *ExportError) {
	remaining := f.PartialSuccess.Remaining
	rejected := min(max(f.PartialSuccess.Rejected, 0), b.count-len(remaining))
	l.counts.sent.Add(uint64(b.count - len(remaining) - rejected))
	l.counts.rejected.Add(uint64(rejected))
	if len(remaining) < b.count {
		l.accepted.Add(1)
	}
	if rejected > 0 {
		l.reporter.warn("backend rejected spans of a batch that it accepted", "spans_rejected", rejected, "of", b.count, "message", f.Err.Error())
	}
	lost := rejected
	drop := func(why cause) {
		l.count(len(remaining), why)
		lost, remaining = lost+len(remaining), nil
	}
	switch {
	case len(remaining) == 0:
	case f.Outcome != Retry:
		drop(refused)
	case l.isPoisoned(b, f):
		drop(poisoned)
	case l.config.Send.MaxElapsed > 0 && time.Since(b.firstAttempt) >= time.Duration(l.config.Send.MaxElapsed):
		drop(expired)
	}
	if len(remaining) == 0 {
		l.backendUp()
		l.reporter.accepted()
		l.done(b, lost, f.Err)
		return
	}
	l.reporter.failed(f.Err, true)
	rest := l.pieceOf(remaining, otlp.AppendRequest(nil, remaining))
	rest.extent, rest.failures, rest.suspectFailures, rest.accepted = b.extent, b.failures+1, b.suspectFailures, b.accepted
	rest.due = l.delayed(b, f)
	l.replace(b, []*batch{rest}, lost, f.Err)
}

// dropFailed drops a batch for good.
func (l *Line) dropFailed(b *batch, why cause, err error) {
	l.count(b.count, why)
	l.reporter.failed(err, false)
	switch why {
	case tooLarge:
		l.reporter.warn("backend finds a single span too large; it is dropped", "span", describe(l.spansOf(b)), "bytes", b.size, "error", err)
	case poisoned:
		l.reporter.warn("batch failed again and again while others were accepted; it is dropped",
			"spans", b.count, "first", describe(l.spansOf(b)), "failures", b.failures+1, "error", err)
	default:
	}
	l.done(b, b.count, err)
}

// isPoisoned notes a failure, and reports whether the batch is to blame for it: it
// has failed often, and each time others were accepted in between.
func (l *Line) isPoisoned(b *batch, f *ExportError) bool {
	accepted := l.accepted.Load()
	if b.failures > 0 && accepted > b.accepted && !f.Throttled && f.RetryAfter == 0 {
		b.suspectFailures++
	}
	b.accepted = accepted
	return b.suspectFailures >= maxSuspectFailures-1 // the first failure is none
}

// split makes two of a batch.
func (l *Line) split(b *batch) ([]*batch, error) {
	spans, err := l.decode(b)
	if err != nil {
		return nil, fmt.Errorf("splitting a batch: %w", err)
	}
	pieces := make([]*batch, 0, 2)
	for _, half := range [][]sdktrace.ReadOnlySpan{spans[:len(spans)/2], spans[len(spans)/2:]} {
		piece := l.pieceOf(half, otlp.AppendRequest(nil, half))
		piece.extent = b.extent // or less, all of it
		pieces = append(pieces, piece)
	}
	return pieces, nil
}

// pieceOf makes a batch of spans of another, and of the request of them.
func (l *Line) pieceOf(spans []sdktrace.ReadOnlySpan, raw []byte) *batch {
	piece := &batch{count: len(spans)}
	if l.requests == nil {
		piece.spans, piece.size = slices.Clone(spans), int64(len(raw))
	} else {
		piece.body = l.compression.Compress(raw)
		piece.size = int64(len(piece.body))
	}
	return piece
}

func (l *Line) decode(b *batch) ([]sdktrace.ReadOnlySpan, error) {
	if l.requests == nil {
		return b.spans, nil
	}
	raw, err := l.compression.Decompress(b.body)
	if err != nil {
		return nil, err
	}
	spans, err := otlp.Decode(raw)
	if err == nil && len(spans) != b.count {
		err = errors.New("it holds another number of spans than were put in")
	}
	return spans, err
}

// spansOf is decode for messages.
func (l *Line) spansOf(b *batch) []sdktrace.ReadOnlySpan {
	spans, _ := l.decode(b)
	return spans
}

// describe names the first of the spans.
func describe(spans []sdktrace.ReadOnlySpan) string {
	if len(spans) == 0 {
		return "unknown"
	}
	s := spans[0]
	return fmt.Sprintf("%q of trace %s", s.Name(), s.SpanContext().TraceID())
}
