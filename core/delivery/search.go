package delivery

import (
	"math/rand/v2"
	"slices"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/otlp"
)

const (
	// A batch that is refused for something in it costs maxRequests at most, or
	// fewRequests where the backend has refused all of the one before and accepts nothing
	// of this one.
	maxRequests = 128
	fewRequests = 8
	// maxMisses is how many attempts in a row fail for now where single spans are to blame.
	// After more it is the backend, which has gone away meanwhile.
	maxMisses = 16
	// maxSearch is how long a search may take before other batches have their turn.
	maxSearch = 10 * time.Second
)

// search sends spans of a batch in parts, until those are found that are to blame for
// its failure.
type search struct {
	line     *Line
	batch    *batch
	began    time.Time
	requests int // made
	most     int
	misses   int // attempts that failed for now since the last that did not
	out      outcome

	left    []sdktrace.ReadOnlySpan // are given up
	refusal error                   // the last one

	suspects [][]sdktrace.ReadOnlySpan // fail alone, for now
	rest     [][]sdktrace.ReadOnlySpan // wait for another attempt
	miss     *ExportError              // the last attempt that failed for now
	ended    bool                      // by it
}

func (l *Line) newSearch(b *batch, requests int) *search {
	s := &search{line: l, batch: b, began: time.Now(), requests: requests, most: maxRequests}
	if l.futile.Load() {
		s.most = fewRequests
	}
	s.out.backend = reachable
	return s
}

// searchRefused sends the spans of a batch that was refused as a whole. If b of n spans
// are to blame, that takes at most 2 + 2 b log2(n) requests, with the one that was refused.
func (l *Line) searchRefused(b *batch, spans []sdktrace.ReadOnlySpan, f *ExportError) outcome {
	s := l.newSearch(b, 1)
	s.refusal = f.Err
	s.divide(spans)
	return s.outcome()
}

// searchFailed sends a batch that failed before: one span first, any. If that is accepted, the
// backend is there, and what fails of the others is to blame itself. If not, it costs the
// backend less than the whole.
func (l *Line) searchFailed(b *batch, spans []sdktrace.ReadOnlySpan) outcome {
	s := l.newSearch(b, 0)
	spans = slices.Clone(spans)
	i := rand.IntN(len(spans)) //nolint:gosec // nobody gains by knowing it
	spans[0], spans[i] = spans[i], spans[0]
	if s.send(spans[:1]); s.ended {
		return outcome{again: true, failed: true, retryAfter: s.miss.RetryAfter, throttled: s.miss.Throttled, err: s.miss.Err}
	}
	s.send(spans[1:])
	return s.outcome()
}

// divide sends spans in halves that were not accepted together.
func (s *search) divide(spans []sdktrace.ReadOnlySpan) {
	first, second := spans[:len(spans)/2], spans[len(spans)/2:]
	if s.send(first) && len(second) > 1 && !s.isLate() {
		s.divide(second) // it is to blame, or nothing is
	} else {
		s.send(second)
	}
}

func (s *search) isLate() bool { return time.Since(s.began) > maxSearch }

// send reports whether all of the spans were accepted.
func (s *search) send(spans []sdktrace.ReadOnlySpan) bool {
	switch {
	case s.ended, s.misses > 0 && s.isLate():
		s.rest = append(s.rest, spans)
		return false
	case s.requests >= s.most && s.refusal == nil:
		s.rest = append(s.rest, spans)
		return false
	case s.requests >= s.most:
		s.left = append(s.left, spans...)
		return false
	}
	resp, f := s.attempt(spans)
	if f == nil || f.Outcome != Retry {
		s.misses = 0
	}
	switch {
	case f == nil:
		s.out.accept(len(spans), resp)
		s.count()
		s.most = maxRequests
		return true
	case f.PartialSuccess != nil && len(f.PartialSuccess.Remaining) <= len(spans):
		s.partial(len(spans), f)
	case f.Outcome == Retry:
		s.missed(spans, f)
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

// count counts what was accepted, which others see before the search ends.
func (s *search) count() {
	o, c := &s.out, &s.line.counts
	c.sent.Add(uint64(o.sent - o.sentCounted))
	c.rejected.Add(uint64(o.rejected - o.rejectedCounted))
	o.sentCounted, o.rejectedCounted = o.sent, o.rejected
}

// attempt makes one request, or up to maxTries: where only some requests fail, whatever
// is in them, such as those to one of several servers behind an address, another answers
// the next.
func (s *search) attempt(spans []sdktrace.ReadOnlySpan) (resp Response, f *ExportError) {
	const maxTries = 3
	l, n := s.line, len(spans)
	quick := min(time.Second, time.Duration(l.config.Send.Timeout)/4) // longer than that is not worth the time
	var body []byte
	if l.requests != nil {
		body, spans = l.compression.Compress(otlp.AppendRequest(nil, spans)), nil
	}
	for range maxTries {
		began := time.Now()
		s.requests++
		resp, f = l.attempt(body, spans, n)
		if f == nil || f.Outcome != Retry || f.isBusy() || f.PartialSuccess != nil || s.out.sent == 0 || time.Since(began) > quick {
			break
		}
	}
	return resp, f
}

// partial notes spans that were accepted in part.
func (s *search) partial(n int, f *ExportError) {
	sent, rejected, remaining := partOf(n, f)
	s.out.sent += sent
	s.out.rejected += rejected
	s.out.message, s.out.err = f.Err.Error(), f.Err
	s.count()
	switch {
	case len(remaining) == 0:
	case f.Outcome == Retry:
		s.miss, s.ended = f, true
		s.rest = append(s.rest, remaining)
	default:
		s.out.drop(len(remaining), refused, f.Err, remaining)
	}
}

// missed notes spans that failed for now. They are to blame if others were accepted, and
// the backend does not ask for time.
func (s *search) missed(spans []sdktrace.ReadOnlySpan, f *ExportError) {
	s.miss = f
	s.misses++
	switch {
	case s.out.sent == 0, f.isBusy(), s.line.ctx.Err() != nil:
		s.ended = true
		s.rest = append(s.rest, spans)
	case len(spans) == 1:
		s.suspects = append(s.suspects, spans)
	default:
		s.divide(spans)
	}
}

// outcome is that of all requests.
func (s *search) outcome() outcome {
	o := &s.out
	o.drop(len(s.left), refused, s.refusal, s.left)
	o.futile = o.sent == 0 && s.miss == nil && s.requests >= fewRequests
	if s.miss == nil {
		return *o
	}
	o.failed, o.retryAfter, o.throttled, o.err = true, s.miss.RetryAfter, s.miss.Throttled, s.miss.Err
	if s.misses > maxMisses { // the last of them are not to blame
		n := max(0, len(s.suspects)-s.misses)
		s.rest, s.suspects, s.ended = append(s.rest, s.suspects[n:]...), s.suspects[:n], true
	}
	for _, spans := range s.suspects {
		p := s.piece(spans)
		p.suspect = true
		o.rest = append(o.rest, p)
	}
	if s.ended && len(s.rest) > 0 { // together, as they were
		s.rest = [][]sdktrace.ReadOnlySpan{slices.Concat(s.rest...)}
	}
	for _, spans := range s.rest {
		o.rest = append(o.rest, s.piece(spans))
	}
	return *o
}

func (s *search) piece(spans []sdktrace.ReadOnlySpan) *batch {
	p := s.line.pieceOf(spans, otlp.AppendRequest(nil, spans))
	p.extent = s.batch.extent // or less, all of it
	return p
}
