package findings

import (
	"slices"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// within tells which call a span stands for: itself, or the only one that it wraps.
const (
	noCall    = -1
	moreCalls = -2
)

// wraps reports whether a span is one of a function, which may do nothing but to call.
func (s *span) wraps() bool {
	return s.call < 0 && (s.kind == trace.SpanKindInternal || s.kind == trace.SpanKindUnspecified)
}

// wrap finds out which call each span stands for: a repository's function of which each
// query has a span of its own is not what the query is below.
func (t *tree) wrap() {
	for _, below := range t.children {
		t.markTwins(below)
	}
	t.within = make([]int32, len(t.spans))
	for _, i := range slices.Backward(t.order) {
		s := &t.spans[i]
		t.within[i] = noCall
		switch {
		case s.call >= 0 && !t.calls[s.call].twin:
			t.within[i] = i
		case s.wraps():
			t.within[i] = t.onlyCall(i, s.process)
		}
	}
}

// onlyCall is the one call below a span in its process, apart from what only controls a
// transaction or a session.
func (t *tree) onlyCall(i int32, in *process) int32 {
	only := int32(noCall)
	for _, c := range t.children[i] {
		switch w := t.within[c]; {
		case w == noCall || t.spans[c].process != in || w >= 0 && t.call(w).control:
		case w == moreCalls || only != noCall:
			return moreCalls
		default:
			only = w
		}
	}
	return only
}

// markTwins marks the outer of two spans by which two instrumentations tell of one query,
// such as those of an ORM and of its driver that are no children of each other.
func (t *tree) markTwins(below []int32) {
	const most = 8 // looked at behind each
	for n, i := range below {
		s, c := &t.spans[i], t.call(i)
		if c == nil || !c.database || !s.ended {
			continue
		}
		for _, j := range below[n+1 : min(len(below), n+1+most)] {
			o, d := &t.spans[j], t.call(j)
			if o.start >= s.end {
				break
			}
			if d == nil || !d.database || !o.ended || d.shape != c.shape || o.process != s.process ||
				o.InstrumentationScope().Name == s.InstrumentationScope().Name {
				continue
			}
			if o.end <= s.end {
				c.twin = true
			} else if o.start == s.start {
				d.twin = true
			}
		}
	}
}

// bounds are those of the child of the parent by which a call is there.
func (t *tree) bounds(i int32) (start, end int64) {
	top := &t.spans[t.call(i).top]
	if !top.ended {
		return top.start, t.spans[i].end
	}
	return top.start, top.end
}

// passOn makes a call fail of which nothing but the server span below it says so: a
// client span without a status, as not all libraries set it.
func (t *tree) passOn() {
	for i := range t.spans {
		s := &t.spans[i]
		if s.kind != trace.SpanKindClient || s.failed || s.Status().Code != codes.Unset {
			continue
		}
		servers, failed := 0, 0
		for _, c := range t.children[i] {
			if o := &t.spans[c]; o.kind == trace.SpanKindServer {
				servers++
				if o.failed {
					failed++
				}
			}
		}
		s.failed = failed > 0 && failed == servers
	}
}
