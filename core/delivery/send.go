package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery/valid"
	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// work sends batches until the line ends.
func (l *Line) work() {
	for b := l.next(); b != nil; b = l.next() {
		l.apply(b, l.try(b))
	}
}

// try does with a batch what can be done now.
func (l *Line) try(b *batch) outcome {
	if o, ok := l.load(b); !ok {
		return o
	}
	if o, ok := l.enforceLimits(b); !ok {
		return o
	}
	began := time.Now()
	if b.firstAttempt.IsZero() {
		b.firstAttempt = began
	}
	l.counts.sending.Add(int64(b.count))
	defer l.counts.sending.Add(-int64(b.count))
	if b.searched {
		if spans, err := l.decode(b); err == nil {
			return l.searchFailed(b, spans)
		}
	}
	return l.send(b)
}

// send makes one attempt, or, if something in the batch is refused, several.
func (l *Line) send(b *batch) outcome {
	resp, f := l.attempt(b.body, b.spans, b.count)
	o := outcome{backend: reachable}
	switch {
	case f == nil:
		o.accept(b.count, resp)
	case f.PartialSuccess != nil && len(f.PartialSuccess.Remaining) <= b.count:
		l.acceptPart(&o, b, f)
	case f.Outcome == Retry:
		o = outcome{again: true, failed: true, retryAfter: f.RetryAfter, throttled: f.Throttled, err: f.Err}
	case b.count == 1 && f.Outcome == TooLarge:
		o.drop(1, tooLarge, f.Err, l.spansOf(b))
	case b.count == 1, f.Outcome == Refused:
		o.drop(b.count, refused, f.Err, l.spansOf(b))
	default:
		spans, err := l.decode(b)
		switch {
		case err != nil:
			o.drop(b.count, refused, fmt.Errorf("splitting a batch: %w", err), nil)
		case f.Outcome == TooLarge:
			o.rest = l.halves(b, spans)
		default:
			return l.searchRefused(b, spans, f)
		}
	}
	return o
}

// attempt makes one request. What the exporter and the backend say of it is fit to be
// shown from here on.
func (l *Line) attempt(body []byte, spans []sdktrace.ReadOnlySpan, count int) (Response, *ExportError) {
	resp, f := l.request(body, spans, count)
	resp.Message = untrusted.Text(resp.Message, untrusted.Line)
	if f != nil {
		f.Err = untrusted.Error(f.Err, untrusted.Line)
		f.RetryAfter = l.config.Send.retryAfter(f.RetryAfter)
	}
	return resp, f
}

func (l *Line) request(body []byte, spans []sdktrace.ReadOnlySpan, count int) (resp Response, f *ExportError) {
	ctx, cancel := context.WithTimeout(l.ctx, time.Duration(l.config.Send.Timeout))
	defer cancel()
	began := time.Now()
	defer func() {
		// A line outlives its exporter's mistakes.
		if p := recover(); p != nil {
			f = &ExportError{Outcome: Invalid, Err: fmt.Errorf("the exporter panicked: %v", p)}
		}
		l.metrics.attempted(time.Since(began), f)
	}()
	l.counts.attempts.Add(1)
	var err error
	if l.requests != nil {
		resp, err = l.requests.ExportRequest(ctx, Request{Body: body, Spans: count})
	} else {
		err = l.exporter.ExportSpans(ctx, valid.Spans(spans))
	}
	if err == nil {
		return resp, nil
	}
	f = Classify(err)
	if ctx.Err() != nil && !is[*ExportError](err) {
		f.Outcome = Retry // whatever it makes of that
	}
	return Response{}, f
}

// accept notes that the backend accepted n spans, but for those that it rejected.
func (o *outcome) accept(n int, resp Response) {
	rejected := int(min(max(resp.Rejected, 0), int64(n)))
	o.sent += n - rejected
	o.rejected += rejected
	if resp.Message != "" {
		o.message = resp.Message
	}
	if rejected > 0 {
		o.loss = fmt.Errorf("the backend rejected %d of %d spans: %s", rejected, n, resp.Message)
	}
}

// acceptPart goes on with what remains of a batch.
func (l *Line) acceptPart(o *outcome, b *batch, f *ExportError) {
	sent, rejected, remaining := partOf(b.count, f)
	o.sent, o.rejected = sent, rejected
	o.message, o.err, o.loss = f.Err.Error(), f.Err, f.Err
	switch {
	case len(remaining) == 0:
	case f.Outcome != Retry:
		o.drop(len(remaining), refused, f.Err, remaining)
	default:
		rest := l.pieceOf(remaining, otlp.AppendRequest(nil, remaining))
		rest.extent = b.extent // or less, all of it
		o.rest = []*batch{rest}
		o.failed, o.retryAfter, o.throttled = true, f.RetryAfter, f.Throttled
	}
}

// partOf tells n spans apart of which the backend accepted a part.
func partOf(n int, f *ExportError) (sent, rejected int, remaining []sdktrace.ReadOnlySpan) {
	remaining = f.PartialSuccess.Remaining
	rejected = min(max(f.PartialSuccess.Rejected, 0), n-len(remaining))
	return n - len(remaining) - rejected, rejected, remaining
}

// halves makes two of a batch.
func (l *Line) halves(b *batch, spans []sdktrace.ReadOnlySpan) []*batch {
	pieces := make([]*batch, 0, 2)
	for _, half := range [][]sdktrace.ReadOnlySpan{spans[:len(spans)/2], spans[len(spans)/2:]} {
		piece := l.pieceOf(half, otlp.AppendRequest(nil, half))
		piece.extent = b.extent // or less, all of it
		pieces = append(pieces, piece)
	}
	return pieces
}

// pieceOf makes a batch of spans of another, and of the request of them.
func (l *Line) pieceOf(spans []sdktrace.ReadOnlySpan, raw []byte) *batch {
	piece := &batch{count: len(spans)}
	if l.requests == nil {
		piece.spans, piece.size = slices.Clone(spans), sizeOfAll(spans)
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
