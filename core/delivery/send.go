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

// maxStrikes is when a batch is set aside.
const maxStrikes = 20

// work sends batches until the line ends.
func (l *Line) work() {
	for {
		b := l.take()
		if b == nil {
			return
		}
		if !l.fetch(b) {
			continue
		}
		if b.began.IsZero() {
			b.began = time.Now()
		}
		l.counts.sending.Add(int64(b.count))
		resp, err := l.attempt(b)
		l.counts.sending.Add(-int64(b.count))
		l.settle(b, resp, err)
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
			err = &ExportError{Verdict: Refused, Err: fmt.Errorf("the exporter panicked: %v", p)}
		}
		l.metrics.attempted(time.Since(began), err)
	}()
	l.counts.attempts.Add(1)
	if l.requests != nil {
		return l.requests.ExportRequest(ctx, Request{Body: b.body, Spans: b.count})
	}
	return resp, l.exporter.ExportSpans(ctx, b.spans)
}

// settle decides what becomes of a batch after an attempt.
func (l *Line) settle(b *batch, resp Response, err error) {
	if err == nil {
		l.accept(b, resp)
		return
	}
	f := Classify(err)
	if f.Verdict != Retry {
		l.answered()
	}
	switch {
	case f.Verdict == TooLarge && b.count > 1:
		parts, err := l.split(b)
		if err == nil {
			l.halves(b, parts)
			return
		}
		l.lose(b, refused, err)
	case f.Verdict == TooLarge:
		l.lose(b, tooLarge, f.Err)
	case f.Verdict == Refused:
		l.lose(b, refused, f.Err)
	case l.strike(b, f):
		l.unanswered(b, f)
		l.lose(b, poisoned, f.Err)
	case l.config.Send.MaxElapsed > 0 && time.Since(b.began) >= time.Duration(l.config.Send.MaxElapsed):
		l.unanswered(b, f)
		l.lose(b, expired, f.Err)
	default:
		if l.ctx.Err() == nil { // else it is the line that has given up
			l.report.failed(f.Err, true)
		}
		l.kept(b, f)
		l.sayFull()
	}
}

func (l *Line) accept(b *batch, resp Response) {
	rejected := int(min(max(resp.Rejected, 0), int64(b.count)))
	l.counts.sent.Add(uint64(b.count - rejected))
	l.counts.rejected.Add(uint64(rejected))
	l.accepted.Add(1)
	l.answered()
	l.report.accepted()
	var err error
	switch {
	case rejected > 0:
		err = fmt.Errorf("the backend rejected %d of %d spans: %s", rejected, b.count, resp.Message)
		l.report.warn("backend rejected spans of a batch that it accepted", "spans_rejected", rejected, "of", b.count, "message", resp.Message)
	case resp.Message != "":
		l.report.warn("backend warns about a batch that it accepted", "message", resp.Message)
	}
	l.done(b, rejected, err)
}

// lose drops a batch for good.
func (l *Line) lose(b *batch, why cause, err error) {
	l.count(b.count, why)
	l.report.failed(err, false)
	switch why {
	case tooLarge:
		l.report.warn("backend finds a single span too large; it is dropped", "span", describe(l.spansOf(b)), "bytes", b.size, "error", err)
	case poisoned:
		l.report.warn("batch failed again and again while others were accepted; it is dropped",
			"spans", b.count, "first", describe(l.spansOf(b)), "failures", b.failures+1, "error", err)
	default:
	}
	l.done(b, b.count, err)
}

// strike notes a failure, and reports whether the batch is to blame for it: it
// has failed often, and each time others were accepted in between.
func (l *Line) strike(b *batch, f *ExportError) bool {
	accepted := l.accepted.Load()
	if b.failures > 0 && accepted > b.accepted && !f.Throttled && f.After == 0 {
		b.strikes++
	}
	b.accepted = accepted
	return b.strikes >= maxStrikes-1 // the first failure is none
}

// split makes two of a batch.
func (l *Line) split(b *batch) ([]*batch, error) {
	spans, err := l.decode(b)
	if err != nil {
		return nil, fmt.Errorf("splitting a batch: %w", err)
	}
	parts := make([]*batch, 0, 2)
	for _, half := range [][]sdktrace.ReadOnlySpan{spans[:len(spans)/2], spans[len(spans)/2:]} {
		part := &batch{count: len(half)}
		if l.requests == nil {
			part.spans = slices.Clone(half)
			part.size = b.size * int64(len(half)) / int64(len(spans))
		} else {
			part.body = l.compression.Compress(otlp.AppendRequest(nil, half))
			part.size = int64(len(part.body))
		}
		parts = append(parts, part)
	}
	return parts, nil
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
