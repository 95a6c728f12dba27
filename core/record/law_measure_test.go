package record

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// measure takes what is measured.
func (r *lawRun) measure(ctx context.Context, s Measured) {
	n, kept := spanNumber(s.s.id), trace.SpanContextFromContext(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, twice := r.measured[n]; twice {
		r.complain("%d is measured twice", n)
	}
	r.measured[n] = kept.IsSampled()
	if kept.IsValid() && !kept.Equal((*view)(s.s).SpanContext()) {
		r.complain("%d is measured as %v, and is exported as %v", n, kept, (*view)(s.s).SpanContext())
	}
	if s.s.EndTime().IsZero() || s.Duration() != s.s.EndTime().Sub(s.s.StartTime()) {
		r.complain("%d is measured with %v from %v to %v", n, s.Duration(), s.s.StartTime(), s.s.EndTime())
	}
}

// checkMeasured finds spans that are not measured as what became of them. What was let go
// while it was open is not measured; of local roots that is counted.
func (r *lawRun) checkMeasured() {
	emptied, roots := 0, 0
	for number, s := range r.spans {
		n := int64(number)
		own, ok := s.span.(*span)
		if !ok {
			continue
		}
		asKept, measured := r.measured[n]
		_, kept := r.kept[n]
		if !measured && own.segment.has(isGone) && !kept {
			if own == &own.segment.root {
				emptied++
			}
			continue
		}
		if own == &own.segment.root {
			roots++
		}
		if !measured || asKept != kept {
			r.complain("%d is measured %v, as kept %v, and is kept %v", n, measured, asKept, kept)
		}
	}
	s := r.p.Stats()
	if int(s.Unrecorded) < emptied {
		r.complain("%d local roots were let go while they were open, %d are counted as unrecorded", emptied, s.Unrecorded)
	}
	if r.config.AlwaysRecord && roots+int(s.Unrecorded) != int(s.Started) {
		r.complain("%d local roots started: %d are measured, %d are counted as unrecorded", s.Started, roots, s.Unrecorded)
	}
}
