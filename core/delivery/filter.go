package delivery

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery/redact"
	"github.com/riffletrace/riffle/core/match"
)

// Filter says which spans an exporter gets.
type Filter struct {
	Of    FilterOf      `yaml:"of" doc:"what passes: spans that match, or traces, whole, of which one span does"`
	Match *match.Config `yaml:"match" doc:"what they must match"`
}

// FilterOf is what a filter lets pass.
type FilterOf string

// The values of filter.of; an empty one is Spans.
const (
	Spans  FilterOf = "spans"
	Traces FilterOf = "traces"
)

func (f *Filter) check(add func(path string, err error)) {
	if f.Of != "" && f.Of != Spans && f.Of != Traces {
		add("filter.of", fmt.Errorf("%q is not one of %s, %s", string(f.Of), Spans, Traces))
	}
	if f.Match == nil {
		add("filter.match", errors.New("missing: want what spans must match"))
		return
	}
	_, err := f.Match.Compile()
	addFields(add, "filter.match", err)
}

// addFields adds the mistakes of what stands below path.
func addFields(add func(path string, err error), path string, err error) {
	for _, e := range component.FieldErrors(err) {
		add(component.JoinPath(path, e.Path), e.Err)
	}
}

// shape is what lines have in common that share their batches.
type shape struct {
	batch     Batch
	filter    *Filter
	redact    *redact.Config
	redactAll *redact.Config
}

func shapeOf(c *Config) shape { return shape{c.Batch, c.Filter, c.Redact, c.RedactAll} }

func (s shape) equal(o shape) bool { return reflect.DeepEqual(s, o) }

// stage filters spans and redacts them, on the goroutine of its batcher.
type stage struct {
	match     *match.Matcher
	traces    *traceFilter
	redactors []*redact.Redactor
}

// newStage makes the stage of a configuration that is valid.
func newStage(s shape) *stage {
	st := &stage{}
	if s.filter != nil {
		st.match, _ = s.filter.Match.Compile()
		if s.filter.Of == Traces {
			st.traces = &traceFilter{waiting: map[trace.TraceID]*waitingTrace{}, known: map[trace.TraceID]bool{}}
		}
	}
	for _, c := range []*redact.Config{s.redactAll, s.redact} {
		if c == nil {
			continue
		}
		if r, _ := c.Compile(); r != nil {
			st.redactors = append(st.redactors, r)
		}
	}
	return st
}

func (st *stage) matches(s sdktrace.ReadOnlySpan) bool {
	return st.match.Match(match.Subject{Name: s.Name(), Kind: s.SpanKind(), Attributes: s.Attributes()})
}

// apply returns what the exporters get, and how many spans they do not. It may
// work in place.
func (st *stage) apply(spans []sdktrace.ReadOnlySpan) (left []sdktrace.ReadOnlySpan, filtered int) {
	left = spans
	switch {
	case st.traces != nil:
		left, filtered = st.traces.apply(spans, st.matches)
	case st.match != nil:
		left = spans[:0]
		for _, s := range spans {
			if st.matches(s) {
				left = append(left, s)
			}
		}
		filtered = len(spans) - len(left)
		clear(spans[len(left):])
	}
	for _, r := range st.redactors {
		for i, s := range left {
			left[i] = r.Span(s)
		}
	}
	return left, filtered
}

// giveUp returns how many spans waited for their trace to match.
func (st *stage) giveUp() int {
	if st.traces == nil {
		return 0
	}
	return st.traces.giveUp()
}

// traceFilter lets traces pass of which a span matches. Spans wait for it until a
// local root of theirs has ended.
type traceFilter struct {
	waiting map[trace.TraceID]*waitingTrace
	order   []trace.TraceID // of waiting, and some that are not any more
	spans   int             // that wait

	// Verdicts are remembered for late spans, in two generations.
	known, before map[trace.TraceID]bool
}

type waitingTrace struct {
	spans []sdktrace.ReadOnlySpan
	since time.Time
}

// What the filter of traces holds at most.
const (
	maxWaitingSpans = 20_000
	maxTraceWait    = time.Minute
	maxVerdicts     = 50_000
)

func (f *traceFilter) apply(spans []sdktrace.ReadOnlySpan, matches func(sdktrace.ReadOnlySpan) bool) (left []sdktrace.ReadOnlySpan, filtered int) {
	for _, s := range spans {
		if id := s.SpanContext().TraceID(); !f.passes(id) && matches(s) {
			f.remember(id, true)
		}
	}
	var ended []trace.TraceID
	for _, s := range spans {
		id := s.SpanContext().TraceID()
		w := f.waiting[id]
		pass, known := f.verdict(id)
		switch {
		case pass:
			if w != nil {
				left = append(left, w.spans...)
				f.forget(id, w)
			}
			left = append(left, s)
			continue
		case known:
			filtered++
			continue
		case w == nil:
			w = &waitingTrace{since: time.Now()}
			f.waiting[id] = w
			f.order = append(f.order, id)
		}
		w.spans = append(w.spans, s)
		f.spans++
		if p := s.Parent(); !p.IsValid() || p.IsRemote() {
			ended = append(ended, id)
		}
	}
	for _, id := range ended {
		filtered += f.reject(id)
	}
	return left, filtered + f.expire()
}

func (f *traceFilter) passes(id trace.TraceID) bool {
	pass, _ := f.verdict(id)
	return pass
}

func (f *traceFilter) verdict(id trace.TraceID) (pass, known bool) {
	if pass, known = f.known[id]; !known {
		pass, known = f.before[id]
	}
	return pass, known
}

func (f *traceFilter) remember(id trace.TraceID, pass bool) {
	if len(f.known) >= maxVerdicts {
		f.known, f.before = map[trace.TraceID]bool{}, f.known
	}
	f.known[id] = pass
}

func (f *traceFilter) forget(id trace.TraceID, w *waitingTrace) {
	f.spans -= len(w.spans)
	delete(f.waiting, id)
}

// reject drops what waits of a trace.
func (f *traceFilter) reject(id trace.TraceID) int {
	w := f.waiting[id]
	if w == nil {
		return 0
	}
	f.forget(id, w)
	f.remember(id, false)
	return len(w.spans)
}

// expire rejects the oldest traces where they are too many or too old.
func (f *traceFilter) expire() (filtered int) {
	for len(f.order) > 0 {
		w := f.waiting[f.order[0]]
		if w != nil && f.spans <= maxWaitingSpans && time.Since(w.since) < maxTraceWait {
			break
		}
		filtered += f.reject(f.order[0])
		f.order = f.order[1:]
	}
	return filtered
}

func (f *traceFilter) giveUp() (filtered int) {
	for id := range f.waiting {
		filtered += f.reject(id)
	}
	f.order = nil
	return filtered
}
