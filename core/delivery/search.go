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
	// minControlled is how large a part is that is tested with one of its spans, which in
	// a smaller one may well be the one to blame, and maxMisses how many attempts in a row
	// may fail for now.
	minControlled = 16
	maxMisses     = 6
	// maxSearch is how long a search may take before other batches have their turn.
	maxSearch = 10 * time.Second
)

// search sends spans of a batch in parts, until those are found that are to blame for
// its failure.
type search struct {
	line      *Line
	batch     *batch
	began     time.Time
	requests  int       // made
	lastBegan time.Time // the last of them
	most      int
	out       outcome

	// parts were not accepted as a whole, or are what is left of such. They are to be
	// divided, the largest first: so all of a batch is seen before any of it in detail.
	parts    [][]sdktrace.ReadOnlySpan
	refusal  error                     // the last one
	tooLarge bool                      // which was about the size
	suspects [][]sdktrace.ReadOnlySpan // single spans that fail for now
	rest     [][]sdktrace.ReadOnlySpan // what waits for another attempt
	miss     *ExportError              // the last attempt that failed for now
	misses   int                       // such in a row
	ended    bool                      // by it: the backend is away, or busy
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
	s.parts = append(s.parts, spans)
	s.run()
	return s.outcome()
}

// searchFailed sends a batch that failed before: one span first, any. If that is
// accepted, the backend is there, and what fails of the others may be to blame itself. If
// not, it costs the backend less than the whole.
func (l *Line) searchFailed(b *batch, spans []sdktrace.ReadOnlySpan) outcome {
	s := l.newSearch(b, 0)
	samples := 1
	if b.doubted { // it may have hit one that is to blame
		samples = 2
	}
	for i := range samples {
		one := rand.IntN(len(spans)) //nolint:gosec // nobody gains by knowing it
		if s.request(slices.Clone(spans[one : one+1])); s.miss == nil {
			s.request(slices.Delete(slices.Clone(spans), one, one+1)) // in order: what is to blame may stand together
			s.run()
			return s.outcome()
		}
		if s.miss.isBusy() || s.isLate() || i == samples-1 {
			break
		}
		s.miss, s.misses, s.ended, s.suspects, s.parts, s.rest = nil, 0, false, nil, nil, nil
	}
	o := outcome{again: true, failed: true, retryAfter: s.miss.RetryAfter, throttled: s.miss.Throttled, err: s.miss.Err}
	if b.doubted && b.alone { // most of it may be to blame
		o.again, o.rest = false, l.halves(b, spans)
		for _, half := range o.rest {
			half.doubted = true
		}
	}
	return o
}

// run divides parts until there are none.
func (s *search) run() {
	for len(s.parts) > 0 && !s.ended && !s.isLate() && s.requests < s.most {
		i := 0
		for j := range s.parts {
			if len(s.parts[j]) > len(s.parts[i]) {
				i = j
			}
		}
		part := s.parts[i]
		s.parts = slices.Delete(s.parts, i, i+1)
		first, second := part[:len(part)/2], part[len(part)/2:]
		if s.request(first) && len(second) > 1 {
			s.parts = append(s.parts, second) // it is to blame, or nothing is
		} else {
			s.request(second)
		}
	}
}

func (s *search) isLate() bool { return time.Since(s.began) > maxSearch }

