package delivery

import (
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/otlp"
)

// A batch that is refused for something in it costs maxRequests at most, or fewRequests
// where the backend has refused all of the one before and accepts nothing of this one.
const (
	maxRequests = 128
	fewRequests = 8
)

// search finds the spans for which a batch was refused: it sends the others.
type search struct {
	line     *Line
	batch    *batch
	requests int // made
	most     int
	out      outcome
	rest     []sdktrace.ReadOnlySpan // wait for another attempt
	failure  *ExportError            // why
	left     []sdktrace.ReadOnlySpan // are given up
	refusal  error                   // the last one
}

// search sends the spans of a batch that was refused as a whole. If b of n spans are to
// blame, that takes at most 2 + 2 b log2(n) requests, with the one that was refused.
func (l *Line) search(b *batch, spans []sdktrace.ReadOnlySpan, f *ExportError) outcome {
	s := &search{line: l, batch: b, requests: 1, most: maxRequests, refusal: f.Err}
	if l.futile.Load() {
		s.most = fewRequests
	}
	s.out.backend = reachable
	s.divide(spans)
	o := &s.out
	o.drop(len(s.left), refused, s.refusal, s.left)
	o.futile = o.sent == 0 && s.failure == nil && s.requests >= fewRequests
	if len(s.rest) > 0 {
		rest := l.pieceOf(s.rest, otlp.AppendRequest(nil, s.rest))
		rest.extent = b.extent
		o.rest = []*batch{rest}
		o.failed, o.retryAfter, o.throttled, o.err = true, s.failure.RetryAfter, s.failure.Throttled, s.failure.Err
	}
	return s.out
}

// divide sends spans in halves that were refused together.
func (s *search) divide(spans []sdktrace.ReadOnlySpan) {
	first, second := spans[:len(spans)/2], spans[len(spans)/2:]
	if s.send(first) && len(second) > 1 {
		s.divide(second) // it is to blame, or nothing is
	} else {
		s.send(second)
	}
}

// send reports whether all of the spans were accepted.
func (s *search) send(spans []sdktrace.ReadOnlySpan) bool {
	switch {
	case s.failure != nil:
		s.rest = append(s.rest, spans...)
		return false
	case s.requests >= s.most:
		s.left = append(s.left, spans...)
		return false
	}
	s.requests++
	l := s.line
	var piece batch
	if l.requests == nil {
		piece.spans = spans
	} else {
		piece.body = l.compression.Compress(otlp.AppendRequest(nil, spans))
	}
	resp, f := l.attempt(piece.body, spans, len(spans))
	switch {
	case f == nil:
		s.out.accept(len(spans), resp)
		s.most = maxRequests
		return true
	case f.PartialSuccess != nil && len(f.PartialSuccess.Remaining) <= len(spans) && f.Outcome != Retry:
		piece.count = len(spans)
		var part outcome
		l.acceptPart(&part, &piece, f)
		s.out.sent += part.sent
		s.out.rejected += part.rejected
		s.out.drop(part.dropped[refused], refused, f.Err, f.PartialSuccess.Remaining)
	case f.Outcome == Retry:
		s.failure = f
		s.rest = append(s.rest, spans...)
	case f.Outcome == Refused:
		s.out.drop(len(spans), refused, f.Err, spans)
	case len(spans) > 1:
		s.refusal = f.Err
		s.divide(spans)
	case f.Outcome == TooLarge:
		s.out.drop(1, tooLarge, f.Err, spans)
	default:
		s.out.drop(1, refused, f.Err, spans)
	}
	return false
}