// request sends spans, and reports whether all of them were accepted.
func (s *search) request(spans []sdktrace.ReadOnlySpan) bool {
	if s.ended || s.requests >= s.most {
		s.parts = append(s.parts, spans)
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
		s.refusal, s.tooLarge = f.Err, f.Outcome == TooLarge
		s.parts = append(s.parts, spans)
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

func (s *search) attempt(spans []sdktrace.ReadOnlySpan) (resp Response, f *ExportError) {
	s.requests++
	s.lastBegan = time.Now()
	l := s.line
	if l.requests == nil {
		return l.attempt(nil, spans, len(spans))
	}
	return l.attempt(l.compression.Compress(otlp.AppendRequest(nil, spans)), nil, len(spans))
}

// partial notes spans that were accepted in part.
func (s *search) partial(n int, f *ExportError) {
	sent, rejected, remaining := partOf(n, f)
	s.out.sent += sent
	s.out.rejected += rejected
	s.out.message, s.out.loss = f.Err.Error(), f.Err
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

// missed notes spans that failed for now. That they are to blame shows when another
// attempt, with one of them, is accepted. If none is, the backend is away, or busy; so it
// is after several misses in a row of parts too small to try that.
func (s *search) missed(spans []sdktrace.ReadOnlySpan, f *ExportError) {
	s.miss = f
	s.misses++
	switch {
	case f.isBusy(), s.misses > maxMisses, s.line.ctx.Err() != nil:
		s.ended = true
	case s.out.sent == 0: // it is a sample
	case len(spans) == 1:
		for range 2 {
			if time.Since(s.lastBegan) > s.quick() {
				break
			}
			if s.settles(spans) {
				return
			}
		}
	case len(spans) >= minControlled:
		spans = slices.Clone(spans)
		i, j := rand.IntN(len(spans)), rand.IntN(len(spans)) //nolint:gosec // nobody gains by knowing them
		switch {
		case s.settles(spans[i : i+1]):
			spans = slices.Delete(spans, i, i+1)
		case s.settles(spans[j : j+1]):
			spans = slices.Delete(spans, j, j+1)
		default:
			s.ended = true
		}
	}
	if len(spans) > 1 || s.ended {
		s.parts = append(s.parts, spans)
	} else {
		s.suspects = append(s.suspects, spans)
	}
}

// settles tries a span, and reports whether that was the end of it.
func (s *search) settles(one []sdktrace.ReadOnlySpan) bool {
	if s.requests >= s.most {
		return false
	}
	resp, f := s.attempt(one)
	switch {
	case f == nil:
		s.misses = 0
		s.out.accept(1, resp)
		s.count()
	case f.PartialSuccess != nil && len(f.PartialSuccess.Remaining) == 0:
		s.partial(1, f)
	case f.Outcome == Retry:
		s.miss = f
		return false
	case f.Outcome == TooLarge:
		s.out.drop(1, tooLarge, f.Err, one)
	default:
		s.out.drop(1, refused, f.Err, one)
	}
	return true
}

// quick is how long a request may take to be worth another to the same end.
func (s *search) quick() time.Duration {
	return min(time.Second, time.Duration(s.line.config.Send.Timeout)/4)
}

// outcome is that of all requests.
func (s *search) outcome() outcome {
	o := &s.out
	switch {
	case s.miss == nil && !s.tooLarge && s.requests >= s.most:
		left := slices.Concat(s.parts...)
		o.drop(len(left), refused, s.refusal, left)
	default:
		s.rest = append(s.rest, s.parts...)
	}
	o.futile = o.sent == 0 && s.miss == nil && s.requests >= fewRequests
	for _, spans := range s.suspects {
		p := s.piece(spans)
		p.suspect = !s.ended
		o.rest = append(o.rest, p)
	}
	if s.ended && len(s.rest) > 0 { // together, as they were
		s.rest = [][]sdktrace.ReadOnlySpan{slices.Concat(s.rest...)}
	}
	for _, spans := range s.rest {
		o.rest = append(o.rest, s.piece(spans))
	}
	if s.miss != nil && len(o.rest) > 0 {
		o.failed, o.ended, o.retryAfter, o.throttled, o.err = true, s.ended, s.miss.RetryAfter, s.miss.Throttled, s.miss.Err
	}
	return *o
}

func (s *search) piece(spans []sdktrace.ReadOnlySpan) *batch {
	p := s.line.pieceOf(spans, otlp.AppendRequest(nil, spans))
	p.extent = s.batch.extent // or less, all of it
	p.doubted = s.miss != nil && !s.ended
	return p
}
